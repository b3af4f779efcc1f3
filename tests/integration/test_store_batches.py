"""Ledger entries of a batch: written together, and still each stands or falls with its own outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import event

from receiver.domain.errors import ConflictError
from receiver.domain.outcome import LedgerNote
from receiver.store import BadRowError, SqlStore
from tests.doubles.store_rows import notice_outcome


def test_refused_entry_fails_alone(store: SqlStore) -> None:
    """Entries of a batch are written together; one that the tables refuse takes down its own outcome only."""
    bad: Any = None
    first, notice, _ = notice_outcome("N-1")
    wrong, lost, _ = notice_outcome("N-2")
    last, other, _ = notice_outcome("N-3")
    wrong = replace(wrong, notes=(LedgerNote(kind="k", subject=bad, actor="iwf"),))
    results = store.commit([first, wrong, last])
    assert [type(result.error) for result in results] == [type(None), BadRowError, type(None)]
    assert [len(store.entries_about(name, 5)) for name in (notice, lost, other)] == [1, 0, 1]
    assert store.find_notice("iwf", "N-2") is None
    assert store.count_unsequenced() == 2


def test_lost_outcome_leaves_no_entry(store: SqlStore) -> None:
    first, notice, _ = notice_outcome("N-1")
    again, second, _ = notice_outcome("N-1")
    results = store.commit([first, again])
    assert [type(result.error) for result in results] == [type(None), ConflictError]
    assert (len(store.entries_about(notice, 5)), store.entries_about(second, 5)) == (1, ())


def test_entries_of_a_batch_share_statements(store: SqlStore) -> None:
    told: list[str] = []

    def record(_conn: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool) -> None:
        told.append(statement)

    event.listen(store._db.backend.writer, "before_cursor_execute", record)
    results = store.commit([notice_outcome(f"N-{number}", items=3)[0] for number in range(8)])
    assert [result.error for result in results] == [None] * 8
    assert sum(statement.startswith("INSERT INTO entry ") for statement in told) == 1
    assert sum(statement.startswith("INSERT INTO entry_detail ") for statement in told) == 1
    assert store.count_unsequenced() == 8
