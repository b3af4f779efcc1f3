"""Statements put once into the words of one database, and said to its driver directly.

SQLAlchemy's own way compiles, binds and wraps each time, which costs more than the database does. Everything around a
statement stays SQLAlchemy's: connections, transactions, and the errors that come out of here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.engine.interfaces import Compiled
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import Delete, Insert, ReturningUpdate, Update

from receiver.store.backend import Backend

Row = Mapping[str, Any]


class Words:
    """A statement as its driver takes it."""

    def __init__(
        self,
        dialect: Dialect,
        statement: Select[Any] | Insert | Update | Delete | ReturningUpdate[Any],
        columns: Sequence[str] | None = None,
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self.sql = compiled.string
        self._order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._fixed = _fixed(compiled)

    def values(self, given: Row) -> Any:
        """What goes with the statement, in the form that the driver wants."""
        named = {**self._fixed, **given} if self._fixed else given
        return named if self._order is None else tuple([named[name] for name in self._order])


class Prepared:
    """An INSERT or UPDATE without RETURNING. Every row must name the same parameters: those of `columns`, or all."""

    def __init__(
        self, backend: Backend, statement: Insert | Update | Delete, columns: Sequence[str] | None = None
    ) -> None:
        self._words = Words(backend.writer.dialect, statement, columns)

    def write(self, conn: Connection, rows: Sequence[Row]) -> int:
        """How many rows it changed."""
        words = self._words
        if len(rows) == 1:
            return _say(conn, words.sql, words.values(rows[0]))[0]
        return _say(conn, words.sql, [words.values(row) for row in rows], many=True)[0]


class Asked:
    """A SELECT, or a change that returns rows. What it gives is the driver's: numbers, text and bytes."""

    def __init__(self, backend: Backend, statement: Select[Any] | ReturningUpdate[Any]) -> None:
        self._words = Words(backend.reader.dialect, statement)

    def first(self, conn: Connection, given: Row) -> Sequence[Any] | None:
        found = self.all(conn, given)
        return found[0] if found else None

    def all(self, conn: Connection, given: Row) -> Sequence[Sequence[Any]]:
        return _say(conn, self._words.sql, self._words.values(given), rows=True)[1]


def say(conn: Connection, sql: str) -> None:
    """A command without values, such as BEGIN. Raises DBAPIError."""
    _say(conn, sql, ())


def _say(
    conn: Connection, sql: str, values: Any, *, many: bool = False, rows: bool = False
) -> tuple[int, Sequence[Sequence[Any]]]:
    """How many rows it changed, and those that it gave."""
    link, error_class = conn.connection, conn.dialect.loaded_dbapi.Error
    try:
        with contextlib.closing(link.cursor()) as cursor:
            # Whoever listens to SQLAlchemy's statements hears these too.
            for hear in conn.dispatch.before_cursor_execute:
                hear(conn, cursor, sql, values, None, many)
            if many:
                cursor.executemany(sql, values)
            else:
                cursor.execute(sql, values)
            return cursor.rowcount, cursor.fetchall() if rows else ()
    except error_class as error:
        # A line that broke must not go back among those that work.
        if conn.dialect.is_disconnect(error, link.dbapi_connection, None):
            conn.invalidate(error)
        raise explained(error, error_class) from error


def explained(error: Exception, error_class: type[Exception]) -> Exception:
    """A driver's error as SQLAlchemy has it, without the statement and its values."""
    return DBAPIError.instance(None, None, error, error_class, hide_parameters=True)


def _fixed(compiled: Compiled) -> dict[str, Any]:
    """Numbers that stand in the statement itself, as in `nudges + 1`."""
    binds: Mapping[str, Any] = getattr(compiled, "binds", {})
    return {name: bind.value for name, bind in binds.items() if not bind.required and bind.value is not None}
