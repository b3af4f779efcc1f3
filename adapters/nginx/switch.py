"""From the book to nginx: new files, a new map file, a test, a reload; and back where nginx refuses."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Optional

from adapters.contract import AdapterError, Retryable
from adapters.nginx.book import Book, State
from adapters.nginx.denials import Denials
from adapters.nginx.files import locked, read_or_empty, sync_folder, write_durably
from adapters.nginx.gathering import Gathering
from adapters.nginx.map_files import MapFiles, Tree, digest
from adapters.nginx.operations import Batch, Change, View
from adapters.nginx.places import Node, group_of
from adapters.nginx.reload import Reloader
from adapters.nginx.rules import CODED, HEADER, head

OLD_BOOK, CARRIED_OVER = ".json", ".json.carried-over"


@dataclass(frozen=True)
class Step:
    """One map file to bring to nginx."""

    batch: Batch
    tree: Tree
    generation: int
    text: bytes
    was_live: bool
    dropped: frozenset[str]
    """Files that no map file names any more once this one is there."""


class Switch:
    """Callers that wait for each other share one reload."""

    def __init__(self, map_file: str, files: MapFiles, denials: Denials, reloader: Reloader) -> None:
        self._map_file, self._files, self._denials, self._reloader = map_file, files, denials, reloader
        self._turn, self._gathering = threading.Lock(), Gathering()
        self._is_mended = False
        self.target = ""
        """Digest of the map file that is on its way to nginx."""

    def bring(self, op_id: str, *, present: bool) -> None:
        """Return once nginx knows what the book says of this operation, and of all that came before."""
        with self._gathering.waiting(), self._turn:
            if not self._is_mended:
                self.mend()
            with self._denials.reading() as view:
                is_new = present != view.is_applied(op_id)
            if is_new:
                self._gathering.rest()
            self._bring(op_id, present=present)

    def _bring(self, op_id: str, *, present: bool) -> None:
        with locked(self._map_file + ".lock"):
            before = read_or_empty(self._map_file)
            # The number of a generation matters to an nginx that runs, and none outlives a power cut.
            with self._denials.noting() as change:
                if present != change.is_listed(op_id):
                    raise Retryable("nginx refused a rule that was changed together with this one; try again")
                step = self._step(change, op_id, before, present=present)
            if step is None:
                return
            try:
                if step.text != before:
                    with self._gathering.reloading():
                        self._make_live(step, before)
                with self._denials.changing() as change:
                    # Where nothing was new the files are still there, and the next switch removes them.
                    change.forget_dropped(step.dropped if step.text != before else ())
                    change.settle(step.batch, step.tree.nodes, digest(step.text))
            finally:
                self.target = ""
            if not step.was_live:
                self._sweep()

    def _step(self, change: Change, op_id: str, before: bytes, *, present: bool) -> Optional[Step]:
        """For this operation and all that wait with it; None where nginx knows already."""
        marks = change.marks()
        live = digest(before) == marks.live
        names = names_of(change, op_id) if present else []
        sound = live and names is not None and all(map(self._files.holds, names))
        if sound and present == change.is_applied(op_id):
            return None
        batch = change.pending()
        places = change.nodes_of_ops((*batch.arriving, *batch.leaving))
        if marks.whole:
            places |= change.every_node()
        elif not live:
            places |= self._places_above_lost(change, lambda name: not self._files.holds(name))
        elif not sound:
            places |= change.nodes_of(op_id)
        tree, generation = self._files.tree(change, places), marks.generation
        text = self._files.head(tree.groups, generation)
        if not sound or text != before:
            generation = change.next_generation()
            text = self._files.head(tree.groups, generation)
        return Step(batch, tree, generation, text, live, frozenset(change.dropped() - set(tree.files)))

    def _make_live(self, step: Step, before: bytes) -> None:
        self._files.write(step.tree.files)
        self.target = digest(step.text)
        write_durably(self._map_file, step.text)
        try:
            self._reloader.check_configuration()
        except AdapterError:
            self._take_back(step, before)
            raise
        self._reloader.reload(str(step.generation))
        self._files.remove(step.dropped)

    def _take_back(self, step: Step, before: bytes) -> None:
        with self._denials.changing() as change:
            write_durably(self._map_file, before or self._files.head(change.group_names(), change.marks().generation))
            change.undo(step.batch)
        if step.was_live:
            self._files.remove(name for name in step.tree.nodes.values() if name is not None)

    # --- at the start

    def mend(self) -> None:
        """Without an included file nginx does not start, and one that was lost must not let anything up."""
        with locked(self._map_file + ".lock"):
            with self._denials.changing() as change:
                names = self._files.names()
                places = self._places_above_lost(change, lambda name: name not in names)
                # The process may have ended in mid-switch: then the map file names what the book does not know yet.
                is_whole = os.path.exists(self._map_file) and not self._files.are_lost(read_or_empty(self._map_file))
                if not is_whole:
                    batch = change.pending()
                    places |= change.nodes_of_ops((*batch.arriving, *batch.leaving))
                    places |= change.every_node() if change.marks().whole else set()
                if places or not is_whole:
                    self._write_again(change, places, is_whole=is_whole)
            if os.path.exists(self._map_file + OLD_BOOK):
                os.rename(self._map_file + OLD_BOOK, self._map_file + CARRIED_OVER)
                sync_folder(os.path.dirname(self._map_file))
            self._sweep()
        self._is_mended = True

    def _write_again(self, change: Change, places: Iterable[Node], *, is_whole: bool) -> None:
        tree = self._files.tree(change, places)
        self._files.write(tree.files)
        if tree.nodes or not is_whole:
            write_durably(self._map_file, self._files.head(tree.groups, change.marks().generation))
            change.put_nodes(tree.nodes)

    def _places_above_lost(self, view: View, is_lost: Callable[[str], bool]) -> set[Node]:
        """The places whose own file or whose group's file is lost; making those again makes both."""
        lost = {node for node, name in view.all_names().items() if is_lost(name)}
        return {node for node in view.all_names() if node[1] >= 0 and (node in lost or group_of(node) in lost)}

    def _sweep(self) -> None:
        """Remove what a crash left in the folder, unless the map file may still name it."""
        with self._denials.reading() as view:
            if digest(read_or_empty(self._map_file)) == view.marks().live:
                known = view.dropped().union(view.all_names().values())
                self._files.remove(self._files.names() - known)


def names_of(view: View, op_id: str) -> Optional[list[str]]:
    """The files that hold this operation's lines; None where one has no file yet."""
    if view.marks().whole:
        return []
    places = view.nodes_of(op_id)
    nodes = places | {group_of(node) for node in places}
    names = view.names(nodes)
    return list(names.values()) if len(names) == len(nodes) else None


def first_state(map_file: str) -> State:
    """What a new book begins with: the one in the first form, or nothing."""
    text = read_or_empty(map_file)
    # Without a map file of ours, what stands in the folder is all that is left of what was denied.
    left = bool(MapFiles(map_file).names()) and not text.startswith(HEADER)
    if not read_or_empty(map_file + OLD_BOOK) and (left or _denies(text)):
        raise AdapterError("the gate's book is gone, while its map files deny URLs; restore it from a backup")
    return Book(map_file + OLD_BOOK).load()


def _denies(text: bytes) -> bool:
    return text.startswith(HEADER) and _telling(text) != _telling(head("", {}))


def _telling(text: bytes) -> list[bytes]:
    """All but the generation, and a line that was another before."""
    return [line for line in text.split(b"\n")[2:] if not line.startswith(CODED)]
