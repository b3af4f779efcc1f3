"""Questions asked all day go by an index, so that a million rows answer as fast as ten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from receiver.domain.status import Track
from receiver.store import SqlStore
from tests.doubles.databases import Database

QUESTIONS: dict[str, Callable[[SqlStore], Any]] = {
    "claim": lambda store: store.claim("me", Track.EXPOSURE, 1, 8),
    "due by class": lambda store: store.due_by_class([(track, 1) for track in Track]),
    "open cases": lambda store: store.list_cases(state="open_", issuer=None, after="A", limit=50),
    "cases in a state": lambda store: store.list_cases(state="watch", issuer=None, after="A", limit=50),
    "items in a status": lambda store: store.list_items("review", after="A", limit=50),
    "undelivered": lambda store: store.undelivered("N", 50),
    "letters nobody sends": lambda store: store.sleeping_letters(["iwf"], after=None, limit=50),
    "late notices": lambda store: store.late_notices(2_000_000_000_000_000, after=None, limit=50),
    "leases": lambda store: store.leases_of("W"),
    "pending entries": lambda store: store.pending_entries(1000),
    "size of the ledger": lambda store: store.ledger_size(),
    "entries about": lambda store: store.entries_about("S", 50),
    "spent": lambda store: store.spent_since("iwf", 2_000_000_000_000_000),
    "open case": lambda store: store.find_open_case("www", b"x"),
    "notice": lambda store: store.find_notice("iwf", "N"),
    "case": lambda store: store.case_has_url("C", "U"),
    "vault": lambda store: store.knows_vault_ref("R"),
    "nonces": lambda store: store.purge_nonces(1),
    "retire": lambda store: store.retire_worker("me"),
    "events of a case": lambda store: store.events_of_case("C"),
    "dead letters": lambda store: store.dead_events(after="A", limit=50),
    "stuck": lambda store: store.stuck_work(50),
    "what waits long": lambda store: store.long_waiting(),
    "what nobody saw gone": lambda store: store.long_unconfirmed(),
    "what is still stuck": lambda store: store.still_stuck(),
    "what falls due soon": lambda store: store.due_within(1),
}
SORTED_IN_MEMORY = {"events of a case"}
"""A handful of rows each."""
SMALL = {"CONSTANT", "worker", "mine"}
"""`mine` is the handful of rows that a claim has just chosen."""


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_question_reads_a_whole_table(name: str, sqlite_database: Database) -> None:
    store = sqlite_database.open()
    asked: list[tuple[str, Any]] = []

    def record(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    engine = store._db.backend.reader
    event.listen(engine, "before_cursor_execute", record)
    QUESTIONS[name](store)
    event.remove(engine, "before_cursor_execute", record)
    told = [pair for pair in asked if pair[0].lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH"))]
    assert told
    for statement, parameters in told:
        with engine.connect() as conn:
            plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        assert [step for step in plan if reads_all(step)] == [], statement
        assert name in SORTED_IN_MEMORY or "USE TEMP B-TREE FOR ORDER BY" not in plan, statement
    store.close()


def reads_all(step: str) -> bool:
    words = step.split()
    return words[0] == "SCAN" and words[1] not in SMALL and "INDEX" not in words


def test_claim_stops_at_the_last_due_row(postgres_database: Database) -> None:
    """A clock that PostgreSQL may not ask once would make a claim read every re-check of the years to come."""
    store = postgres_database.open()
    asked: list[tuple[str, Any]] = []

    def record(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    event.listen(store._db.backend.hasty, "before_cursor_execute", record)
    QUESTIONS["claim"](store)
    (claim,) = [pair for pair in asked if "UPDATE work" in pair[0]]
    with store._db.write() as conn:
        # An empty table is read whole whatever the indexes are.
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        conn.execute(text("SET LOCAL enable_bitmapscan = off"))
        plan = [row[0] for row in conn.exec_driver_sql(f"EXPLAIN {claim[0]}", claim[1])]
    bounds = [line for line in plan if "Index Cond" in line and "due_at <=" in line]
    assert len(bounds) == 1, plan
    store.close()
