from __future__ import annotations

import copy
import hashlib
import itertools
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from receiver.ledger.checkpoint import Verifier
from receiver.ledger.copies import CopyContent, CopySet, DirectoryCopy
from receiver.ledger.errors import LedgerForkError
from receiver.ledger.history import lost_by_copy
from receiver.ledger.sequencer import Sequencer
from receiver.ledger.verify import verify_ledger
from tests.doubles.ledger import START, Ledger
from tests.doubles.ledger_store import MemoryLedgerStore

# --- forks and rollbacks


def snapshot(store: MemoryLedgerStore) -> dict[str, Any]:
    return copy.deepcopy({name: value for name, value in vars(store).items() if name != "clock"})


def test_rolled_back_database_is_not_signed(ledger: Ledger) -> None:
    ledger.add(5)
    ledger.sign()
    before = snapshot(ledger.store)
    ledger.add(3)
    ledger.sign()
    vars(ledger.store).update(before)
    with pytest.raises(LedgerForkError, match="rolled back"):
        ledger.sequencer.checkpoint()
    assert not ledger.verify().ok


def test_setting_a_copy_aside_ends_the_alarm(ledger: Ledger) -> None:
    ledger.add(5)
    ledger.sign()
    before = snapshot(ledger.store)
    ledger.add(3)
    ledger.sign()
    vars(ledger.store).update(before)
    ledger.copy_file.rename(ledger.folder / "checkpoints-until-restore.txt")
    assert "lost the checkpoint" in ledger.sequencer.checkpoint().problems[0]
    assert ledger.sequencer.checkpoint().problems == ()
    assert ledger.verify().ok


def test_other_history_is_not_signed(ledger: Ledger) -> None:
    ledger.add(5)
    before = snapshot(ledger.store)
    ledger.add(3)
    ledger.sign()
    vars(ledger.store).update(before)
    ledger.clock.pass_seconds(60)
    ledger.add(6)
    with pytest.raises(LedgerForkError, match="rewritten"):
        ledger.sequencer.checkpoint()
    report = ledger.verify()
    assert not report.ok
    assert any("rewritten" in problem for problem in report.problems)


def test_root_who_signs_again_is_found_by_the_copy(tmp_path: Path, ledger: Ledger) -> None:
    key = Ed25519PrivateKey.generate()
    honest = Ledger(tmp_path, key=key)
    honest.add(50)
    honest.sign()
    # The whole ledger made anew with the true key: only the copy outside knows better.
    forged = Ledger(tmp_path, key=key)
    forged.clock.pass_seconds(1)
    forged.add(60)
    with pytest.raises(LedgerForkError):
        forged.sequencer.checkpoint()
    alone = Sequencer(forged.store, forged.signer, CopySet([]), forged.clock)
    alone.checkpoint()
    assert verify_ledger(forged.store, forged.signer.vkey, CopySet([])).ok
    assert not forged.verify().ok


def test_tampered_tile_is_not_signed(ledger: Ledger) -> None:
    ledger.add(5)
    ledger.sign()
    ledger.store.tiles[0, 0] = bytes(32) + ledger.store.tiles[0, 0][32:]
    with pytest.raises(LedgerForkError):
        ledger.sequencer.checkpoint()


def test_foreign_key_in_a_copy_is_an_alarm(tmp_path: Path, ledger: Ledger) -> None:
    ledger.add(1)
    ledger.sign()
    stranger = Ledger(tmp_path)
    stranger.add(1)
    with pytest.raises(LedgerForkError, match="not signed by this ledger's key"):
        stranger.sequencer.checkpoint()


# --- copies that were touched


def three_checkpoints(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.add(4)
        ledger.sign()


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_cut_copy_is_found(ledger: Ledger, keep: int) -> None:
    three_checkpoints(ledger)
    notes = ledger.copy_file.read_text().split("\n\n")
    cut = "".join(f"{part}\n\n" for part in notes[: 2 * keep])
    ledger.copy_file.write_text(cut)
    assert any("lost the checkpoint" in problem for problem in ledger.verify().problems)
    ledger.add(1)
    assert "lost the checkpoint" in ledger.sequencer.checkpoint().problems[0]


def test_deleted_copy_is_found(ledger: Ledger) -> None:
    three_checkpoints(ledger)
    ledger.copy_file.unlink()
    assert not ledger.verify().ok


def test_reordered_copy_is_found(ledger: Ledger) -> None:
    three_checkpoints(ledger)
    parts = ledger.copy_file.read_text().split("\n\n")[:-1]
    pairs = [parts[0:2], parts[4:6], parts[2:4], parts[4:6]]
    ledger.copy_file.write_text("".join(f"{part}\n\n" for part in itertools.chain(*pairs)))
    assert any("fewer entries" in problem for problem in ledger.verify().problems)


def test_half_a_note_hides_none_after_it(ledger: Ledger) -> None:
    ledger.add(1)
    ledger.sign()
    with ledger.copy_file.open("a") as file:
        file.write("host.example/led")
    ledger.add(1)
    ledger.sign()
    content = next(iter(ledger.copies)).read()
    assert (len(content.notes), content.unreadable) == (2, 16)
    assert any("no checkpoint" in problem for problem in ledger.verify().problems)


def test_long_copy_is_read_from_its_end(ledger: Ledger) -> None:
    ledger.add(1)
    for _ in range(400):
        ledger.copies.append(ledger.signer.sign(size=0, root=hashlib.sha256(b"").digest(), now=START))
    ledger.sign()
    outside = next(iter(ledger.copies))
    assert len(outside.read().notes) == 401
    end = outside.read_end()
    assert 100 < len(end.notes) < 401
    assert end.unreadable == 0
    assert end.last == outside.read().last


def test_newer_checkpoint_in_copy_is_no_loss(ledger: Ledger) -> None:
    """Another sequencer signed between our two looks: the copy has moved on and has lost nothing."""
    ledger.add(3)
    ledger.sign()
    before = ledger.store.last_checkpoint()
    ledger.add(2)
    ledger.sign()
    content = DirectoryCopy(str(ledger.folder)).read()
    newest = CopyContent(notes=content.notes[-1:], unreadable=0)
    verifier = Verifier(ledger.signer.vkey)
    assert lost_by_copy("outside", newest, verifier, before) is None
    assert lost_by_copy("outside", CopyContent(notes=(), unreadable=0), verifier, before) is not None
