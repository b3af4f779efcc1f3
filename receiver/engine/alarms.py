"""Conditions that call a person: each once, however many cases it holds up, and again only when it comes back.

What is read from the rows themselves ends by itself: its page says how many still wait, and closes after the last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from receiver.domain.causes import Unconfirmed, Waiting, place_of
from receiver.domain.clock import Clock, rfc3339, to_micros
from receiver.domain.outcome import Table, Update
from receiver.domain.ports import PageRow
from receiver.domain.status import Track
from receiver.engine.sweeps import PAGES_LOOKED_AT, every_seconds

AGAIN_MICROS = 86_400_000_000
"""What is acknowledged and still so a day later is told again."""
SWEEP_LATE = 5
MAX_DRIFT_MICROS = 60_000_000
FAILING = "place.failing"
UNCLEAR = "seen.unclear"
ENDING = frozenset({FAILING, UNCLEAR, *(f"{track.value}.waiting" for track in Track)})
"""Pages that are over when their condition is."""
STUCK = {f"{track.value}.stuck": track for track in Track}
MANY = 20
OVER = "(over)"
"""Stands for the name of whoever acknowledged a page that nobody had to."""

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

    def long_waiting(self) -> Sequence[Waiting]: ...
    def long_unconfirmed(self) -> Sequence[Unconfirmed]: ...
    def still_stuck(self) -> Collection[tuple[str, str]]: ...
    def open_pages(self, limit: int) -> Sequence[PageRow]: ...


Source = Callable[[], Iterable[Alarm]]


class Alarms:
    """A sweep's job."""

    def __init__(
        self,
        reads: AlarmReads,
        sources: Sequence[Source],
        page: Callable[[str, str, str], None],
        change: Callable[[Update], None],
    ) -> None:
        self._reads, self._sources, self._page, self._change = reads, tuple(sources), page, change

    def __call__(self) -> None:
        now = self._reads.now()
        # Read before the conditions are, so that none is taken for over that began in between.
        pages = self._reads.open_pages(PAGES_LOOKED_AT)
        alarms = [alarm for source in self._sources for alarm in source()]
        paged = {kind: self._reads.last_paged(kind) for kind in {alarm.kind for alarm in alarms}}
        for alarm in alarms:
            last_at, is_open = paged[alarm.kind].get(alarm.subject, (None, False))
            known_until = alarm.since_at if alarm.since_at is not None else now - AGAIN_MICROS
            if is_open or (last_at is not None and last_at >= known_until):
                continue
            log.error("alarm", kind=alarm.kind, subject=alarm.subject)
            self._page(alarm.kind, alarm.subject, alarm.text)
        self._keep_true(pages, {(alarm.kind, alarm.subject): alarm.text for alarm in alarms}, now)

    def _keep_true(self, pages: Sequence[PageRow], texts: Mapping[tuple[str, str], str], now: int) -> None:
        """Say of open pages what is true by now, and close those whose last case is through."""
        stuck: Collection[tuple[str, str]] | None = None
        for page in pages:
            if page.kind in ENDING:
                text = texts.get((page.kind, page.subject))
            elif page.kind in STUCK:
                stuck = self._reads.still_stuck() if stuck is None else stuck
                text = page.text if (STUCK[page.kind].value, page.subject) in stuck else None
            else:
                continue
            if text is None:
                log.info("page.over", kind=page.kind, subject=page.subject)
                self._change(_still(page, acknowledged_at=now, acknowledged_by=OVER))
            elif text != page.text:
                self._change(_still(page, text=text))


def _still(page: PageRow, **values: object) -> Update:
    """Nothing is changed about a page that was raised again, or acknowledged, since it was read."""
    where = {"id": page.id, "count": page.count, "acknowledged_at": None}
    return Update(table=Table.PAGE, where=where, values=values, optional=True)


def waiting_alarms(reads: AlarmReads) -> Iterator[Alarm]:
    """One call for each place that fails, with all that wait for it; one for each case that fails by itself."""
    places: dict[str, list[Waiting]] = {}
    own: dict[tuple[Track, str], list[Waiting]] = {}
    for group in reads.long_waiting():
        place = place_of(group.words)
        if place is None:
            own.setdefault((group.track, group.words), []).append(group)
        else:
            places.setdefault(place, []).append(group)
    for (track, words), rows in own.items():
        yield from _own_troubles(f"{track.value}.waiting", words, rows)
    for place, groups in places.items():
        oldest = min(groups, key=lambda group: group.oldest_at)
        yield Alarm(kind=FAILING, subject=place, text=_held_up(groups, oldest), since_at=oldest.oldest_at)


def _own_troubles(kind: str, words: str, rows: Sequence[Waiting]) -> Iterator[Alarm]:
    """One by one, until there are so many that they have a cause in common that we do not know."""
    if len(rows) <= MANY:
        for row in rows:
            text = f"still trying: {words}"
            yield Alarm(kind=kind, subject=row.subject or "", text=text, since_at=row.oldest_at)
        return
    since = [row.oldest_at for row in rows]
    text = f"still trying {len(rows)} of them, the oldest since {rfc3339(min(since))}: {words}"
    # What joins after it was acknowledged calls anew.
    yield Alarm(kind=kind, subject=words, text=text, since_at=max(since))


def _held_up(groups: Sequence[Waiting], oldest: Waiting) -> str:
    counts = {track: sum(group.count for group in groups if group.track is track) for track in Track}
    each = ", ".join(f"{track.value} {count}" for track, count in counts.items() if count)
    return f"{oldest.words}; waiting for it: {each}; the oldest since {rfc3339(oldest.oldest_at)}"


def unclear_alarms(reads: AlarmReads) -> Iterator[Alarm]:
    """One call for each adapter; what comes after it was acknowledged calls anew."""
    for found in reads.long_unconfirmed():
        words = (
            f"{found.count} case(s) at {found.adapter} were acted on, and no look from outside could confirm it;"
            f" the oldest since {rfc3339(found.oldest_at)}"
        )
        yield Alarm(kind=UNCLEAR, subject=found.adapter, text=words, since_at=found.newest_at)


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
