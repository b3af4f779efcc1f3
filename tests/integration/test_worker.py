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
from receiver.engine import worker as worker_module
from receiver.store import SqlStore
from tests.doubles.databases import Database
from tests.doubles.worker_stand import Build, Steps, Toolbox, running, wake
from tests.support import wait_until


class WrongClock(SystemClock):
    def now(self) -> dt.datetime:
        return super().now() + dt.timedelta(hours=1)


def test_wake_up_call_beats_the_poll(database: Database, steps: Steps, build: Build) -> None:
    """Another process writes; the worker hears of it at once, not at its next look a second later."""
    ours, theirs = database.open(), database.open()
    with running(build(ours)):
        waits = []
        for number in range(5):
            time.sleep(0.02 * number)
            subject, asked = f"n{number}", time.monotonic()
            wake(theirs, subject)
            wait_until(partial(steps.has, subject), "the row is worked on")
            waits.append(dict(steps.taken)[subject] - asked)
    assert sorted(waits)[2] < 0.5
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
    monkeypatch.setattr(worker_module, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(worker_module, "UNHEALTHY_SECONDS", 0.4)
    away = threading.Event()
    beat = store.beat

    def unsure(worker: str) -> None:
        if away.is_set():
            raise StoreUnavailableError("away")
        beat(worker)

    monkeypatch.setattr(store, "beat", unsure)
    worker = build(store)
    with running(worker):
        away.set()
        wait_until(lambda: not worker.heartbeat.fresh(), "the heartbeat is overdue")
        assert not worker.tools.may_act()
        wake(store, "n")
        time.sleep(0.3)
        assert steps.subjects == []
        away.clear()
        wait_until(lambda: steps.subjects == ["n"], "it goes on")


def test_failed_claim_is_tried_again(
    store: SqlStore, steps: Steps, monkeypatch: pytest.MonkeyPatch, build: Build
) -> None:
    claim, failures = store.claim, list(range(3))

    def unsure(*args: Any) -> list[WorkRow]:
        if failures:
            failures.pop()
            raise StoreUnavailableError("away")
        return claim(*args)

    monkeypatch.setattr(store, "claim", unsure)
    with running(build(store)):
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
    monkeypatch.setattr(worker_module, "STRAY_SECONDS", 0.05)
    monkeypatch.setattr(worker_module, "POLL_SECONDS", 0.1)
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
    fresh: Any = Toolbox()
    worker.use(fresh)
    assert worker.tools is not fresh
    assert worker.tools.may_act()
