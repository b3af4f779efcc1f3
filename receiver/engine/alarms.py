"""Conditions that nobody would see in a case: each calls a person once, and again only when it comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from receiver.domain.clock import Clock, to_micros
from receiver.engine.sweeps import every_seconds

AGAIN_MICROS = 86_400_000_000
"""What is acknowledged and still so a day later is told again."""
SWEEP_LATE = 5
MAX_DRIFT_MICROS = 60_000_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Alarm:
    kind: str
    subject: str
    text: str
    since_at: int | None = None
    """When it began, where that can be told: whoever was called after it knows. Else it is told once a day."""


class AlarmReads(Protocol):
    def now(self) -> int: ...
    def sweep_ages(self) -> Mapping[str, int]: ...
    def last_paged(self, kind: str) -> Mapping[str, tuple[int, bool]]:
        """By subject: when a person was last called about it, and whether nobody acknowledged that."""

    def waiting_in_review(self) -> Mapping[str, tuple[int, int]]:
        """By issuer: how many items wait for a reviewer, and when the newest began to."""


Source = Callable[[], Iterable[Alarm]]


class Alarms:
    """A sweep's job."""

    def __init__(self, reads: AlarmReads, sources: Sequence[Source], page: Callable[[str, str, str], None]) -> None:
        self._reads, self._sources, self._page = reads, tuple(sources), page

    def __call__(self) -> None:
        now = self._reads.now()
        for alarm in (alarm for source in self._sources for alarm in source()):
            last_at, is_open = self._reads.last_paged(alarm.kind).get(alarm.subject, (None, False))
            known_until = alarm.since_at if alarm.since_at is not None else now - AGAIN_MICROS
            if is_open or (last_at is not None and last_at >= known_until):
                continue
            log.error("alarm", kind=alarm.kind, subject=alarm.subject)
            self._page(alarm.kind, alarm.subject, alarm.text)


def review_alarms(reads: AlarmReads) -> Iterator[Alarm]:
    """One call for each issuer, however many items wait; what comes after it was acknowledged calls anew."""
    for issuer, (count, newest_at) in reads.waiting_in_review().items():
        words = f"{count} item(s) of this issuer wait for a reviewer"
        yield Alarm(kind="review.waiting", subject=issuer, text=words, since_at=newest_at)


def sweep_alarms(reads: AlarmReads, names: Iterable[str], begun_at: int) -> Iterator[Alarm]:
    """A sweep that fails again and again is only a line in a log otherwise. One that never succeeded counts from us."""
    now, ages = reads.now(), reads.sweep_ages()
    for name in names:
        last_at = now - ages[name] * 1_000_000 if name in ages else begun_at
        if now - max(last_at, begun_at) > SWEEP_LATE * every_seconds(name) * 1_000_000:
            words = "it has not succeeded for a long time; the worker's log says why (sweep.failed)"
            yield Alarm(kind="sweep.late", subject=name, text=words, since_at=last_at)


def clock_alarms(reads: AlarmReads, own: Clock, node: str) -> Iterator[Alarm]:
    """Rows fall due by the database's clock, but signatures carry ours."""
    off_micros = abs(to_micros(own.now()) - reads.now())
    if off_micros > MAX_DRIFT_MICROS:
        words = f"this machine's clock and the database's are {off_micros // 1_000_000} s apart"
        yield Alarm(kind="clock.wrong", subject=node, text=words)
