"""Statements that write, put once into the words of one database, so that a row costs little more than its writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
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
        binds = compiled.binds.items()
        # Numbers that stand in the statement itself, as in `nudges + 1`.
        self._fixed = {name: bind.value for name, bind in binds if not bind.required and bind.value is not None}

    def write(self, conn: Connection, rows: Sequence[Row]) -> int:
        """How many rows it changed."""
        given: list[Any] = [{**self._fixed, **row} for row in rows]
        if self._order is not None:
            order = self._order
            given = [tuple([row[name] for name in order]) for row in given]
        return conn.exec_driver_sql(self._sql, given if len(given) > 1 else given[0]).rowcount
