"""Entries read, opened and checked one by one. What is left of each is its leaf hash, for whoever builds the tree."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

from receiver.domain.entry import verify_entry
from receiver.domain.errors import ReceiverError, StoreUnavailableError
from receiver.domain.ports import StoredEntry
from receiver.domain.tree import HASH_BYTES, TILE_WIDTH

SEGMENT_ENTRIES = 10 * TILE_WIDTH
_NO_LEAF = bytes(HASH_BYTES)


class EntryStore(Protocol):
    """What entries are checked from."""

    def tile(self, level: int, n: int) -> bytes | None: ...
    def iter_entries(self, first_seq: int, limit: int) -> list[StoredEntry]: ...


@dataclass(frozen=True, kw_only=True)
class Leaves:
    """What a segment of entries gave: a hash for each, in order, whatever was found."""

    first: int
    hashes: tuple[bytes, ...]
    problems: tuple[str, ...]
    details_checked: int
    details_erased: int


ReadLeaves = Callable[[int], Generator[Leaves, None, None]]
"""`read(size)` gives the segments of the first `size` entries, in order and without a gap."""


def read_here(store: EntryStore) -> ReadLeaves:
    """One segment after another, in this process."""

    def read(size: int) -> Generator[Leaves, None, None]:
        for number in range(segments_of(size)):
            yield read_segment(store, number, size)

    return read


def segments_of(size: int) -> int:
    return -(-size // SEGMENT_ENTRIES)


def read_segment(store: EntryStore, number: int, size: int) -> Leaves:
    """Raises StoreUnavailableError when the database cannot be read."""
    first = number * SEGMENT_ENTRIES
    return _Segment(store).read(first, min(SEGMENT_ENTRIES, size - first))


class _Segment:
    def __init__(self, store: EntryStore) -> None:
        self._store = store
        self._problems: list[str] = []
        self._checked = self._erased = 0

    def read(self, first: int, count: int) -> Leaves:
        found = self._rows(first, count)
        hashes = tuple([self._leaf(seq, found.get(seq)) for seq in range(first, first + count)])
        return Leaves(
            first=first,
            hashes=hashes,
            problems=tuple(self._problems),
            details_checked=self._checked,
            details_erased=self._erased,
        )

    def _leaf(self, seq: int, entry: StoredEntry | None) -> bytes:
        if entry is None:
            self._problems.append(f"entry {seq} is missing or cannot be read")
            return self._tiled(seq)
        try:
            wrong = verify_entry(entry)
        except (TypeError, AttributeError):
            # SQLite takes a value of any type in any column.
            wrong = ("a column holds a value of another type",)
        if wrong:
            self._problems += [f"entry {seq}: {problem}" for problem in wrong]
        if entry.detail is None:
            self._erased += 1
        else:
            self._checked += 1
        leaf: object = entry.leaf_hash
        return leaf if isinstance(leaf, bytes) and len(leaf) == HASH_BYTES else self._tiled(seq)

    def _tiled(self, seq: int) -> bytes:
        """What the tile says of an entry already found wanting, so that one bad row does not hide the others."""
        place = seq % TILE_WIDTH * HASH_BYTES
        stored = (self._store.tile(0, seq // TILE_WIDTH) or b"")[place : place + HASH_BYTES]
        return stored if len(stored) == HASH_BYTES else _NO_LEAF

    def _rows(self, first: int, count: int) -> dict[int, StoredEntry]:
        try:
            rows = self._store.iter_entries(first, count)
        except StoreUnavailableError:
            raise
        except (ReceiverError, TypeError, ValueError):
            # One row that does not decode must not hide the rest: halve until it is alone.
            if count == 1:
                return {}
            half = count // 2
            return self._rows(first, half) | self._rows(first + half, count - half)
        return {row.seq: row for row in rows if row.seq is not None and first <= row.seq < first + count}
