"""The ledger's tables in memory, as raw columns that a test may damage byte by byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from receiver.domain.clock import Clock, to_micros
from receiver.domain.entry import Entry
from receiver.domain.errors import LedgerConflictError
from receiver.domain.ports import StoredCheckpoint, StoredEntry


class MemoryLedgerStore:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.entries: dict[str, dict[str, Any]] = {}
        self.details: dict[str, dict[str, Any]] = {}
        self.unreadable: set[str] = set()
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.checkpoints: dict[int, dict[str, Any]] = {}
        self.numbers: dict[int, str] = {}

    # --- what a test does

    def insert(self, entry: Entry) -> None:
        names = ("id", "at", "kind", "subject", "actor_commit", "detail_commit", "leaf_hash")
        self.entries[entry.id] = {name: getattr(entry, name) for name in names} | {"seq": None}
        self.details[entry.id] = dict(entry.detail)

    def erase_detail(self, entry_id: str) -> None:
        del self.details[entry_id]

    def rows(self) -> Iterator[dict[str, Any]]:
        return iter(self.entries.values())

    # --- the port

    def pending_entries(self, limit: int) -> list[tuple[str, bytes]]:
        waiting = sorted(row["id"] for row in self.entries.values() if row["seq"] is None)
        return [(found, self.entries[found]["leaf_hash"]) for found in waiting[:limit]]

    def count_unsequenced(self) -> int:
        return sum(row["seq"] is None for row in self.entries.values())

    def ledger_size(self) -> int:
        return max(self.numbers, default=-1) + 1

    def tile(self, level: int, n: int) -> bytes | None:
        return self.tiles.get((level, n))

    def tiles_named(self, names: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        return {name: self.tiles[name] for name in names if name in self.tiles}

    def append_to_ledger(
        self, first_seq: int, entries: Sequence[tuple[str, int]], tiles: Sequence[tuple[int, int, bytes]]
    ) -> None:
        if first_seq != self.ledger_size():
            raise LedgerConflictError("another sequencer was faster")
        for found, seq in entries:
            self.entries[found]["seq"] = seq
            self.numbers[seq] = found
        self.tiles.update({(level, n): hashes for level, n, hashes in tiles})

    def save_checkpoint(self, size: int, note: str) -> None:
        self.checkpoints[size] = {"note": note, "copies": [], "created_at": to_micros(self.clock.now())}

    def last_checkpoint(self) -> StoredCheckpoint | None:
        if not self.checkpoints:
            return None
        size = max(self.checkpoints)
        row = self.checkpoints[size]
        return StoredCheckpoint(size=size, note=row["note"], copies=tuple(row["copies"]), created_at=row["created_at"])

    def record_copy(self, size: int, copy_name: str) -> None:
        if copy_name not in self.checkpoints[size]["copies"]:
            self.checkpoints[size]["copies"].append(copy_name)

    def iter_entries(self, first_seq: int, limit: int) -> list[StoredEntry]:
        return [self.load(self.numbers[seq]) for seq in range(first_seq, first_seq + limit) if seq in self.numbers]

    def load(self, entry_id: str) -> StoredEntry:
        if entry_id in self.unreadable:
            raise ValueError("the row does not decode")
        detail = self.details.get(entry_id)
        return StoredEntry(**self.entries[entry_id], detail=None if detail is None else dict(detail))
