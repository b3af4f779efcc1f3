"""Statements put once into the words of one database, so that a row costs little more than its reading or writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Select
from sqlalchemy.engine.interfaces import Compiled
from sqlalchemy.sql.dml import Delete, Insert, Update

from receiver.store.backend import Backend

Row = Mapping[str, Any]


class Prepared:
    """An INSERT or UPDATE without RETURNING. Every row must name the same parameters: those of `columns`, or all."""

    def __init__(
        self, backend: Backend, statement: Insert | Update | Delete, columns: Sequence[str] | None = None
    ) -> None:
        compiled = statement.compile(dialect=backend.writer.dialect, column_keys=columns)
        self._sql = compiled.string
        self._order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._fixed = _fixed(compiled)

    def write(self, conn: Connection, rows: Sequence[Row]) -> int:
        """How many rows it changed."""
        given: list[Any] = [{**self._fixed, **row} for row in rows] if self._fixed else list(rows)
        if self._order is not None:
            order = self._order
            given = [tuple([row[name] for name in order]) for row in given]
        return conn.exec_driver_sql(self._sql, given if len(given) > 1 else given[0]).rowcount


class Asked:
    """A SELECT. What it gives is the driver's, so only columns of numbers, text and bytes."""

    def __init__(self, backend: Backend, statement: Select[Any]) -> None:
        compiled = statement.compile(dialect=backend.reader.dialect)
        self._sql = compiled.string
        self._order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._fixed = _fixed(compiled)

    def first(self, conn: Connection, given: Row) -> Sequence[Any] | None:
        return self._run(conn, given).first()

    def all(self, conn: Connection, given: Row) -> Sequence[Sequence[Any]]:
        return self._run(conn, given).all()

    def _run(self, conn: Connection, given: Row) -> CursorResult[Any]:
        values: Any = {**self._fixed, **given}
        if self._order is not None:
            values = tuple([values[name] for name in self._order])
        return conn.exec_driver_sql(self._sql, values)


def _fixed(compiled: Compiled) -> dict[str, Any]:
    """Numbers that stand in the statement itself, as in `nudges + 1`."""
    binds: Mapping[str, Any] = getattr(compiled, "binds", {})
    return {name: bind.value for name, bind in binds.items() if not bind.required and bind.value is not None}
