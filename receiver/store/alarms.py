"""What the alarms ask: whom we called about what, and what waits for people."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import and_, case, func, null, or_, select

from receiver.domain.backoff import PAGE_AFTER_ATTEMPTS
from receiver.domain.causes import SORTS, Unconfirmed, Waiting
from receiver.domain.status import UNCONFIRMED, Exposure, ItemStatus, Track
from receiver.store import tables
from receiver.store.database import Part

TRIED_WITHIN_MICROS = 7_200_000_000
"""Whatever is tried again is due within it, though the other side may ask for an hour: no more rows are read."""
_TRACKS = tuple(track.value for track in (Track.RESOLVE, Track.EXPOSURE, Track.EVIDENCE))
"""Letters have hours of their own, and a person is called when they are over."""
_PLACED = or_(*(tables.work.c.last_error.like(f"[{sort}%") for sort in SORTS))


class AlarmQuestions(Part):
    def last_paged(self, kind: str) -> Mapping[str, tuple[int, bool]]:
        """By subject: when a person was last called about it, and whether nobody acknowledged that."""
        page = tables.page.c
        still_open = func.count() - func.count(page.acknowledged_at)
        query = select(page.subject, func.max(page.last_at), still_open).where(page.kind == kind).group_by(page.subject)
        with self._db.read() as conn:
            return {subject: (last_at, waiting > 0) for subject, last_at, waiting in conn.execute(query)}

    def waiting_in_review(self) -> Mapping[str, tuple[int, int]]:
        """By issuer: how many items wait for a reviewer, and when the newest began to."""
        item, notice = tables.item.c, tables.notice.c
        query = (
            select(notice.issuer, func.count(), func.max(item.status_at))
            .join(tables.notice, notice.id == item.notice)
            .where(item.status == ItemStatus.REVIEW.value)
            .group_by(notice.issuer)
        )
        with self._db.read() as conn:
            return {issuer: (count, newest_at) for issuer, count, newest_at in conn.execute(query)}

    def long_waiting(self) -> tuple[Waiting, ...]:
        """What has failed for about a minute: one for each place and its words, one for each row of its own trouble."""
        work = tables.work.c
        whose = case((_PLACED, null()), else_=work.subject)
        columns = (work.track, whose, work.last_error, func.count(), func.min(work.first_failed_at))
        with self._db.read() as conn:
            soon = self._db.now_in(conn) + TRIED_WITHIN_MICROS
            due = and_(work.track.in_(_TRACKS), work.due_at.is_not(None), work.due_at <= soon)
            query = select(*columns).where(due, work.attempts >= PAGE_AFTER_ATTEMPTS)
            return tuple(
                Waiting(track=Track(track), subject=subject, words=words or "", count=count, oldest_at=oldest_at or 0)
                for track, subject, words, count, oldest_at in conn.execute(query.group_by(*columns[:3]))
            )

    def long_unconfirmed(self) -> tuple[Unconfirmed, ...]:
        """Cases whose issuers heard `failed`, since nobody saw them gone in time; one line for each adapter."""
        item, claim, of = tables.item.c, tables.claim.c, tables.case.c
        query = (
            select(of.adapter, func.count(of.id.distinct()), func.min(item.status_at), func.max(item.status_at))
            .join(tables.claim, claim.item == item.id)
            .join(tables.case, of.id == claim.case)
            .where(item.status == ItemStatus.FAILED.value, item.reason == UNCONFIRMED)
            .group_by(of.adapter)
        )
        with self._db.read() as conn:
            return tuple(
                Unconfirmed(adapter=adapter, count=count, oldest_at=oldest_at, newest_at=newest_at)
                for adapter, count, oldest_at, newest_at in conn.execute(query)
            )

    def still_stuck(self) -> frozenset[tuple[str, str]]:
        """Track, and what its page is about: the row, or the words of the place where many are stuck."""
        work = tables.work.c
        about = case((_PLACED, work.last_error), else_=work.subject)
        mine = work.track.in_([track.value for track in Track])
        query = select(work.track, about).where(mine, work.state == Exposure.STUCK.value).distinct()
        with self._db.read() as conn:
            return frozenset((track, subject) for track, subject in conn.execute(query))

    def last_sweep_at(self) -> int | None:
        """The newest time that any sweep noted, by the clock as it then was."""
        with self._db.read() as conn:
            newest: int | None = conn.execute(select(func.max(tables.sweep.c.last_success_at))).scalar_one()
            return newest

    def due_within(self, until_at: int) -> tuple[tuple[Track, str], ...]:
        """Rows that fall due between now and then."""
        work = tables.work.c
        mine = work.track.in_([track.value for track in Track])
        with self._db.read() as conn:
            now = self._db.now_in(conn)
            query = select(work.track, work.subject).where(mine, work.due_at > now, work.due_at <= until_at)
            return tuple((Track(track), subject) for track, subject in conn.execute(query))
