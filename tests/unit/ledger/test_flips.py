from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from receiver.domain.entry import verify_entry
from tests.doubles.ledger import Ledger
from tests.doubles.ledger_store import MemoryLedgerStore

# --- every flipped byte

Undo = Callable[[], object]


def flips_of(table: dict[Any, Any], key: Any, *, every: int = 1, start: int = 0) -> Iterator[Undo]:
    """Flip one byte of one column after another; the test calls what comes out to put it right again."""
    value = table[key]
    if isinstance(value, int):
        table[key] = value ^ 1
        yield lambda: table.__setitem__(key, value)
        return
    data = value.encode() if isinstance(value, str) else value
    for at in range(start % every, len(data), every):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        table[key] = flipped.decode("utf-8", "replace") if isinstance(value, str) else flipped
        yield lambda: table.__setitem__(key, value)


def flips_of_entry(store: MemoryLedgerStore, entry: str) -> Iterator[Undo]:
    for column in ("id", "at", "kind", "subject", "actor_commit", "detail_commit", "leaf_hash"):
        yield from flips_of(store.entries[entry], column)
    for column in ("salt_actor", "actor", "salt_detail", "detail"):
        yield from flips_of(store.details[entry], column)


def flips_of_tiles(store: MemoryLedgerStore, every: int) -> Iterator[Undo]:
    for number, tile in enumerate(store.tiles):
        yield from flips_of(store.tiles, tile, every=every, start=number)


def flips_of_notes(store: MemoryLedgerStore) -> Iterator[Undo]:
    for row in store.checkpoints.values():
        yield from flips_of(row, "note")


def flip_file(path: Path) -> Iterator[Undo]:
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        yield lambda: path.write_bytes(data)


def missed_by_verify(ledger: Ledger, flips: Iterator[Undo]) -> tuple[int, int]:
    tried = missed = 0
    for undo in flips:
        tried += 1
        missed += ledger.verify().ok
        undo()
    assert ledger.verify().ok
    return tried, missed


def test_every_flipped_byte_is_found(ledger: Ledger) -> None:
    ledger.add(6)
    ledger.sign()
    entries = itertools.chain.from_iterable(flips_of_entry(ledger.store, entry) for entry in ledger.store.entries)
    rest = (flips_of_tiles(ledger.store, 1), flips_of_notes(ledger.store), flip_file(ledger.copy_file))
    tried, missed = missed_by_verify(ledger, itertools.chain(entries, *rest))
    assert tried > 1_500
    assert missed == 0


def test_every_flipped_byte_of_200_entries_is_found(ledger: Ledger) -> None:
    ledger.add(200)
    ledger.sign()
    assert ledger.verify().ok
    tried = missed = 0
    for entry in list(ledger.store.entries):
        for undo in flips_of_entry(ledger.store, entry):
            tried += 1
            missed += not verify_entry(ledger.store.load(entry))
            undo()
    assert tried > 40_000
    assert missed == 0
    tried, missed = missed_by_verify(ledger, flips_of_tiles(ledger.store, 61))
    assert tried > 100
    assert missed == 0
