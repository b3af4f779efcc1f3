"""The files that nginx includes: the map file, and in `<map_file>.d` what it names.

A file in that folder is named by the digest of what is in it, and never changes. So a new map file brings a change
whole, the one before can be put back, and a file that somebody edited is known by its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Optional

from adapters.nginx.files import make_folder_like, read_or_empty, write_all_durably
from adapters.nginx.operations import View
from adapters.nginx.places import Node, group_of
from adapters.nginx.rules import HEADER, KINDS, head, include, map_lines

SUFFIX = ".d"


@dataclass(frozen=True)
class Tree:
    """What a new map file needs: files to write, by name, and how it differs from the one before."""

    files: Mapping[str, bytes]
    nodes: Mapping[Node, Optional[str]]
    """The changed ones; None for a node that has nothing left to hold."""
    groups: Mapping[Node, str]
    """All of them, for the map file."""


class MapFiles:
    def __init__(self, map_file: str) -> None:
        if set("*?[") & set(map_file):
            raise ValueError("map_file must hold none of * ? [, which nginx would take for a pattern")
        self._map_file, self._folder = map_file, map_file + SUFFIX

    def head(self, groups: Mapping[Node, str], generation: int) -> bytes:
        within: dict[str, list[bytes]] = {kind: [] for kind in KINDS}
        for (kind, _), name in sorted(groups.items()):
            within[KINDS[kind]].append(include(os.path.join(self._folder, name)))
        return head(str(generation), within)

    def tree(self, view: View, nodes: Iterable[Node]) -> Tree:
        """With what these places and their groups are to hold now; all others as they are."""
        files: dict[str, bytes] = {}
        changed: dict[Node, Optional[str]] = {}

        def put(node: Node, lines: list[bytes]) -> None:
            body = b"\n".join([HEADER, *lines, b""])
            changed[node] = name = _name(node, body) if lines else None
            if name is not None:
                files[name] = body

        places = sorted(set(nodes))
        for node in places:
            put(node, map_lines(KINDS[node[0]], view.keys(node)))
        for group in sorted({group_of(node) for node in places}):
            names = _overlaid(view.names_below(group), {one: changed[one] for one in places if group_of(one) == group})
            put(group, [include(os.path.join(self._folder, names[node])) for node in sorted(names)])
        before = view.names(changed)
        groups = _overlaid(view.group_names(), {node: name for node, name in changed.items() if node[1] < 0})
        differing = {node: name for node, name in changed.items() if before.get(node) != name}
        return Tree(files, differing, groups)

    def write(self, files: Mapping[str, bytes]) -> None:
        """Durably, before any map file names them. What stands there as it should is left alone."""
        if not files:
            return
        make_folder_like(self._folder, self._map_file)
        missing = {name: body for name, body in files.items() if not self.holds(name)}
        write_all_durably(self._folder, missing, like=self._map_file)

    def holds(self, name: str) -> bool:
        """Whether that file is there and is what its name says."""
        body = read_or_empty(os.path.join(self._folder, name))
        return bool(body) and name == _rename(name, body)

    def are_lost(self, text: bytes) -> bool:
        """Whether a file is gone that nginx would look for with this map file."""
        there, groups = self.names(), self._included(text)
        if groups - there:
            return True
        return any(self._included(read_or_empty(os.path.join(self._folder, name))) - there for name in groups)

    def _included(self, text: bytes) -> set[str]:
        after = b'";'
        before = include(os.path.join(self._folder, "")).removesuffix(after)
        lines = (line for line in text.split(b"\n") if line.startswith(before) and line.endswith(after))
        return {os.fsdecode(line[len(before) : -len(after)]) for line in lines}

    def names(self) -> set[str]:
        with contextlib.suppress(FileNotFoundError):
            return set(os.listdir(self._folder))
        return set()

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._folder, name))


def _overlaid(before: Mapping[Node, str], changed: Mapping[Node, Optional[str]]) -> dict[Node, str]:
    both = {**before, **changed}
    return {node: name for node, name in both.items() if name is not None}


def _name(node: Node, body: bytes) -> str:
    kind, number = KINDS[node[0]], node[1]
    what = f"{kind}-{number:04d}" if number >= 0 else f"{kind}-group-{-1 - number:02d}"
    return f"{what}-{digest(body)[:32]}.conf"


def _rename(name: str, body: bytes) -> str:
    """As that file would be named with this in it."""
    return f"{name.rpartition('-')[0]}-{digest(body)[:32]}.conf"


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
