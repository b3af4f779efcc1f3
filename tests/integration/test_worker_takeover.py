"""Rows of a worker that died, was replaced or ends are done, and by one worker."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import text

from receiver.domain.status import PRIORITY, Track
from receiver.engine import heartbeat as heartbeat_module
from receiver.store import SqlStore
from tests.doubles.databases import Database
from tests.doubles.numbers import set_numbers
from tests.doubles.worker_stand import Build, Steps, running, wake
from tests.support import wait_until


def dead(store: SqlStore, database: Database, *, silent_seconds: float, slot: str = "b") -> str:
    """A worker that leased a row and was not seen since."""
    worker = store.register_worker("n", slot, "old", 1, "")
    wake(store, "left")
    assert [row.subject for row in store.claim(worker, Track.DELIVER, PRIORITY[Track.DELIVER], 1)] == ["left"]
    engine = database.engine()
    with engine.begin() as conn:
        back = {"back": int(silent_seconds * 1_000_000), "id": worker}
        conn.execute(text("UPDATE worker SET seen_at = seen_at - :back WHERE id = :id"), back)
    engine.dispose()
    return worker


def test_dead_workers_rows_are_taken_over(database: Database, store: SqlStore, steps: Steps, build: Build) -> None:
    dead(store, database, silent_seconds=10.5)
    with running(build(store)):
        wait_until(lambda: steps.subjects == ["left"], "it is taken over")


def test_silent_worker_keeps_its_rows_at_first(database: Database, store: SqlStore, steps: Steps, build: Build) -> None:
    dead(store, database, silent_seconds=4)
    with running(build(store)):
        time.sleep(0.5)
        assert steps.subjects == []
        wake(store, "other")
        wait_until(lambda: steps.subjects == ["other"], "others are worked on")


def test_restarted_worker_takes_over_at_once(database: Database, store: SqlStore, steps: Steps, build: Build) -> None:
    dead(store, database, silent_seconds=0, slot="a")
    with running(build(store, slot="a", boot="new")):
        wait_until(lambda: steps.subjects == ["left"], "it is taken over")


def test_drain_lets_running_steps_end(store: SqlStore, steps: Steps, build: Build) -> None:
    steps.hold["n1"] = threading.Event()
    worker = build(store)
    with running(worker) as thread:
        wake(store, "n1")
        wait_until(lambda: steps.subjects == ["n1"], "it is being worked on")
        worker.stop()
        wake(store, "n2")
        thread.join(0.3)
        assert thread.is_alive()
        steps.hold["n1"].set()
        thread.join(10)
        assert not thread.is_alive()
    assert steps.subjects == ["n1"]
    assert store.list_workers() == ()
    for subject, state in (("n1", "rest"), ("n2", "go")):
        row = store.load_work(Track.DELIVER, subject)
        assert row is not None
        assert (row.owner, row.state) == (None, state)


def test_drain_has_an_end(store: SqlStore, steps: Steps, build: Build) -> None:
    steps.hold["n1"] = threading.Event()
    worker = build(store, drain_seconds=0.2)
    with running(worker) as thread:
        wake(store, "n1")
        wait_until(lambda: steps.subjects == ["n1"], "it is being worked on")
        worker.stop()
        thread.join(5)
        assert not thread.is_alive()
    row = store.load_work(Track.DELIVER, "n1")
    assert row is not None
    assert row.owner is None
    steps.hold["n1"].set()


def test_replaced_worker_ends_itself(
    store: SqlStore, steps: Steps, monkeypatch: pytest.MonkeyPatch, build: Build
) -> None:
    set_numbers(monkeypatch, heartbeat_module, HEARTBEAT_SECONDS=0.05)
    worker = build(store, slot="a", boot="1")
    with running(worker) as thread:
        store.register_worker("n", "a", "2", 2, "")
        thread.join(10)
        assert not thread.is_alive()
    assert not worker.heartbeat.fresh()
