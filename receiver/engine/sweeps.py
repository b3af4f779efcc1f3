"""Sweeps by APScheduler: few, declared here, one at a time over all machines, each noting its last success.

Never one scheduler job per notice: what a notice needs is a row of `work`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from receiver.domain.errors import ReceiverError
from receiver.domain.outcome import Outcome, Page, Wake
from receiver.domain.ports import Committer, Queue, Reads
from receiver.domain.status import Track
from receiver.engine.numbering import Lead

EVERY_SECONDS: Mapping[str, int] = {
    "pages": 60,
    "nonces": 60,
    "deadlines": 60,
    "alarms": 60,
    "letters": 300,
    "vault_orphans": 3600,
    "keys": 3600,
}
"""Every sweep there is; `keys:iwf` is one of `keys`."""
AT_ONCE = 500
PAGES_LOOKED_AT = 1000
DEADLINE = "deadline.passed"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    name: str
    every_seconds: int
    job: Callable[[], None]
    at_once: bool = False
    """Run it as soon as it is known, not only when its time is over for the first time."""


def every_seconds(name: str) -> int:
    """How often a sweep runs, by the name that it notes its success under."""
    return EVERY_SECONDS.get(name.partition(":")[0], max(EVERY_SECONDS.values()))


def sweeps_for(
    queue: Queue,
    reads: Reads,
    committer: Committer,
    *,
    page_again_minutes: Sequence[int],
    issuers: Collection[str],
    others: Sequence[Sweep] = (),
) -> tuple[Sweep, ...]:
    """The sweeps of a worker. What each forgets to do is only late, never lost: the truth is in the tables."""
    return (
        *others,
        Sweep(name="pages", every_seconds=60, job=lambda: _page_again(queue, reads, committer, page_again_minutes)),
        Sweep(name="nonces", every_seconds=60, job=lambda: _purge_nonces(queue)),
        Sweep(name="deadlines", every_seconds=60, job=lambda: _page_deadlines(queue, reads, committer)),
        Sweep(name="letters", every_seconds=300, job=lambda: _wake_letters(reads, committer, issuers)),
    )


def _purge_nonces(queue: Queue) -> None:
    """A nonce may go once a request that carries it would be too old anyway."""
    purged = queue.purge_nonces(queue.now())
    if purged:
        log.debug("nonces.purged", count=purged)


def _page_again(queue: Queue, reads: Reads, committer: Committer, minutes: Sequence[int]) -> None:
    """Call again about what nobody acknowledged, at the set times after the first call."""
    now = queue.now()
    for page in reads.open_pages(PAGES_LOOKED_AT):
        steps = [page.created_at + m * 60_000_000 for m in minutes]
        if any(page.last_at < step <= now for step in steps):
            committer.submit(Outcome(pages=(Page(kind=page.kind, subject=page.subject, text=page.text),)))
            log.error("page.again", kind=page.kind, subject=page.subject)


def _wake_letters(reads: Reads, committer: Committer, issuers: Collection[str]) -> None:
    """Events that nobody is due to send: an endpoint was configured later, or a wake-up was missed."""
    for notices in _pages(lambda after: reads.sleeping_letters(issuers, after=after, limit=AT_ONCE)):
        wakes = tuple(Wake(track=Track.DELIVER, subject=notice, state="deliver") for notice in notices)
        committer.submit(Outcome(wakes=wakes))


def _page_deadlines(queue: Queue, reads: Reads, committer: Committer) -> None:
    """Notices past their deadline with something not down: a person is called, once for each.

    One that was acknowledged is somebody's: calling anew each minute would teach people not to look.
    """
    now = queue.now()
    known = reads.last_paged(DEADLINE)
    for notices in _pages(lambda after: reads.late_notices(now, after=after, limit=AT_ONCE)):
        pages = tuple(
            Page(kind=DEADLINE, subject=notice, text="the deadline has passed and not every item is down")
            for notice in notices
            if notice not in known
        )
        if pages:
            committer.submit(Outcome(pages=pages))


def _pages(ask: Callable[[str | None], tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Everything, a few hundred at a time."""
    after: str | None = None
    while found := ask(after):
        yield found
        after = found[-1]


class Sweeper:
    """One BackgroundScheduler per worker process; `lead` keeps other machines from running the same sweep."""

    def __init__(self, sweeps: tuple[Sweep, ...], *, queue: Queue, lead: Callable[[str], Lead | None]) -> None:
        self._queue, self._lead = queue, lead
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self.use(sweeps)

    def use(self, sweeps: tuple[Sweep, ...]) -> None:
        """Run these and no others, as at start or after a reload. A sweep that stays keeps its turn.

        Otherwise whoever reloads more often than once an hour would have no hourly sweep at all.
        """
        before = {job.id for job in self._scheduler.get_jobs()}
        for sweep in sweeps:
            if sweep.name in before:
                self._scheduler.modify_job(sweep.name, args=[sweep])
            else:
                first = {"next_run_time": dt.datetime.now(dt.UTC)} if sweep.at_once else {}
                self._scheduler.add_job(
                    self._run, "interval", args=[sweep], seconds=sweep.every_seconds, id=sweep.name, **first
                )
        for name in before - {sweep.name for sweep in sweeps}:
            self._scheduler.remove_job(name)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.shutdown(wait=False)

    def at_once(self) -> None:
        """Run all of them now: their turns were set by a clock that was set back since."""
        for job in self._scheduler.get_jobs():
            self._scheduler.modify_job(job.id, next_run_time=dt.datetime.now(dt.UTC))

    def _run(self, sweep: Sweep) -> None:
        try:
            lead = self._lead(sweep.name)
            if lead is None:
                return
            try:
                sweep.job()
                self._queue.sweep_done(sweep.name)
            finally:
                lead.release()
        except ReceiverError as exc:
            # It stays without a success, which `check` shows; the next run tries again.
            log.warning("sweep.failed", sweep=sweep.name, error=str(exc))
