"""The sequencer and the verifier on real databases, and what they say after somebody wrote past the receiver."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from receiver.domain.clock import SystemClock
from receiver.domain.entry import LedgerNote
from receiver.domain.outcome import Outcome
from receiver.ledger.checkpoint import Signer, Verifier
from receiver.ledger.copies import CopySet, DirectoryCopy
from receiver.ledger.errors import LedgerForkError
from receiver.ledger.prove import check_proof, prove
from receiver.ledger.sequencer import Sequencer
from receiver.ledger.verify import LedgerReport, verify_ledger
from receiver.store import SqlStore, upgrade
from tests.doubles.databases import Database


class Ledger:
    def __init__(self, store: SqlStore, folder: Path) -> None:
        self.store = store
        self.signer = Signer("host.example/ledger", Ed25519PrivateKey.generate())
        self.copies = CopySet([DirectoryCopy(str(folder))])
        self.sequencer = Sequencer(store, self.signer, self.copies, SystemClock())

    def add(self, count: int) -> None:
        detail = {"size_bytes": 7, "raw": b"\xff", "way": {"b64": "/w=="}, "text": "ä"}
        notes = tuple(
            LedgerNote(kind="resource.blocked", subject=f"case-{n}", actor="w:1", detail=detail) for n in range(count)
        )
        results = self.store.commit([Outcome(notes=notes)])
        assert [result.error for result in results] == [None]
        while self.sequencer.run_once():
            pass

    def verify(self) -> LedgerReport:
        return verify_ledger(self.store, self.signer.vkey, self.copies)


@pytest.fixture
def ledger(store: SqlStore, tmp_path: Path) -> Ledger:
    folder = tmp_path / "outside"
    folder.mkdir()
    return Ledger(store, folder)


def behind_the_back(database: Database, sql: str) -> None:
    engine = database.engine()
    with engine.begin() as conn:
        if database.kind == "sqlite":
            names = conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
            for name in names:
                conn.execute(text(f'DROP TRIGGER "{name}"'))
        else:
            conn.execute(text("SET session_replication_role = replica"))
        assert conn.execute(text(sql)).rowcount
    engine.dispose()


def test_stored_ledger_verifies_and_proves(ledger: Ledger) -> None:
    ledger.add(300)
    made = ledger.sequencer.checkpoint()
    assert made.problems == ()
    ledger.add(20)
    report = ledger.verify()
    assert report.problems == ()
    assert (report.size, report.details_checked) == (320, 320)
    assert ledger.sequencer.checkpoint().size == 320
    entry = ledger.store.iter_entries(270, 1)[0]
    assert check_proof(prove(ledger.store, entry), Verifier(ledger.signer.vkey)) == ()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entry SET kind = 'evidence.destroyed' WHERE seq = 5",
        "UPDATE entry SET at = at + 1 WHERE seq = 5",
        (
            "UPDATE entry_detail SET data = (SELECT data FROM entry_detail ORDER BY entry LIMIT 1)"
            " WHERE entry = (SELECT id FROM entry WHERE seq = 5)"
        ),
        "DELETE FROM entry WHERE seq = 5",
        "DELETE FROM entry WHERE seq >= 5",
        "DELETE FROM tile",
        "UPDATE checkpoint SET note = ''",
        "UPDATE checkpoint SET size = size + 1",
    ],
)
def test_writing_past_the_receiver_is_found(ledger: Ledger, database: Database, sql: str) -> None:
    ledger.add(10)
    ledger.sequencer.checkpoint()
    assert ledger.verify().ok
    behind_the_back(database, sql)
    assert not ledger.verify().ok


@pytest.mark.parametrize("column", ["at", "kind", "subject", "actor_commit", "detail_commit", "leaf_hash", "data"])
@pytest.mark.parametrize("value", ["'text'", "7", "0.5", "x'ff'", "x''"])
def test_value_of_another_type_is_found(tmp_path: Path, column: str, value: str) -> None:
    """SQLite takes anything in any column; the other entries are checked all the same."""
    url = f"sqlite:///{tmp_path}/receiver.db"
    upgrade(url)
    database = Database(kind="sqlite", url=url, data_dir=tmp_path)
    store = database.open()
    try:
        (tmp_path / "outside").mkdir()
        ledger = Ledger(store, tmp_path / "outside")
        ledger.add(10)
        ledger.sequencer.checkpoint()
        entry = f"UPDATE entry SET {column} = {value} WHERE seq = 5"
        detail = f"UPDATE entry_detail SET data = {value} WHERE entry = (SELECT id FROM entry WHERE seq = 5)"
        behind_the_back(database, detail if column == "data" else entry)
        behind_the_back(database, "UPDATE entry SET at = at + 1 WHERE seq = 7")
        problems = ledger.verify().problems
    finally:
        store.close()
    assert any(problem.startswith(("entry 5:", "entry 5 ")) for problem in problems)
    assert any(problem.startswith("entry 7:") for problem in problems)


def test_cut_ledger_is_not_signed_again(ledger: Ledger, database: Database) -> None:
    ledger.add(10)
    ledger.sequencer.checkpoint()
    behind_the_back(database, "DELETE FROM entry WHERE seq >= 5")
    with pytest.raises(LedgerForkError):
        ledger.sequencer.checkpoint()
