"""Sweeps: one at a time over all machines, and a success only where there was one."""

from __future__ import annotations

from typing import Any, cast

import pytest

from receiver.domain.errors import StoreUnavailableError
from receiver.domain.outcome import CommitResult, Outcome
from receiver.domain.ports import PageRow, Queue
from receiver.domain.status import Track
from receiver.engine.sweeps import AT_ONCE, Sweep, Sweeper, sweeps_for
from tests.doubles.case_rows import NOW, SECOND
from tests.support import wait_until


class Book:
    """The queue, the reads and the committer, as far as sweeps need them."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.purged: list[int] = []
        self.sleeping: tuple[str, ...] = ()
        self.late: tuple[str, ...] = ()
        self.outcomes: list[Outcome] = []
        self.pages: list[PageRow] = []

    def now(self) -> int:
        return NOW

    def sweep_done(self, name: str) -> None:
        self.done.append(name)

    def purge_nonces(self, before_at: int) -> int:
        self.purged.append(before_at)
        return len(self.purged) - 1

    def sleeping_letters(self, issuers: Any, *, after: str | None, limit: int) -> tuple[str, ...]:
        assert issuers == ("iwf",)
        return tuple(n for n in self.sleeping if n > (after or ""))[:limit]

    def late_notices(self, now: int, *, after: str | None, limit: int) -> tuple[str, ...]:
        assert now == NOW
        return tuple(n for n in self.late if n > (after or ""))[:limit]

    def last_paged(self, kind: str) -> dict[str, tuple[int, bool]]:
        return {p.subject: (p.last_at, p.acknowledged_at is None) for p in self.pages if p.kind == kind}

    def open_pages(self, limit: int) -> tuple[PageRow, ...]:
        return tuple(self.pages)[:limit]

    def submit(self, outcome: Outcome) -> CommitResult:
        self.outcomes.append(outcome)
        return CommitResult()


class FreeLead:
    def __init__(self) -> None:
        self.released = 0

    def held(self) -> bool:
        return True

    def release(self) -> None:
        self.released += 1


def jobs(book: Any, swept: list[str]) -> dict[str, Sweep]:
    vault = Sweep(name="vault_orphans", every_seconds=3600, job=lambda: swept.append("vault"))
    made = sweeps_for(book, book, book, page_again_minutes=(10, 30), issuers=("iwf",), others=(vault,))
    return {s.name: s for s in made}


def sweeper(book: Any, sweep: Sweep, lead: Any) -> Sweeper:
    return Sweeper((sweep,), queue=book, lead=lambda _name: lead)


def test_led_sweep_notes_its_success() -> None:
    book, lead, ran = Book(), FreeLead(), list[int]()
    sweep = Sweep(name="x", every_seconds=1, job=lambda: ran.append(1))
    sweeper(book, sweep, lead)._run(sweep)
    assert (ran, book.done, lead.released) == ([1], ["x"], 1)


def test_lead_held_elsewhere_runs_nothing() -> None:
    book, ran = Book(), list[int]()
    sweep = Sweep(name="x", every_seconds=1, job=lambda: ran.append(1))
    sweeper(book, sweep, None)._run(sweep)
    assert (ran, book.done) == ([], [])


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), RuntimeError("a bug")])
def test_failure_leaves_no_success(error: Exception) -> None:
    book, lead = Book(), FreeLead()

    def fail() -> None:
        raise error

    sweep = Sweep(name="x", every_seconds=1, job=fail)
    run = sweeper(book, sweep, lead)._run
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError):
            run(sweep)
    else:
        run(sweep)
    assert (book.done, lead.released) == ([], 1)


def test_scheduler_runs_and_stops() -> None:
    book = Book()
    sweep = Sweep(name="x", every_seconds=1, job=lambda: None)
    running = sweeper(book, sweep, FreeLead())
    running.start()
    wait_until(lambda: book.done, "the sweep ran by itself")
    running.stop()


def test_urgent_sweeps_run_at_once() -> None:
    book = Book()
    sweeps = tuple(Sweep(name=n, every_seconds=3600, job=lambda: None, at_once=n == "now") for n in ("now", "later"))
    running = Sweeper(sweeps, queue=cast("Queue", book), lead=lambda _name: FreeLead())
    running.start()
    wait_until(lambda: book.done, "the urgent one ran", seconds=60)
    running.stop()
    assert book.done == ["now"]


def test_new_settings_leave_turns_as_they_were() -> None:
    old, new = (Sweep(name="x", every_seconds=3600, job=lambda: None) for _ in range(2))
    gone, more = (Sweep(name=name, every_seconds=3600, job=lambda: None) for name in ("gone", "more"))
    running = Sweeper((old, gone), queue=cast("Queue", Book()), lead=lambda _name: None)
    running.start()
    turn = running._scheduler.get_job("x").next_run_time
    running.use((new, more))
    jobs = {job.id: job for job in running._scheduler.get_jobs()}
    running.stop()
    assert set(jobs) == {"x", "more"}
    assert jobs["x"].args[0] is new
    assert jobs["x"].next_run_time == turn


def test_old_nonces_are_forgotten() -> None:
    book = Book()
    for _ in range(2):
        jobs(book, [])["nonces"].job()
    assert book.purged == [NOW, NOW]


def test_all_sleeping_letters_are_woken() -> None:
    book = Book()
    letters = jobs(book, [])["letters"]
    letters.job()
    assert book.outcomes == []
    book.sleeping = tuple(f"n{n:04}" for n in range(AT_ONCE + 3))
    letters.job()
    assert [w.subject for o in book.outcomes for w in o.wakes] == list(book.sleeping)
    assert {w.track for o in book.outcomes for w in o.wakes} == {Track.DELIVER}


def test_vault_is_swept() -> None:
    swept: list[str] = []
    jobs(Book(), swept)["vault_orphans"].job()
    assert swept == ["vault"]


def page(minutes_ago: float, last_minutes_ago: float, kind: str = "exposure.stuck", subject: str = "case-1") -> PageRow:
    return PageRow(
        id="p",
        kind=kind,
        subject=subject,
        text="words",
        count=1,
        created_at=NOW - int(minutes_ago * 60) * SECOND,
        last_at=NOW - int(last_minutes_ago * 60) * SECOND,
        acknowledged_at=None,
        acknowledged_by=None,
    )


@pytest.mark.parametrize(
    ("created", "last", "again"),
    [(9, 9, False), (10, 10, True), (11, 1, False), (29, 19, False), (30, 20, True), (31, 1, False), (300, 1, False)],
)
def test_unheard_pages_are_raised_again(created: float, last: float, again: bool) -> None:
    book = Book()
    book.pages = [page(created, last)]
    jobs(book, [])["pages"].job()
    assert [p.kind for o in book.outcomes for p in o.pages] == (["exposure.stuck"] if again else [])


def test_passed_deadline_is_paged_once() -> None:
    book = Book()
    deadlines = jobs(book, [])["deadlines"]
    deadlines.job()
    assert book.outcomes == []
    book.late = ("late",)
    deadlines.job()
    (outcome,) = book.outcomes
    assert [p.subject for p in outcome.pages] == ["late"]
    book.pages = [page(1, 1, outcome.pages[0].kind, "late")]
    deadlines.job()
    assert len(book.outcomes) == 1
