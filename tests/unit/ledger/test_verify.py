from __future__ import annotations

import pytest

from receiver.domain.entry import LedgerNote, make_entry
from receiver.domain.errors import StoreUnavailableError
from receiver.domain.ports import StoredCheckpoint, StoredEntry
from receiver.ledger.copies import CopySet
from receiver.ledger.errors import LedgerForkError
from receiver.ledger.verify import verify_ledger
from tests.doubles.ledger import Ledger
from tests.doubles.ledger_store import MemoryLedgerStore

# --- verification


def test_sound_ledger_verifies(ledger: Ledger) -> None:
    ledger.add(300)
    ledger.sign()
    ledger.store.erase_detail(f"{7:026d}")
    heard: list[tuple[int, int]] = []
    report = verify_ledger(ledger.store, ledger.signer.vkey, ledger.copies, lambda done, of: heard.append((done, of)))
    assert report.problems == ()
    assert report.ok
    assert (report.size, report.details_checked, report.details_erased) == (300, 299, 1)
    assert report.checkpoint is not None
    assert report.checkpoint.root == report.root
    assert report.remarks == ()
    assert heard == [(300, 300)]


def test_ledger_of_many_segments_verifies(ledger: Ledger) -> None:
    ledger.add(5_200)
    ledger.sign()
    assert ledger.verify().problems == ()
    ledger.store.tiles[0, 3] = bytes(32) + ledger.store.tiles[0, 3][32:]
    assert "tile 0/3 is not what the entries give" in ledger.verify().problems


def test_limits_are_remarked(ledger: Ledger) -> None:
    ledger.add(2)
    ledger.sign()
    ledger.add(1)
    ledger.store.insert(make_entry(LedgerNote(kind="k", subject="s", actor="a"), id="9" * 26, at=1))
    report = verify_ledger(ledger.store, ledger.signer.vkey, CopySet([]))
    assert report.ok
    assert len(report.remarks) == 3


def test_never_signed_ledger_is_not_ok(ledger: Ledger) -> None:
    assert ledger.verify().ok
    ledger.add(1)
    assert not ledger.verify().ok


def test_problems_are_cut_to_a_hundred(ledger: Ledger) -> None:
    ledger.add(150)
    ledger.sign()
    for row in ledger.store.rows():
        row["kind"] = "other"
    problems = ledger.verify().problems
    assert len(problems) == 101
    assert problems[-1] == "and 50 more"


def test_misfiled_checkpoint_is_found(ledger: Ledger) -> None:
    ledger.add(3)
    ledger.sign()
    ledger.store.checkpoints[4] = ledger.store.checkpoints.pop(3)
    assert any("another size" in problem for problem in ledger.verify().problems)


def test_lost_tiles_are_no_comparison(ledger: Ledger) -> None:
    ledger.add(3)
    ledger.sign()
    ledger.store.tiles.clear()
    with pytest.raises(LedgerForkError, match="cannot be compared"):
        ledger.sequencer.checkpoint()


def test_verifying_while_the_sequencer_goes_on(ledger: Ledger) -> None:
    class Busy(MemoryLedgerStore):
        """Entries arrive and are signed between any two questions."""

        def last_checkpoint(self) -> StoredCheckpoint | None:
            found = super().last_checkpoint()
            work()
            return found

        def iter_entries(self, first_seq: int, limit: int) -> list[StoredEntry]:
            work()
            return super().iter_entries(first_seq, limit)

    def work() -> None:
        ledger.store.__class__ = MemoryLedgerStore
        ledger.add(2)
        ledger.sign()
        ledger.store.__class__ = Busy

    ledger.add(3)
    ledger.sign()
    ledger.store.__class__ = Busy
    assert ledger.verify().problems == ()


@pytest.mark.parametrize("which", [0, 100, 199])
def test_missing_entry_is_found(ledger: Ledger, which: int) -> None:
    ledger.add(200)
    ledger.sign()
    del ledger.store.numbers[which]
    assert not ledger.verify().ok


@pytest.mark.parametrize("size", [255, 256, 257])
def test_cut_off_tail_is_found(ledger: Ledger, size: int) -> None:
    ledger.add(100)
    ledger.sign()
    ledger.add(200)
    for seq in range(size, 300):
        del ledger.store.numbers[seq]
    assert any("not there" in problem for problem in ledger.verify().problems)


def test_swapped_entries_are_found(ledger: Ledger) -> None:
    ledger.add(10)
    ledger.sign()
    first, second = ledger.store.numbers[3], ledger.store.numbers[4]
    ledger.store.entries[first]["seq"], ledger.store.entries[second]["seq"] = 4, 3
    ledger.store.numbers.update({3: second, 4: first})
    assert not ledger.verify().ok


def test_one_unreadable_row_hides_no_other(ledger: Ledger) -> None:
    ledger.add(50)
    ledger.sign()
    ledger.store.unreadable.add(f"{7:026d}")
    ledger.store.entries[f"{30:026d}"]["kind"] = "other"
    problems = ledger.verify().problems
    assert len(problems) == 2
    assert problems[0] == "entry 7 is missing or cannot be read"
    assert problems[1].startswith("entry 30:")


def test_column_of_another_type_hides_no_other(ledger: Ledger) -> None:
    ledger.add(50)
    ledger.sign()
    ledger.store.entries[f"{7:026d}"]["leaf_hash"] = "text"
    ledger.store.entries[f"{30:026d}"]["kind"] = "other"
    assert ledger.verify().problems == (
        "entry 7: a column holds a value of another type",
        "entry 30: the entry's columns are not what was hashed",
    )


def test_absent_database_is_no_verdict(ledger: Ledger) -> None:
    class Away(MemoryLedgerStore):
        def iter_entries(self, first_seq: int, limit: int) -> list[StoredEntry]:
            raise StoreUnavailableError("try again later")

    ledger.add(3)
    ledger.store.__class__ = Away
    with pytest.raises(StoreUnavailableError):
        ledger.verify()
