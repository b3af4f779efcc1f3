"""Single things and what belongs to them, each answer from one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Integer, Select, bindparam, or_, select

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
from receiver.store.codec import Codec
from receiver.store.database import Part
from receiver.store.entries import ENTRY_COLUMNS, stored_entry
from receiver.store.errors import MissingRowError
from receiver.store.rowmaker import TABLE_OF, columns_of, shape_of
from receiver.store.spending import spent_in

Row = TypeVar("Row")


class Finder(Part):
    """How rows of one table are read as values.

    A query that is `given` values stands in its module and is kept prepared; one without was made for this question.
    """

    def _all(
        self, conn: Connection, kind: type[Row], query: Select[Any], given: Mapping[str, Any] | None = None
    ) -> tuple[Row, ...]:
        make = shape_of(kind).make
        rows = conn.execute(query).all() if given is None else self._db.asked(query).all(conn, given)
        return tuple([make(self._codec, row) for row in rows])

    def _one(self, conn: Connection, kind: type[Row], query: Select[Any], given: Mapping[str, Any]) -> Row | None:
        row = self._db.asked(query).first(conn, given)
        return None if row is None else shape_of(kind).make(self._codec, row)

    def _must(self, conn: Connection, kind: type[Row], query: Select[Any], given: Mapping[str, Any]) -> Row:
        found = self._one(conn, kind, query, given)
        if found is None:
            name = TABLE_OF[kind].name.rstrip("_")
            raise MissingRowError(f"there is no such {name}; the id came from somewhere else")
        return found


class SingleReads(Finder):
    def find_notice(self, issuer: str, notice_id: str) -> NoticeRow | None:
        with self._db.read() as conn:
            return self._one(conn, NoticeRow, _NOTICE_BY_NAME, {"a_issuer": issuer, "a_notice_id": notice_id})

    def load_message(self, message: str) -> MessageRow:
        with self._db.read() as conn:
            return self._must(conn, MessageRow, _MESSAGE, {"a_id": message})

    def load_work(self, track: Track, subject: str) -> WorkRow | None:
        with self._db.read() as conn:
            return self._one(conn, WorkRow, _WORK, {"a_track": track.value, "a_subject": subject})

    def find_open_case(self, adapter: str, locator: bytes) -> str | None:
        given = {"a_adapter": adapter, "a_locator_hmac": self._codec.locator_hmac(locator)}
        with self._db.read() as conn:
            found = self._db.asked(_OPEN_CASE).first(conn, given)
        return None if found is None else found[0]

    def case_has_url(self, case: str, url: str) -> bool:
        given = {"a_case": case, "a_url_hmac": self._codec.url_hmac(url)}
        with self._db.read() as conn:
            return self._db.asked(_CASE_URL).first(conn, given) is not None

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
        query = select(*columns_of(ItemRow, NoticeRow)).join(notice, notice.c.id == table.c.notice)
        with self._db.read() as conn:
            row = conn.execute(query.where(table.c.id == item)).first()
            if row is None:
                return None
            cases = conn.execute(select(claim.c.case).where(claim.c.item == item).order_by(claim.c.case)).scalars()
            return item_line(self._codec, row, tuple(cases))

    def find_direction(self, notice: str, direction_id: str) -> DirectionRow | None:
        given = {"a_notice": notice, "a_direction_id": direction_id}
        with self._db.read() as conn:
            return self._one(conn, DirectionRow, _DIRECTION, given)

    def find_decision(self, decision: str) -> DecisionRow | None:
        with self._db.read() as conn:
            return self._one(conn, DecisionRow, _DECISION, {"a_id": decision})

    def find_nonce(self, issuer: str, nonce: str) -> NonceRow | None:
        with self._db.read() as conn:
            return self._one(conn, NonceRow, _NONCE, {"a_issuer": issuer, "a_nonce": nonce})

    def events_of(self, notice: str) -> tuple[EventRow, ...]:
        with self._db.read() as conn:
            return self._all(conn, EventRow, _EVENTS, {"a_notice": notice})

    def undelivered(self, notice: str, limit: int) -> tuple[EventRow, ...]:
        with self._db.read() as conn:
            return self._all(conn, EventRow, _UNDELIVERED, {"a_notice": notice, "at_most": limit})

    def events_of_case(self, case: str) -> tuple[EventRow, ...]:
        event, claim = tables.event, tables.claim
        query = select(*columns_of(EventRow)).join(claim, claim.c.item == event.c.item).where(claim.c.case == case)
        with self._db.read() as conn:
            return self._all(conn, EventRow, query.order_by(event.c.id))

    def entries_about(self, subject: str, limit: int) -> tuple[StoredEntry, ...]:
        """Newest first."""
        entry, detail = tables.entry, tables.entry_detail
        query = (
            select(*ENTRY_COLUMNS)
            .outerjoin(detail, detail.c.entry == entry.c.id)
            .where(entry.c.subject == subject)
            .order_by(entry.c.id.desc())
            .limit(limit)
        )
        with self._db.read() as conn:
            return tuple(stored_entry(self._codec, row) for row in conn.execute(query))

    def load_case(self, case: str) -> CaseView:
        given = {"a_case": case}
        with self._db.read() as conn:
            row = self._must(conn, CaseRow, _CASE, {"a_id": case})
            return CaseView(
                case=row,
                claims=self._claims(conn, case),
                urls=self._all(conn, CaseUrlRow, _URLS_OF_CASE, given),
                holds=self._all(conn, HoldRow, _HOLDS_OF_CASE, given),
                acts=self._all(conn, ActRow, _ACTS_OF_CASE, given),
                seals=self._all(conn, SealRow, _SEALS_OF_CASE, given),
                decisions=self._all(conn, DecisionRow, _DECISIONS_OF_CASE, given),
                **self._tracks(conn, case),
            )

    def load_notice(self, notice: str) -> NoticeView:
        given = {"a_notice": notice}
        with self._db.read() as conn:
            row = self._must(conn, NoticeRow, _NOTICE, {"a_id": notice})
            cases: dict[str, list[str]] = defaultdict(list)
            for item, case in self._db.asked(_CLAIMS_OF_NOTICE).all(conn, given):
                cases[item].append(case)
            return NoticeView(
                notice=row,
                items=self._all(conn, ItemRow, _ITEMS_OF_NOTICE, given),
                directions=self._all(conn, DirectionRow, _DIRECTIONS_OF_NOTICE, given),
                decisions=self._all(conn, DecisionRow, _DECISIONS_OF_NOTICE, given),
                claims={name: tuple(found) for name, found in cases.items()},
            )

    def spent_since(self, issuer: str, since_at: int) -> Spent:
        with self._db.read() as conn:
            return spent_in(conn, issuer, since_at)

    def _claims(self, conn: Connection, case: str) -> tuple[ClaimRow, ...]:
        item, notice = shape_of(ItemRow), shape_of(NoticeRow)
        return tuple(
            ClaimRow(
                item=item.make(self._codec, row),
                notice=notice.make(self._codec, row, item.width),
                case=case,
                act=Act(row[-2]),
                rank=row[-1],
            )
            for row in self._db.asked(_CLAIMS_OF_CASE).all(conn, {"a_case": case})
        )

    def _tracks(self, conn: Connection, case: str) -> dict[str, WorkRow]:
        found = {row.track: row for row in self._all(conn, WorkRow, _TRACKS_OF_CASE, {"a_subject": case})}
        return {track.value: found.get(track) or _not_begun(track, case) for track in _CASE_TRACKS}


def item_line(codec: Codec, row: Sequence[Any], cases: tuple[str, ...]) -> ItemLine:
    """From a row of `columns_of(ItemRow, NoticeRow)`."""
    item = shape_of(ItemRow)
    notice = shape_of(NoticeRow).make(codec, row, item.width)
    return ItemLine(item=item.make(codec, row), notice=notice, cases=cases)


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


# Built once, since building a statement costs more than running it. Parameters begin with `a_`, followed by the column.


def _find(kind: type[Any], *columns: str, order: tuple[str, ...] = ()) -> Select[Any]:
    table = TABLE_OF[kind]
    same = [table.c[name] == bindparam(f"a_{name}") for name in columns]
    return select(*columns_of(kind)).where(*same).order_by(*(table.c[name] for name in order))


_CASE_TRACKS = (Track.EXPOSURE, Track.EVIDENCE)

_CASE = _find(CaseRow, "id")
_NOTICE = _find(NoticeRow, "id")
_NOTICE_BY_NAME = _find(NoticeRow, "issuer", "notice_id")
_MESSAGE = _find(MessageRow, "id")
_WORK = _find(WorkRow, "track", "subject")
_DIRECTION = _find(DirectionRow, "notice", "direction_id")
_DECISION = _find(DecisionRow, "id")
_NONCE = _find(NonceRow, "issuer", "nonce")
_CASE_URL = _find(CaseUrlRow, "case", "url_hmac").with_only_columns(tables.case_url.c.case)
_OPEN_CASE = (
    _find(CaseRow, "adapter", "locator_hmac")
    .with_only_columns(tables.case.c.id)
    .where(tables.case.c.closed_at.is_(None))
)
_EVENTS = _find(EventRow, "notice", order=("sequence",))
_UNDELIVERED = _EVENTS.where(tables.event.c.delivered_at.is_(None), tables.event.c.dead_at.is_(None)).limit(
    bindparam("at_most", type_=Integer)
)

_URLS_OF_CASE = _find(CaseUrlRow, "case", order=("created_at", "url_hmac"))
_HOLDS_OF_CASE = _find(HoldRow, "case", order=("id",))
_ACTS_OF_CASE = _find(ActRow, "case", order=("begun_at", "op_id"))
_SEALS_OF_CASE = _find(SealRow, "case", order=("id",))
_TRACKS_OF_CASE = _find(WorkRow, "subject").where(or_(*(tables.work.c.track == track.value for track in _CASE_TRACKS)))
_CLAIMS_OF_CASE = (
    select(*columns_of(ItemRow, NoticeRow), tables.claim.c.act, tables.claim.c.rank)
    .join_from(tables.claim, tables.item, tables.item.c.id == tables.claim.c.item)
    .join(tables.notice, tables.notice.c.id == tables.item.c.notice)
    .where(tables.claim.c.case == bindparam("a_case"))
    .order_by(tables.item.c.id)
)
_DECISIONS_OF_CASE = (
    select(*columns_of(DecisionRow))
    .where(
        or_(
            tables.decision.c.case == bindparam("a_case"),
            tables.decision.c.item.in_(select(tables.claim.c.item).where(tables.claim.c.case == bindparam("a_case"))),
        )
    )
    .order_by(tables.decision.c.id)
)

_ITEMS_OF_NOTICE = _find(ItemRow, "notice", order=("id",))
_DIRECTIONS_OF_NOTICE = _find(DirectionRow, "notice", order=("issued_at", "id"))
_DECISIONS_OF_NOTICE = (
    select(*columns_of(DecisionRow))
    .join(tables.item, tables.item.c.id == tables.decision.c.item)
    .where(tables.item.c.notice == bindparam("a_notice"))
    .order_by(tables.decision.c.id)
)
_CLAIMS_OF_NOTICE = (
    select(tables.claim.c.item, tables.claim.c.case)
    .join(tables.item, tables.item.c.id == tables.claim.c.item)
    .where(tables.item.c.notice == bindparam("a_notice"))
    .order_by(tables.claim.c.rank, tables.claim.c.case)
)
