"""The worker over a real database: woken, taking over, draining, and ending when it must."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from receiver.domain.clock import Clock, SystemClock, to_micros
from receiver.domain.errors import StoreUnavailableError
from receiver.domain.moves import move
from receiver.domain.outcome import Outcome, Wake
from receiver.domain.rows import WorkRow
from receiver.domain.status import PRIORITY, SLOW_LANE, Track
from receiver.engine import runner as runner_module
from receiver.engine import worker as worker_module
from receiver.engine.committer import Committer
from receiver.engine.lanes import plan
from receiver.engine.worker import Identity, Worker
from receiver.pipeline import Step
from receiver.store import SqlStore
from tests.doubles.databases import Database
from tests.support import wait_until


@dataclass
class Toolbox:
    """What the engine itself asks of the tools."""

    may_act: Callable[[], bool] = lambda: True
    clock: Clock = field(default_factory=SystemClock)

    def now(self) -> int:
        return 1


class WrongClock(SystemClock):
    def now(self) -> dt.datetime:
        return super().now() + dt.timedelta(hours=1)


class Steps:
    """Stands for the pipeline: notes each row, waits where it is told to, and lets the row rest."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, float]] = []
        self.hold: dict[str, threading.Event] = {}
        self.then: dict[str, tuple[WorkRow, ...]] = {}

    def __call__(self, row: WorkRow, _tools: Any) -> Step:
        self.taken.append((row.subject, time.monotonic()))
        held = self.hold.get(row.subject)
        if held is not None:
            held.wait(30)
        return Step(outcome=Outcome(work=move(row, "rest")), then=self.then.pop(row.subject, ()))

    def has(self, subject: str) -> bool:
        return subject in self.subjects

    @property
    def subjects(self) -> list[str]:
        return [subject for subject, _ in self.taken]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    made = Steps()
    monkeypatch.setattr(runner_module, "advance", made)
    return made


Build = Callable[..., Worker]


@pytest.fixture
def build() -> Iterator[Build]:
    """Workers with lanes of few threads; what they hold open is closed in the end."""
    held: list[Any] = []

    def one(store: SqlStore, *, slot: str = "a", boot: str = "1", drain_seconds: float = 5.0) -> Worker:
        tools: Any = Toolbox()
        listener, committer = store.wake_listener(), Committer(store)
        held.extend((listener, committer))
        return Worker(
            queue=store,
            committer=committer,
            tools=tools,
            lanes=plan(exposure_threads=2, evidence_threads=1, deliver_threads=3),
            identity=Identity(node="n", slot=slot, boot=boot, pid=1, config_sha256=""),
            wait_for_call=listener.wait,
            drain_seconds=drain_seconds,
        )

    yield one
    for thing in held:
        thing.close()


@contextmanager
def running(worker: Worker) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop()
        thread.join(20)
        assert not thread.is_alive()


def wake(store: SqlStore, *subjects: str, track: Track = Track.DELIVER, priority: int | None = None) -> None:
    wakes = tuple(Wake(track=track, subject=s, state="go", priority=priority) for s in subjects)
    (result,) = store.commit([Outcome(wakes=wakes)])
    assert result.error is None


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
    monkeypatch.setattr(worker_module, "HEARTBEAT_SECONDS", 0.05)
    worker = build(store, slot="a", boot="1")
    with running(worker) as thread:
        store.register_worker("n", "a", "2", 2, "")
        thread.join(10)
        assert not thread.is_alive()
    assert not worker.heartbeat.fresh()


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
