"""The worker over a real database: woken, claiming what is due, once."""

from __future__ import annotations

import datetime as dt
import threading
import time
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from receiver.domain.clock import SystemClock, to_micros
from receiver.domain.errors import StoreUnavailableError
from receiver.domain.outcome import Outcome, Wake
from receiver.domain.rows import WorkRow
from receiver.domain.status import PRIORITY, SLOW_LANE, Track
from receiver.engine import heartbeat as heartbeat_module
from receiver.engine import worker as worker_module
from receiver.store import SqlStore
from tests.doubles.databases import Database
from tests.doubles.numbers import set_numbers
from tests.doubles.worker_stand import Build, Steps, Toolbox, running, wake
from tests.support import wait_until


class UnsureQueue:
    """A store's queue that now and then cannot be reached."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.is_away = False
        self.failing_claims = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def beat(self, worker: str) -> None:
        if self.is_away:
            raise StoreUnavailableError("away")
        self._store.beat(worker)

    def claim(self, worker: str, track: Track, priority: int, limit: int) -> list[WorkRow]:
        if self.failing_claims:
            self.failing_claims -= 1
            raise StoreUnavailableError("away")
        return self._store.claim(worker, track, priority, limit)


class WrongClock(SystemClock):
    def now(self) -> dt.datetime:
        return super().now() + dt.timedelta(hours=1)


def test_wake_up_call_beats_the_poll(
    database: Database, steps: Steps, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes; the worker hears of it, and does not wait for its next look, which is far away here."""
    set_numbers(monkeypatch, worker_module, POLL_SECONDS=600)
    ours, theirs = database.open(), database.open()
    with running(build(ours)):
        for number in range(5):
            time.sleep(0.02 * number)
            wake(theirs, f"n{number}")
            wait_until(partial(steps.has, f"n{number}"), "the row is worked on", seconds=60)
    for store in (ours, theirs):
        store.close()


def test_future_row_waits_for_its_time(store: SqlStore, steps: Steps, build: Build) -> None:
    due = store.now() + 400_000
    store.commit([Outcome(wakes=(Wake(track=Track.DELIVER, subject="n", state="go", due_at=due),))])
    with running(build(store)):
        wait_until(lambda: steps.subjects == ["n"], "it is worked on when due")
        assert store.now() >= due


def test_overdue_heartbeat_claims_nothing(
    store: SqlStore, steps: Steps, monkeypatch: pytest.MonkeyPatch, build: Build
) -> None:
    set_numbers(monkeypatch, heartbeat_module, HEARTBEAT_SECONDS=0.05, UNHEALTHY_SECONDS=0.4)
    queue = UnsureQueue(store)
    worker = build(store, queue=queue)
    with running(worker):
        queue.is_away = True
        wait_until(lambda: not worker.heartbeat.fresh(), "the heartbeat is overdue")
        wake(store, "n")
        time.sleep(0.3)
        assert steps.subjects == []
        queue.is_away = False
        wait_until(lambda: steps.subjects == ["n"], "it goes on")


def test_rows_taken_meanwhile_are_not_begun(
    store: SqlStore, database: Database, steps: Steps, monkeypatch: pytest.MonkeyPatch, build: Build
) -> None:
    """A notice's rows wait in their lane, leased; a worker that was out of reach for long asks whose they are."""
    set_numbers(monkeypatch, heartbeat_module, HEARTBEAT_SECONDS=0.05, UNHEALTHY_SECONDS=0.4)
    queue = UnsureQueue(store)
    worker = build(store, queue=queue)
    steps.hold = {subject: threading.Event() for subject in ("busy1", "busy2")}
    wake(store, "busy1", "busy2", "taken", "left", track=Track.EXPOSURE)
    leased = store.claim(worker.heartbeat.worker, Track.EXPOSURE, PRIORITY[Track.EXPOSURE], 4)
    steps.then["first"] = tuple(sorted(leased, key=lambda row: row.subject))
    wake(store, "first", track=Track.RESOLVE)
    with running(worker):
        wait_until(lambda: {"busy1", "busy2"} <= set(steps.subjects), "both threads are busy")
        queue.is_away = True
        wait_until(lambda: not worker.heartbeat.fresh(), "the heartbeat is overdue")
        engine = database.engine()
        with engine.begin() as conn:
            conn.execute(
                text("UPDATE work SET owner = 'other', epoch = epoch + 1, due_at = NULL WHERE subject = 'taken'")
            )
        engine.dispose()
        queue.is_away = False
        for held in steps.hold.values():
            held.set()
        wait_until(lambda: "left" in steps.subjects, "what is still ours goes on")
        wait_until(lambda: not store.leases_of(worker.heartbeat.worker), "all is done")
    assert "taken" not in steps.subjects


def test_failed_claim_is_tried_again(store: SqlStore, steps: Steps, build: Build) -> None:
    queue = UnsureQueue(store)
    queue.failing_claims = 3
    with running(build(store, queue=queue)):
        wake(store, "n")
        wait_until(lambda: steps.subjects == ["n"], "it is worked on")


def test_slow_lane_delays_nobody(store: SqlStore, steps: Steps, build: Build) -> None:
    failing = [f"dead{n}" for n in range(5)]
    steps.hold = {subject: threading.Event() for subject in failing}
    wake(store, *failing, priority=SLOW_LANE)
    with running(build(store)):
        wait_until(lambda: any(s in steps.subjects for s in failing), "a dead endpoint is being tried")
        wake(store, "good")
        wake(store, "case", track=Track.EVIDENCE)
        wait_until(lambda: {"good", "case"} <= set(steps.subjects), "the others are heard")
        # Two threads are busy, and no more is leased than there are threads.
        assert len([s for s in failing if s in steps.subjects]) == 2
        for held in steps.hold.values():
            held.set()
        wait_until(lambda: set(failing) <= set(steps.subjects), "the dead ones are tried too")


def test_rows_leased_by_an_outcome_run_at_once(store: SqlStore, steps: Steps, build: Build) -> None:
    worker = build(store)
    wake(store, "second", track=Track.EXPOSURE)
    (leased,) = store.claim(worker.heartbeat.worker, Track.EXPOSURE, PRIORITY[Track.EXPOSURE], 1)
    steps.then["first"] = (leased,)
    wake(store, "first", track=Track.RESOLVE)
    with running(worker):
        wait_until(lambda: steps.subjects == ["first", "second"], "both are worked on")


def test_stray_lease_is_given_back(
    store: SqlStore, steps: Steps, monkeypatch: pytest.MonkeyPatch, build: Build
) -> None:
    """The answer of a claim was lost: the row is ours, and nobody here works on it."""
    set_numbers(monkeypatch, worker_module, STRAY_SECONDS=0.05, POLL_SECONDS=0.1)
    worker = build(store)
    wake(store, "n")
    assert store.claim(worker.heartbeat.worker, Track.DELIVER, PRIORITY[Track.DELIVER], 1)
    with running(worker):
        wait_until(lambda: steps.subjects == ["n"], "it is claimed again")


def test_forgotten_claim_is_not_worked_on_twice(
    store: SqlStore, database: Database, steps: Steps, build: Build
) -> None:
    """A server that crashed may lose the newest claims; the same lease is then given out a second time."""
    steps.hold["n"] = threading.Event()
    worker = build(store)
    with running(worker):
        wake(store, "n", track=Track.EXPOSURE)
        wait_until(lambda: "n" in steps.subjects, "it is being worked on")
        engine = database.engine()
        with engine.begin() as conn:
            conn.execute(text("UPDATE work SET owner = NULL, epoch = epoch - 1 WHERE subject = 'n'"))
        engine.dispose()
        wait_until(lambda: (Track.EXPOSURE, "n", 1) in store.leases_of(worker.heartbeat.worker), "it is claimed again")
        wake(store, "last", track=Track.EXPOSURE)
        wait_until(lambda: "last" in steps.subjects, "others are worked on")
        assert steps.subjects.count("n") == 1
        steps.hold["n"].set()
        wait_until(lambda: not store.leases_of(worker.heartbeat.worker), "its one thread ends it")


def test_due_times_follow_the_database(store: SqlStore, steps: Steps, build: Build) -> None:
    """A worker whose clock is an hour off would else let a failed act wait for an hour, or none at all."""
    worker = build(store)
    late: Any = Toolbox(clock=WrongClock())
    worker.use(late)
    assert abs(to_micros(worker.tools.clock.now()) - store.now()) < 60_000_000


def test_new_tools_serve_the_next_step(store: SqlStore, steps: Steps, build: Build) -> None:
    worker = build(store)
    later: Any = Toolbox(may_act=lambda: False)
    worker.use(later)
    assert worker.tools.may_act is later.may_act
