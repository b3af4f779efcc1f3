"""Single things and what belongs to them, each answer from one transaction."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, or_, select

from receiver.domain.ports import ItemLine, NonceRow, Spent, StoredEntry
from receiver.domain.rows import (
    ActRow,
    CaseRow,
    CaseUrlRow,
    CaseView,
    ClaimRow,
    DecisionRow,
    DirectionRow,
    EventRow,
    HoldRow,
    ItemRow,
    MessageRow,
    NoticeRow,
    NoticeView,
    SealRow,
    WorkRow,
)
from receiver.domain.status import PRIORITY, Act, Track
from receiver.store import tables, upserts
from receiver.store.database import Part
from receiver.store.entries import stored_entry
from receiver.store.errors import MissingRowError
from receiver.store.rowmaker import TABLE_OF, build
from receiver.store.spending import spent_in

Row = TypeVar("Row")


class Finder(Part):
    """How rows of one table are read as values."""

    def _all(self, conn: Connection, kind: type[Row], query: Select[Any]) -> tuple[Row, ...]:
        return tuple(build(self._codec, kind, row) for row in conn.execute(query).mappings())

    def _one(self, conn: Connection, kind: type[Row], query: Select[Any]) -> Row | None:
        row = conn.execute(query).mappings().first()
        return None if row is None else build(self._codec, kind, row)

    def _must(self, conn: Connection, kind: type[Row], query: Select[Any]) -> Row:
        found = self._one(conn, kind, query)
        if found is None:
            name = TABLE_OF[kind].name.rstrip("_")
            raise MissingRowError(f"there is no such {name}; the id came from somewhere else")
        return found


class SingleReads(Finder):
    def find_notice(self, issuer: str, notice_id: str) -> NoticeRow | None:
        notice = tables.notice
        with self._db.read() as conn:
            query = select(notice).where(notice.c.issuer == issuer, notice.c.notice_id == notice_id)
            return self._one(conn, NoticeRow, query)

    def load_message(self, message: str) -> MessageRow:
        with self._db.read() as conn:
            return self._must(conn, MessageRow, select(tables.message).where(tables.message.c.id == message))

    def load_work(self, track: Track, subject: str) -> WorkRow | None:
        work = tables.work
        with self._db.read() as conn:
            query = select(work).where(work.c.track == track.value, work.c.subject == subject)
            return self._one(conn, WorkRow, query)

    def find_open_case(self, adapter: str, locator: bytes) -> str | None:
        case = tables.case.c
        hashed = self._codec.locator_hmac(locator)
        query = select(case.id).where(case.adapter == adapter, case.locator_hmac == hashed, case.closed_at.is_(None))
        with self._db.read() as conn:
            return conn.execute(query).scalar_one_or_none()

    def case_has_url(self, case: str, url: str) -> bool:
        table = tables.case_url.c
        query = select(table.case).where(table.case == case, table.url_hmac == self._codec.url_hmac(url))
        with self._db.read() as conn:
            return conn.execute(query).first() is not None

    def knows_vault_ref(self, ref: str) -> bool:
        """Whether any seal names this payload, header or manifest; what none names is left over from a crash."""
        seal = tables.seal.c
        query = select(seal.id).where(or_(seal.payload_ref == ref, seal.header_ref == ref, seal.manifest_ref == ref))
        with self._db.read() as conn:
            return conn.execute(query.limit(1)).first() is not None

    def find_case_by_code(self, code: str) -> str | None:
        with self._db.read() as conn:
            return conn.execute(select(tables.case.c.id).where(tables.case.c.code == code)).scalar_one_or_none()

    def find_item(self, item: str) -> ItemLine | None:
        table, notice, claim = tables.item, tables.notice, tables.claim
        query = select(table, notice).join(notice, notice.c.id == table.c.notice).where(table.c.id == item)
        with self._db.read() as conn:
            row = conn.execute(query).mappings().first()
            if row is None:
                return None
            cases = conn.execute(select(claim.c.case).where(claim.c.item == item).order_by(claim.c.case)).scalars()
            return ItemLine(
                item=build(self._codec, ItemRow, row), notice=build(self._codec, NoticeRow, row), cases=tuple(cases)
            )

    def find_direction(self, notice: str, direction_id: str) -> DirectionRow | None:
        table = tables.direction
        with self._db.read() as conn:
            query = select(table).where(table.c.notice == notice, table.c.direction_id == direction_id)
            return self._one(conn, DirectionRow, query)

    def find_decision(self, decision: str) -> DecisionRow | None:
        with self._db.read() as conn:
            return self._one(conn, DecisionRow, select(tables.decision).where(tables.decision.c.id == decision))

    def find_nonce(self, issuer: str, nonce: str) -> NonceRow | None:
        table = tables.nonce
        with self._db.read() as conn:
            return self._one(conn, NonceRow, select(table).where(table.c.issuer == issuer, table.c.nonce == nonce))

    def events_of(self, notice: str) -> tuple[EventRow, ...]:
        event = tables.event
        with self._db.read() as conn:
            return self._all(conn, EventRow, select(event).where(event.c.notice == notice).order_by(event.c.sequence))

    def undelivered(self, notice: str, limit: int) -> tuple[EventRow, ...]:
        event = tables.event
        waiting = select(event).where(
            event.c.notice == notice, event.c.delivered_at.is_(None), event.c.dead_at.is_(None)
        )
        with self._db.read() as conn:
            return self._all(conn, EventRow, waiting.order_by(event.c.sequence).limit(limit))

    def events_of_case(self, case: str) -> tuple[EventRow, ...]:
        event, claim = tables.event, tables.claim
        query = select(event).join(claim, claim.c.item == event.c.item).where(claim.c.case == case)
        with self._db.read() as conn:
            return self._all(conn, EventRow, query.order_by(event.c.id))

    def entries_about(self, subject: str, limit: int) -> tuple[StoredEntry, ...]:
        """Newest first."""
        entry, detail = tables.entry, tables.entry_detail
        query = (
            select(entry, detail.c.data)
            .outerjoin(detail, detail.c.entry == entry.c.id)
            .where(entry.c.subject == subject)
            .order_by(entry.c.id.desc())
            .limit(limit)
        )
        with self._db.read() as conn:
            return tuple(stored_entry(self._codec, row) for row in conn.execute(query).mappings())

    def load_case(self, case: str) -> CaseView:
        with self._db.read() as conn:
            row = self._must(conn, CaseRow, select(tables.case).where(tables.case.c.id == case))
            claims = self._claims(conn, case)
            return CaseView(
                case=row,
                claims=claims,
                urls=self._of_case(conn, CaseUrlRow, case, "created_at", "url_hmac"),
                holds=self._of_case(conn, HoldRow, case, "id"),
                acts=self._of_case(conn, ActRow, case, "begun_at", "op_id"),
                seals=self._of_case(conn, SealRow, case, "id"),
                decisions=self._decisions(conn, case, [claim.item.id for claim in claims]),
                **self._tracks(conn, case),
            )

    def load_notice(self, notice: str) -> NoticeView:
        item, direction, claim = tables.item, tables.direction, tables.claim
        with self._db.read() as conn:
            row = self._must(conn, NoticeRow, select(tables.notice).where(tables.notice.c.id == notice))
            items = self._all(conn, ItemRow, select(item).where(item.c.notice == notice).order_by(item.c.id))
            given = select(direction).where(direction.c.notice == notice)
            pairs = select(claim.c.item, claim.c.case).join(item, item.c.id == claim.c.item)
            cases: dict[str, list[str]] = defaultdict(list)
            for found, case in conn.execute(pairs.where(item.c.notice == notice).order_by(claim.c.rank, claim.c.case)):
                cases[found].append(case)
            decided = select(tables.decision).join(item, item.c.id == tables.decision.c.item)
            return NoticeView(
                notice=row,
                items=items,
                directions=self._all(
                    conn, DirectionRow, given.order_by(direction.c.issued_at, direction.c.id)
                ),
                decisions=self._all(
                    conn, DecisionRow, decided.where(item.c.notice == notice).order_by(tables.decision.c.id)
                ),
                claims={name: tuple(found) for name, found in cases.items()},
            )

    def spent_since(self, issuer: str, since_at: int) -> Spent:
        with self._db.read() as conn:
            return spent_in(conn, issuer, since_at)

    def _claims(self, conn: Connection, case: str) -> tuple[ClaimRow, ...]:
        claim, item, notice = tables.claim, tables.item, tables.notice
        query = (
            select(claim.c.act, claim.c.rank, item, notice)
            .join(item, item.c.id == claim.c.item)
            .join(notice, notice.c.id == item.c.notice)
            .where(claim.c.case == case)
            .order_by(item.c.id)
        )
        return tuple(
            ClaimRow(
                item=build(self._codec, ItemRow, row),
                notice=build(self._codec, NoticeRow, row),
                case=case,
                act=Act(row[claim.c.act]),
                rank=row[claim.c.rank],
            )
            for row in conn.execute(query).mappings()
        )

    def _of_case(self, conn: Connection, kind: type[Row], case: str, *order: str) -> tuple[Row, ...]:
        table = TABLE_OF[kind]
        query = select(table).where(table.c["case"] == case).order_by(*(table.c[name] for name in order))
        return self._all(conn, kind, query)

    def _decisions(self, conn: Connection, case: str, items: list[str]) -> tuple[DecisionRow, ...]:
        decision = tables.decision
        about = or_(decision.c.case == case, decision.c.item.in_(items)) if items else decision.c.case == case
        return self._all(conn, DecisionRow, select(decision).where(about).order_by(decision.c.id))

    def _tracks(self, conn: Connection, case: str) -> dict[str, WorkRow]:
        work = tables.work
        tracks = (Track.EXPOSURE, Track.EVIDENCE)
        query = select(work).where(work.c.track.in_([track.value for track in tracks]), work.c.subject == case)
        found = {row.track: row for row in self._all(conn, WorkRow, query)}
        return {track.value: found.get(track) or _not_begun(track, case) for track in tracks}


def _not_begun(track: Track, subject: str) -> WorkRow:
    """A track whose row nobody has needed yet."""
    return WorkRow(
        track=track,
        subject=subject,
        state=upserts.FIRST_STATE[track],
        due_at=None,
        priority=PRIORITY[track],
        owner=None,
        epoch=0,
        nudges=0,
        attempts=0,
        first_failed_at=None,
        last_error=None,
        stuck_from=None,
    )
