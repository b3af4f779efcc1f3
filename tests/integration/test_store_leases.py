"""What a worker that is frozen or cut off leaves behind in PostgreSQL is soon free again."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from receiver.domain.errors import StoreUnavailableError
from receiver.domain.outcome import Outcome, Wake
from receiver.domain.status import PRIORITY, Track
from receiver.engine.heartbeat import HEARTBEAT_SECONDS
from receiver.store import SqlStore, postgres_session
from receiver.store.queue import ALIVE_MICROS
from tests.doubles.databases import Database
from tests.doubles.numbers import set_numbers
from tests.support import wait_until


def patience_of(store: SqlStore, setting: str) -> float:
    """Seconds after which the server ends what a connection of this store leaves standing."""
    asked = text("SELECT setting FROM pg_settings WHERE name = :name")
    with store._db.backend.writer.connect() as conn:
        return int(conn.execute(asked, {"name": setting}).scalar_one()) / 1000


def test_frozen_transaction_lets_its_rows_go(postgres_database: Database) -> None:
    """A worker stopped between two statements keeps its locks, and nobody claims a locked row."""
    frozen, other = postgres_database.open(), postgres_database.open()
    other.commit([Outcome(wakes=(Wake(track=Track.DELIVER, subject="n", state="go"),))])
    worker = other.register_worker("n", "b", "1", 1, "")
    conn = frozen._db.backend.writer.connect()
    conn.execute(text("SELECT 1 FROM work WHERE subject = 'n' FOR UPDATE"))
    assert patience_of(frozen, "idle_in_transaction_session_timeout") < ALIVE_MICROS / 1_000_000
    assert other.claim(worker, Track.DELIVER, PRIORITY[Track.DELIVER], 1) == []
    wait_until(
        lambda: other.claim(worker, Track.DELIVER, PRIORITY[Track.DELIVER], 1),
        "the row is free again",
        seconds=60,
    )
    conn.invalidate()
    conn.close()
    for store in (frozen, other):
        store.close()


def test_dead_waiter_lets_its_rows_go(postgres_database: Database) -> None:
    """A worker that was stopped as it waited for a frozen one's row holds that row next, and nobody tells it to end."""
    frozen, waiter, live = (postgres_database.open() for _ in range(3))
    live.commit([Outcome(wakes=(Wake(track=Track.DELIVER, subject="n", state="go"),))])
    row = text("SELECT 1 FROM work WHERE subject = 'n' FOR UPDATE")
    conn = frozen._db.backend.writer.connect()
    conn.execute(row)
    behind = waiter._db.backend.writer.connect()

    def wait_behind() -> None:
        with contextlib.suppress(OperationalError):
            behind.execute(row)

    thread = threading.Thread(target=wait_behind)
    thread.start()
    live.commit([Outcome(wakes=(Wake(track=Track.DELIVER, subject="n", state="go"),))])
    thread.join()
    # Both are waited for at the worst, and a worker that waits must give its next sign of life in time.
    waits = [patience_of(waiter, name) for name in ("idle_in_transaction_session_timeout", "lock_timeout")]
    assert sum(waits) < ALIVE_MICROS / 1_000_000 - HEARTBEAT_SECONDS
    for one in (conn, behind):
        one.invalidate()
        one.close()
    for store in (frozen, waiter, live):
        store.close()


def test_woken_transaction_is_tried_again(postgres_database: Database) -> None:
    """To its worker it is a database that was away, never a mistake in the program that stops the row for a person."""
    store = postgres_database.open()

    def frozen() -> None:
        with store._db.write() as conn:
            conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 100"))
            time.sleep(0.6)
            conn.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailableError):
        frozen()
    assert store.now() > 0
    store.close()


def test_silent_leader_is_followed(postgres_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen process: its kernel answers the keepalives, so only its silence tells."""
    set_numbers(monkeypatch, postgres_session, LEAD_SILENT_SECONDS=1)
    first, second = postgres_database.open(), postgres_database.open()
    silent = first.try_lead("sequencer")
    assert silent is not None
    assert second.try_lead("sequencer") is None
    found: list[postgres_session.AdvisoryLead] = []

    def leads() -> bool:
        lead = second.try_lead("sequencer")
        found.extend([lead] if isinstance(lead, postgres_session.AdvisoryLead) else [])
        return bool(found)

    wait_until(leads, "another leads", seconds=15)
    assert not silent.held()
    assert found[0].held()
    for held in (silent, *found):
        held.release()
    for store in (first, second):
        store.close()


def test_leader_that_asks_stays_leader(postgres_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    set_numbers(monkeypatch, postgres_session, LEAD_SILENT_SECONDS=2)
    store = postgres_database.open()
    lead = store.try_lead("sequencer")
    assert lead is not None
    for _ in range(16):
        time.sleep(0.2)
        assert lead.held()
    assert store.try_lead("sequencer") is None
    lead.release()
    store.close()


def test_late_call_opens_no_connection(postgres_database: Database) -> None:
    """A thread that ends after its store was closed; a connection nobody closes would be a warning here."""
    store = postgres_database.open()
    store._db.backend.call_wakers()
    store.close()
    store._db.backend.call_wakers()
    assert store._db.backend._caller._connection is None  # type: ignore[attr-defined]  # PostgreSQL's alone
