"""The early look: never a `false` that our own act could have caused."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import Any

import pytest

from receiver.domain.web import Look, LookTarget, Seen
from receiver.steps import early as module
from receiver.steps.early import EarlyLooks
from tests.doubles.numbers import set_numbers

TARGET: Any = LookTarget(url="u", scheme="https", host="h", port=443, denying=False)


class Later(Executor):
    """Looks only when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Future[Any], Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.jobs.append((future, lambda: fn(*args, **kwargs)))
        return future

    def finish(self) -> None:
        for future, job in self.jobs:
            try:
                future.set_result(job())
            except OSError as exc:
                future.set_exception(exc)
        self.jobs.clear()


class Eye:
    def __init__(self) -> None:
        self.seen: Seen | Exception = Seen.UP

    def look(self, target: LookTarget) -> tuple[Look, ...]:
        if isinstance(self.seen, Exception):
            raise self.seen
        return (Look(address="a", status=200, at=1, vantage="here", verdict=self.seen),)


class Bench:
    def __init__(self) -> None:
        self.eye, self.pool, self.time = Eye(), Later(), 0.0
        self.looks = EarlyLooks(self.eye, self.pool, lambda: self.time)

    def begin(self, seen: Seen | Exception) -> None:
        self.eye.seen = seen
        self.looks.start("c", TARGET)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("seen", "before", "after"),
    [(Seen.UP, True, True), (Seen.GONE, False, None), (Seen.INCONCLUSIVE, None, None), (OSError(), None, None)],
)
def test_only_a_look_before_our_act_says_no(bench: Bench, seen: Any, before: Any, after: Any) -> None:
    bench.begin(seen)
    assert bench.looks.answer("c") is None
    bench.pool.finish()
    bench.time = 5
    bench.looks.act_begins("c")
    assert bench.looks.answer("c") is before
    late = Bench()
    late.begin(seen)
    late.looks.act_begins("c")
    late.time = 5
    late.looks.act_begins("c")
    late.pool.finish()
    assert late.looks.answer("c") is after


def test_look_at_the_same_moment_proves_nothing(bench: Bench) -> None:
    bench.begin(Seen.GONE)
    bench.looks.act_begins("c")
    bench.pool.finish()
    assert bench.looks.answer("c") is None


def test_unstarted_look_is_unknown(bench: Bench) -> None:
    bench.looks.act_begins("never")
    assert bench.looks.answer("never") is None


def test_second_start_keeps_the_first(bench: Bench) -> None:
    bench.begin(Seen.UP)
    bench.begin(Seen.GONE)
    assert len(bench.pool.jobs) == 1


def test_forgotten_look_is_unknown(bench: Bench) -> None:
    bench.begin(Seen.UP)
    bench.pool.finish()
    bench.looks.forget("c")
    bench.looks.forget("c")
    assert bench.looks.answer("c") is None


def test_leftovers_make_room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    set_numbers(monkeypatch, module, MAX_KEPT=2)
    for case in ("a", "b", "c"):
        bench.looks.start(case, TARGET)
    bench.pool.finish()
    assert [bench.looks.answer(case) for case in ("a", "b", "c")] == [None, True, True]
