"""What the public side asks about every notice that comes in: few questions, each with as little around it as can be.

A question is one statement, so it needs no transaction around it to see one state of the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, literal_column, select
from sqlalchemy.exc import SQLAlchemyError

from receiver.domain.ports import KeyOverlay, NonceRow
from receiver.domain.rows import NoticeRow
from receiver.store import tables
from receiver.store.backend import Backend
from receiver.store.codec import Codec
from receiver.store.database import Database, Part
from receiver.store.prepared import Words, explained
from receiver.store.rowmaker import columns_of, shape_of

_KEY = select(*columns_of(KeyOverlay)).where(
    tables.issuer_key.c.issuer == bindparam("a_issuer"), tables.issuer_key.c.kid == bindparam("a_kid")
)
_ANY = select(literal_column("1").label("one")).subquery("any_row")
_SAME_NONCE = and_(tables.nonce.c.issuer == bindparam("a_issuer"), tables.nonce.c.nonce == bindparam("a_nonce"))
_SAME_NAME = and_(
    tables.notice.c.issuer == bindparam("a_issuer"), tables.notice.c.notice_id == bindparam("a_notice_id")
)
_RECEIVED = select(*columns_of(NonceRow, NoticeRow)).select_from(
    _ANY.outerjoin(tables.nonce, _SAME_NONCE).outerjoin(tables.notice, _SAME_NAME)
)


class _Question:
    """A SELECT in the words of one database, asked over a bare connection of the pool."""

    def __init__(self, backend: Backend, query: Select[Any]) -> None:
        self._backend, self._words = backend, Words(backend.reader.dialect, query)
        self._error: type[Exception] = backend.reader.dialect.loaded_dbapi.Error

    def first(self, given: Mapping[str, Any]) -> Sequence[Any] | None:
        """The first row. Raises SQLAlchemyError."""
        try:
            link = self._backend.reader.raw_connection()
        except self._error as error:
            raise explained(error, self._error) from error
        try:
            cursor = link.cursor()
            cursor.execute(self._words.sql, self._words.values(given))
            row: Sequence[Any] | None = cursor.fetchone()
            cursor.close()
        except self._error as error:
            # Whether the line or only the question broke, the next one gets another line.
            link.invalidate()
            raise explained(error, self._error) from error
        finally:
            link.close()
        return row


class ReceivedReads(Part):
    def __init__(self, db: Database, codec: Codec) -> None:
        super().__init__(db, codec)
        self._key, self._received = _Question(db.backend, _KEY), _Question(db.backend, _RECEIVED)

    def find_key(self, issuer: str, kid: str) -> KeyOverlay | None:
        row = self._first(self._key, {"a_issuer": issuer, "a_kid": kid})
        return None if row is None else shape_of(KeyOverlay).make(self._codec, row)

    def find_received(self, issuer: str, nonce: str, notice_id: str) -> tuple[NonceRow | None, NoticeRow | None]:
        used, notice = shape_of(NonceRow), shape_of(NoticeRow)
        given = {"a_issuer": issuer, "a_nonce": nonce, "a_notice_id": notice_id}
        row = self._first(self._received, given) or (None,) * (used.width + notice.width)
        # The first column of either is part of its key, so it is empty only where there is no such row.
        return (
            None if row[0] is None else used.make(self._codec, row),
            None if row[used.width] is None else notice.make(self._codec, row, used.width),
        )

    def _first(self, question: _Question, given: Mapping[str, Any]) -> Sequence[Any] | None:
        try:
            return question.first(given)
        except SQLAlchemyError as error:
            raise self._db.explain(error, writing=False) from error
