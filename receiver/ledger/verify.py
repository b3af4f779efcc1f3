"""Recompute the whole ledger from its entries and compare it with everything that was ever said about it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from receiver.domain.ports import LedgerStore, StoredCheckpoint
from receiver.domain.tree import HASH_BYTES, TILE_WIDTH, Appended, Tree, append
from receiver.ledger.checkpoint import Checkpoint, Verifier
from receiver.ledger.copies import CopyContent, CopySet
from receiver.ledger.errors import LedgerCopyError, LedgerReaderError
from receiver.ledger.history import contradiction, copy_problems, lost_by_copy, read_note
from receiver.ledger.leaves import Leaves, ReadLeaves, read_here

MAX_PROBLEMS = 100

Progress = Callable[[int, int], object]
"""`progress(done, of)` in entries."""


@dataclass(frozen=True, kw_only=True)
class LedgerReport:
    """`problems` are reasons to distrust; `remarks` are limits of what this check could say."""

    ok: bool
    size: int
    root: bytes
    details_checked: int
    details_erased: int
    checkpoint: Checkpoint | None
    problems: tuple[str, ...]
    remarks: tuple[str, ...]


def verify_ledger(
    store: LedgerStore,
    vkey: str,
    copies: CopySet,
    progress: Progress | None = None,
    read: ReadLeaves | None = None,
) -> LedgerReport:
    """Leaves, commitments, numbers, tiles, root, signature and copies. Finds every changed byte of them.

    `read` reads and checks the entries; left out, this process does. Raises StoreUnavailableError when the database
    cannot be read to the end, LedgerKeyError for a bad `vkey`.
    """
    verifier = Verifier(vkey)
    # In this order, since the sequencer may go on meanwhile: what is read later has at least what was read before.
    last = store.last_checkpoint()
    problems, contents = _read_copies(copies)
    audit = _Audit(store, store.ledger_size())
    audit.run(read or read_here(store), progress)
    tree = Tree(store.tile, audit.size)
    checkpoint, doubts = _check_last(last, verifier, tree) if last is not None else (None, [])
    problems += [*audit.problems, *doubts]
    if last is None and audit.size:
        problems.append("no checkpoint was ever signed; run `ledger checkpoint`")
    for name, content in contents:
        problems += copy_problems(name, content, verifier, tree)
        lost = lost_by_copy(name, content, verifier, last)
        problems += [lost] if lost else []
    remarks = _remarks(copies, checkpoint, audit.size, store.count_unsequenced())
    return LedgerReport(
        ok=not problems,
        size=audit.size,
        root=audit.root,
        details_checked=audit.details_checked,
        details_erased=audit.details_erased,
        checkpoint=checkpoint,
        problems=_shortened(problems),
        remarks=tuple(remarks),
    )


def _check_last(last: StoredCheckpoint, verifier: Verifier, tree: Tree) -> tuple[Checkpoint | None, list[str]]:
    name = "the last checkpoint"
    checkpoint, wrong = read_note(name, last.note, verifier)
    wrong = wrong or (contradiction(name, checkpoint, tree) if checkpoint else None)
    problems = [wrong] if wrong else []
    if checkpoint is not None and checkpoint.size != last.size:
        problems.append(f"{name} is filed under another size than it was signed for")
    return checkpoint, problems


def _read_copies(copies: CopySet) -> tuple[list[str], list[tuple[str, CopyContent]]]:
    problems, contents = [], []
    for copy in copies:
        try:
            contents.append((copy.name, copy.read()))
        except LedgerCopyError as error:
            problems.append(str(error))
    return problems, contents


def _remarks(copies: CopySet, checkpoint: Checkpoint | None, size: int, unsequenced: int) -> list[str]:
    remarks = []
    if not list(copies.names()):
        remarks.append("no copy outside: whoever is root here could have rewritten everything; set [ledger] copy_to")
    if checkpoint is not None and checkpoint.size < size:
        remarks.append(f"{size - checkpoint.size} entries are newer than the last checkpoint")
    if unsequenced:
        remarks.append(f"{unsequenced} entries wait for their number")
    return remarks


def _shortened(problems: list[str]) -> tuple[str, ...]:
    if len(problems) <= MAX_PROBLEMS:
        return tuple(problems)
    return (*problems[:MAX_PROBLEMS], f"and {len(problems) - MAX_PROBLEMS} more")


class _Audit:
    """Builds a tree of its own from what every entry gave, and compares the stored tiles with it."""

    def __init__(self, store: LedgerStore, size: int) -> None:
        self.size = size
        self.problems: list[str] = []
        self.root = b""
        self.details_checked = self.details_erased = 0
        self._store = store
        self._newest: dict[int, tuple[int, bytes]] = {}

    def run(self, read: ReadLeaves, progress: Progress | None) -> None:
        built = append(self._own_tile, 0, ())
        with contextlib.closing(read(self.size)) as segments:
            for leaves in segments:
                built = append(self._own_tile, self._taken(built.size, leaves), leaves.hashes)
                self._compare_tiles(built)
                if progress:
                    progress(built.size, self.size)
        if built.size != self.size:
            raise LedgerReaderError(f"{built.size} of {self.size} entries were read; there is no verdict")
        self.root = built.root
        if self._store.ledger_size() == self.size:
            self._find_surplus()

    def _taken(self, place: int, leaves: Leaves) -> int:
        """Where the segment belongs: behind the one before it, and nowhere else."""
        if leaves.first != place:
            raise LedgerReaderError(
                f"entries from {leaves.first} were read where {place} was next; there is no verdict"
            )
        self.problems += leaves.problems
        self.details_checked += leaves.details_checked
        self.details_erased += leaves.details_erased
        return place

    def _find_surplus(self) -> None:
        """Hashes behind the last entry are what is left of entries that somebody took away."""
        level, width = 0, self.size
        while True:
            n, count = divmod(width, TILE_WIDTH)
            if len(self._store.tile(level, n) or b"") > count * HASH_BYTES:
                self.problems.append(f"tile {level}/{n} holds hashes of entries that are not there")
            if not width:
                return
            level, width = level + 1, n

    def _own_tile(self, level: int, n: int) -> bytes | None:
        newest = self._newest.get(level)
        return newest[1] if newest and newest[0] == n else None

    def _compare_tiles(self, built: Appended) -> None:
        for level, n, hashes in built.tiles:
            self._newest[level] = (n, hashes)
            stored = self._store.tile(level, n) or b""
            if stored[: len(hashes)] != hashes:
                self.problems.append(f"tile {level}/{n} is not what the entries give")
