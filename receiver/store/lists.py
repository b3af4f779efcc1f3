"""Lists for people and metrics, paged by key so that a million rows open as fast as ten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, func, select

from receiver.domain.ports import CaseLine, ItemLine, KeyOverlay, PageRow
from receiver.domain.rows import CaseRow, DecisionRow, EventRow, ItemRow, NoticeRow, PauseRow, WorkRow
from receiver.domain.status import Evidence, Exposure, ItemStatus, Track
from receiver.store import tables
from receiver.store.reads import Finder, item_line
from receiver.store.rowmaker import columns_of

OPEN = "open_"
"""In place of an exposure state: every case that is not closed."""


_WAITING = (ItemStatus.RECEIVED, ItemStatus.REVIEW, ItemStatus.FAILED, ItemStatus.REAPPEARED)


class Lists(Finder):
    def sleeping_letters(self, issuers: Collection[str], *, after: str | None, limit: int) -> tuple[str, ...]:
        event, notice, work = tables.event.c, tables.notice.c, tables.work.c
        due = exists().where(work.track == Track.DELIVER.value, work.subject == event.notice, work.due_at.is_not(None))
        query = (
            select(event.notice)
            .join(tables.notice, notice.id == event.notice)
            .where(event.delivered_at.is_(None), event.dead_at.is_(None), notice.issuer.in_(issuers), ~due)
            .where(*_after(event.notice, after))
            .distinct()
        )
        with self._db.read() as conn:
            return tuple(conn.execute(query.order_by(event.notice).limit(limit)).scalars())

    def late_notices(self, now: int, *, after: str | None, limit: int) -> tuple[str, ...]:
        item, notice = tables.item.c, tables.notice.c
        query = (
            select(item.notice)
            .join(tables.notice, notice.id == item.notice)
            .where(item.status.in_([s.value for s in _WAITING]), notice.deadline_at < now)
            .where(*_after(item.notice, after))
            .distinct()
        )
        with self._db.read() as conn:
            return tuple(conn.execute(query.order_by(item.notice).limit(limit)).scalars())

    def pauses(self) -> tuple[PauseRow, ...]:
        with self._db.read() as conn:
            return self._all(conn, PauseRow, _PAUSES, {})

    def key_overlay(self) -> tuple[KeyOverlay, ...]:
        key = tables.issuer_key
        with self._db.read() as conn:
            return self._all(conn, KeyOverlay, select(*columns_of(KeyOverlay)).order_by(key.c.issuer, key.c.kid))

    def list_cases(
        self, *, state: str | None, issuer: str | None, after: str | None, limit: int
    ) -> tuple[CaseLine, ...]:
        case, work = tables.case, tables.work
        query, key = select(*columns_of(CaseRow)), case.c.id
        if state == OPEN:
            query = query.where(case.c.closed_at.is_(None))
        elif state is not None:
            track = and_(work.c.track == Track.EXPOSURE.value, work.c.subject == case.c.id)
            # The same id, but the index of this table has it in order within the state.
            query, key = query.join(work, track).where(work.c.state == state), work.c.subject
        if issuer is not None:
            query = query.where(_claimed_by(issuer))
        with self._db.read() as conn:
            rows = self._all(conn, CaseRow, query.where(*_after(key, after)).order_by(key).limit(limit))
            return self._lines(conn, rows)

    def list_items(self, status: str, *, after: str | None, limit: int) -> tuple[ItemLine, ...]:
        item, notice, claim = tables.item, tables.notice, tables.claim
        query = (
            select(*columns_of(ItemRow, NoticeRow))
            .join(notice, notice.c.id == item.c.notice)
            .where(item.c.status == status, *_after(item.c.id, after))
            .order_by(item.c.id)
            .limit(limit)
        )
        with self._db.read() as conn:
            rows = conn.execute(query).all()
            if not rows:
                return ()
            ids = [row[0] for row in rows]
            pairs = conn.execute(select(claim.c.item, claim.c.case).where(claim.c.item.in_(ids)).order_by(claim.c.case))
            cases = _grouped(pairs)
        return tuple(item_line(self._codec, row, tuple(cases[row[0]])) for row in rows)

    def list_decisions(self, state: str, *, limit: int) -> tuple[DecisionRow, ...]:
        decision = tables.decision
        query = select(*columns_of(DecisionRow)).where(decision.c.state == state).order_by(decision.c.id).limit(limit)
        with self._db.read() as conn:
            return self._all(conn, DecisionRow, query)

    def dead_events(self, *, after: str | None, limit: int) -> tuple[EventRow, ...]:
        event = tables.event
        query = select(*columns_of(EventRow)).where(event.c.dead_at.is_not(None), *_after(event.c.id, after))
        with self._db.read() as conn:
            return self._all(conn, EventRow, query.order_by(event.c.id).limit(limit))

    def stuck_work(self, limit: int) -> tuple[WorkRow, ...]:
        work = tables.work
        mine = work.c.track.in_([track.value for track in Track])
        query = select(*columns_of(WorkRow)).where(work.c.state == Exposure.STUCK.value, mine)
        with self._db.read() as conn:
            return self._all(conn, WorkRow, query.order_by(work.c.track, work.c.subject).limit(limit))

    def open_pages(self, limit: int) -> tuple[PageRow, ...]:
        """Oldest first."""
        page = tables.page
        query = select(*columns_of(PageRow)).where(page.c.acknowledged_at.is_(None)).order_by(page.c.id).limit(limit)
        with self._db.read() as conn:
            return self._all(conn, PageRow, query)

    def gauges(self) -> Mapping[str, float]:
        """`backlog{TRACK}` and `oldest_due_seconds{TRACK}` for each track, and the names of `_COUNTS`."""
        with self._db.read() as conn:
            now = self._db.now_in(conn)
            found: dict[str, float] = {}
            for track in Track:
                count, oldest = conn.execute(_backlog(track, now)).one()
                found[f"backlog{{{track.value}}}"] = float(count)
                found[f"oldest_due_seconds{{{track.value}}}"] = 0.0 if oldest is None else (now - oldest) / 1e6
            for name, query in _COUNTS.items():
                found[name] = float(conn.execute(query).scalar_one())
            return found

    def _lines(self, conn: Connection, cases: tuple[CaseRow, ...]) -> tuple[CaseLine, ...]:
        if not cases:
            return ()
        ids = [case.id for case in cases]
        tracks = _tracks(conn, ids)
        hosts: dict[str, set[str]] = defaultdict(set)
        issuers: dict[str, set[str]] = defaultdict(set)
        oldest: dict[str, int] = {}
        for row in conn.execute(_asked(ids)).mappings():
            case, item, notice = row[tables.claim.c.case], tables.item.c, tables.notice.c
            hosts[case].add(self._codec.from_row("item", "host", row[item.host], row[item.id]))
            issuers[case].add(row[notice.issuer])
            oldest[case] = min(oldest.get(case, row[notice.created_at]), row[notice.created_at])
        return tuple(
            CaseLine(
                case=case,
                exposure=tracks.get((case.id, Track.EXPOSURE.value), (Exposure.IDLE.value, None))[0],
                evidence=tracks.get((case.id, Track.EVIDENCE.value), (Evidence.WAIT.value, None))[0],
                last_error=_last_error(tracks, case.id),
                hosts=tuple(sorted(hosts[case.id])),
                issuers=tuple(sorted(issuers[case.id])),
                oldest_at=oldest.get(case.id, case.created_at),
            )
            for case in cases
        )


_COUNTS: dict[str, Select[Any]] = {
    "stuck": select(func.count()).where(
        tables.work.c.track.in_([track.value for track in Track]), tables.work.c.state == Exposure.STUCK.value
    ),
    "dead_letters": select(func.count()).where(tables.event.c.dead_at.is_not(None)),
    "unsequenced_entries": select(func.count()).where(tables.entry.c.seq.is_(None)),
    "open_pages": select(func.count()).where(tables.page.c.acknowledged_at.is_(None)),
}


_PAUSES = select(*columns_of(PauseRow)).order_by(tables.pause.c.scope)


def _after(column: Any, after: str | None) -> tuple[Any, ...]:
    return () if after is None else (column > after,)


def _claimed_by(issuer: str) -> Any:
    claim, item, notice = tables.claim, tables.item, tables.notice
    return exists(
        select(claim.c.item)
        .join(item, item.c.id == claim.c.item)
        .join(notice, notice.c.id == item.c.notice)
        .where(claim.c.case == tables.case.c.id, notice.c.issuer == issuer)
    )


def _asked(cases: list[str]) -> Select[Any]:
    claim, item, notice = tables.claim, tables.item, tables.notice
    return (
        select(claim.c.case, item.c.id, item.c.host, notice.c.issuer, notice.c.created_at)
        .join(item, item.c.id == claim.c.item)
        .join(notice, notice.c.id == item.c.notice)
        .where(claim.c.case.in_(cases))
    )


def _tracks(conn: Connection, cases: list[str]) -> dict[tuple[str, str], tuple[str, str | None]]:
    work = tables.work.c
    query = select(work.subject, work.track, work.state, work.last_error).where(
        work.track.in_([Track.EXPOSURE.value, Track.EVIDENCE.value]), work.subject.in_(cases)
    )
    return {(subject, track): (state, error) for subject, track, state, error in conn.execute(query)}


def _last_error(tracks: Mapping[tuple[str, str], tuple[str, str | None]], case: str) -> str | None:
    errors = [tracks.get((case, track.value), ("", None))[1] for track in (Track.EXPOSURE, Track.EVIDENCE)]
    return next((error for error in errors if error), None)


def _backlog(track: Track, now: int) -> Select[int, Any]:
    work = tables.work.c
    late = and_(work.track == track.value, work.due_at.is_not(None), work.due_at <= now)
    return select(func.count(), func.min(work.due_at)).where(late)


def _grouped(pairs: Iterable[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for first, second in pairs:
        found[first].append(second)
    return found
