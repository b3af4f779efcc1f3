"""What a proof asks the database is found by a key, so that the millionth entry is proven as fast as the tenth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from receiver.domain.entry import LedgerNote
from receiver.domain.outcome import Outcome
from receiver.domain.tree import TILE_WIDTH
from receiver.ledger.prove import prove
from receiver.store import SqlStore
from tests.doubles.databases import Database
from tests.integration.test_ledger_store import Ledger

Said = list[tuple[str, Any]]
SUBJECT = "case-7"


@contextmanager
def overheard(store: SqlStore) -> Iterator[Said]:
    said: Said = []

    def hear(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.lstrip().startswith("SELECT"):
            said.append((statement, parameters))

    engine = store._db.backend.reader
    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", hear)


@pytest.fixture
def said(store: SqlStore, tmp_path: Path) -> Said:
    """What was asked for one proof, from the entry's subject on, out of more leaves than one tile holds."""
    (tmp_path / "outside").mkdir()
    ledger = Ledger(store, tmp_path / "outside")
    notes = [LedgerNote(kind="k", subject=f"case-{n}", actor="w:1") for n in range(TILE_WIDTH + 44)]
    assert store.commit([Outcome(notes=tuple(notes))])[0].error is None
    while ledger.sequencer.run_once():
        pass
    ledger.sequencer.checkpoint()
    with overheard(store) as asked:
        (entry,) = store.entries_about(SUBJECT, 10)
        assert prove(store, entry).size == TILE_WIDTH + 44
    return asked


def asked_of(said: Said) -> list[str]:
    return [statement.split("FROM ")[1].split()[0] for statement, _ in said]


def test_proof_asks_a_few_questions(said: Said) -> None:
    assert asked_of(said) == ["entry", "checkpoint", "tile", "tile", "tile"]


def test_no_question_of_a_proof_scans(said: Said, database: Database) -> None:
    plan = _sqlite_plan if database.kind == "sqlite" else _postgres_plan
    engine = database.engine()
    with engine.connect() as conn:
        plans = [plan(conn, statement, given) for statement, given in said]
    engine.dispose()
    assert [step for steps in plans for step in steps if not _by_key(step)] == []
    # Tiles by both columns: by the level alone, a proof would read half of the ledger's hashes.
    assert [
        step for steps in plans for step in steps if "tile" in step and not re.search(r"level.* AND .*n\b", step)
    ] == []


def _by_key(step: str) -> bool:
    """The newest checkpoint has no condition: it is the end of its index."""
    return "INDEX" in step.upper() and ("=" in step or "checkpoint" in step)


def _sqlite_plan(conn: Any, statement: str, given: Any) -> list[str]:
    return [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)]


def _postgres_plan(conn: Any, statement: str, given: Any) -> list[str]:
    """Each scan with its condition."""
    # A table of a few rows is read whole whatever the indexes are.
    conn.execute(text("SET LOCAL enable_seqscan = off"))
    conn.execute(text("SET LOCAL enable_bitmapscan = off"))
    plan = "\n".join(row[0] for row in conn.exec_driver_sql(f"EXPLAIN (COSTS OFF) {statement}", given))
    return [" ".join(scan.split()) for scan in re.findall(r"[\w ]+ Scan .*(?:\n +\w+ Cond: .*)?", plan)]
