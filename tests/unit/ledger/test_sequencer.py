from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from receiver.domain.entry import LedgerNote, make_entry
from receiver.domain.errors import LedgerConflictError
from receiver.domain.ports import LedgerCopies, LedgerStore
from receiver.domain.tree import TreeError
from receiver.ledger.checkpoint import Verifier
from receiver.ledger.copies import CopySet, DirectoryCopy
from receiver.ledger.sequencer import Sequencer
from receiver.ledger.verify import verify_ledger
from tests.doubles.ledger import START, Ledger
from tests.doubles.ledger_store import MemoryLedgerStore


def test_parts_fill_their_ports(ledger: Ledger) -> None:
    store: LedgerStore = ledger.store
    copies: LedgerCopies = ledger.copies
    assert store.ledger_size() == 0
    assert list(copies.names()) == ["outside"]


# --- numbering


def test_entries_are_numbered_by_id(ledger: Ledger) -> None:
    for number in (3, 1, 2):
        note = LedgerNote(kind="k", subject="s", actor="a")
        ledger.store.insert(make_entry(note, id=f"{number:026d}", at=number))
    assert ledger.sequencer.run_once() == 3
    assert [int(entry.id) for entry in ledger.store.iter_entries(0, 9)] == [1, 2, 3]
    assert ledger.sequencer.run_once() == 0


def test_a_batch_takes_a_thousand(ledger: Ledger) -> None:
    note = LedgerNote(kind="k", subject="s", actor="a")
    for number in range(1_001):
        ledger.store.insert(make_entry(note, id=f"{number:026d}", at=number))
    assert [ledger.sequencer.run_once() for _ in range(3)] == [1_000, 1, 0]


def test_a_second_sequencer_is_told(ledger: Ledger) -> None:
    class Overtaken(MemoryLedgerStore):
        def ledger_size(self) -> int:
            return 0 if not self.numbers else super().ledger_size() - 1

    ledger.add(2)
    ledger.store.__class__ = Overtaken
    note = LedgerNote(kind="k", subject="s", actor="a")
    ledger.store.insert(make_entry(note, id="9" * 26, at=1))
    with pytest.raises((LedgerConflictError, TreeError)):
        ledger.sequencer.run_once()


# --- checkpoints


def test_checkpoint_is_a_signed_note(ledger: Ledger) -> None:
    ledger.add(5)
    made = ledger.sequencer.checkpoint(START)
    origin, size, root, time, empty, signature, end = made.note.split("\n")
    assert (origin, size, time, empty, end) == ("host.example/ledger", "5", "time 2026-11-22T12:00:00.000Z", "", "")
    assert signature.startswith("— host.example/ledger ")
    assert Verifier(ledger.signer.vkey).open(made.note).root == made.root
    assert made.copies == ("outside",)
    assert made.problems == ()
    assert root
    last = ledger.store.last_checkpoint()
    assert last is not None
    assert last.copies == ("outside",)
    assert ledger.copy_file.read_text() == made.note + "\n"


def test_an_empty_ledger_can_be_signed(ledger: Ledger) -> None:
    made = ledger.sequencer.checkpoint()
    assert (made.size, made.root) == (0, hashlib.sha256(b"").digest())
    assert ledger.verify().ok


def test_idle_checkpoints_differ_by_time(ledger: Ledger) -> None:
    ledger.add(1)
    ledger.sign()
    ledger.sign()
    first, second = next(iter(ledger.copies)).read().notes
    assert first != second
    assert ledger.verify().ok


def test_checkpoint_falls_due_hourly(ledger: Ledger) -> None:
    assert ledger.sequencer.checkpoint_due()
    ledger.sequencer.checkpoint()
    assert not ledger.sequencer.checkpoint_due()
    ledger.clock.pass_seconds(3_599)
    assert not ledger.sequencer.checkpoint_due()
    ledger.clock.pass_seconds(1)
    assert ledger.sequencer.checkpoint_due()
    ledger.sequencer.checkpoint()
    # A clock set back must not silence the ledger until it catches up.
    ledger.clock.pass_seconds(-7_200)
    assert ledger.sequencer.checkpoint_due()


def test_stock_openssl_verifies_the_signature(tmp_path: Path, ledger: Ledger) -> None:
    if not shutil.which("openssl"):
        assert os.environ.get("CI") != "true"
        pytest.skip("openssl is not installed")
    ledger.add(3)
    note = ledger.sequencer.checkpoint().note
    text, _, signature = note.rpartition("\n\n")
    (tmp_path / "text").write_text(text + "\n")
    (tmp_path / "signature").write_bytes(base64.b64decode(signature.split(" ")[2])[4:])
    public = base64.b64decode(ledger.signer.vkey.split("+", 2)[2])[1:]
    (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + public)
    openssl = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER"]
    command: list[str | Path] = [*openssl, "-inkey", tmp_path / "key.der"]
    files: list[str | Path] = ["-in", tmp_path / "text", "-sigfile", tmp_path / "signature"]
    subprocess.run([*command, *files], check=True, capture_output=True)


def test_unreachable_copy_is_a_problem_only(tmp_path: Path, ledger: Ledger) -> None:
    away = CopySet([DirectoryCopy(str(tmp_path / "unmounted")), *ledger.copies])
    made = Sequencer(ledger.store, ledger.signer, away, ledger.clock).checkpoint()
    assert made.copies == ("outside",)
    assert len(made.problems) == 1
    assert "unmounted" in made.problems[0]
    assert not (tmp_path / "unmounted").exists()
    assert not verify_ledger(ledger.store, ledger.signer.vkey, away).ok
