"""Database rows into the frozen values of `receiver.domain.rows`, decrypted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar

from sqlalchemy import Boolean, Column, Table

from receiver.domain.ports import KeyOverlay, NonceRow, PageRow
from receiver.domain.rows import (
    ActRow,
    CaseRow,
    CaseUrlRow,
    DecisionRow,
    DirectionRow,
    EventRow,
    HoldRow,
    ItemRow,
    MessageRow,
    NoticeRow,
    PauseRow,
    SealRow,
    WorkRow,
)
from receiver.domain.status import ItemStatus, Track, Verdict, Want
from receiver.store import tables
from receiver.store.codec import COLUMNS, Codec

Row = TypeVar("Row")

TABLE_OF: dict[type[Any], Table] = {
    MessageRow: tables.message,
    NonceRow: tables.nonce,
    NoticeRow: tables.notice,
    ItemRow: tables.item,
    CaseRow: tables.case,
    CaseUrlRow: tables.case_url,
    HoldRow: tables.hold,
    ActRow: tables.act,
    SealRow: tables.seal,
    DecisionRow: tables.decision,
    DirectionRow: tables.direction,
    EventRow: tables.event,
    WorkRow: tables.work,
    PauseRow: tables.pause,
    PageRow: tables.page,
    KeyOverlay: tables.issuer_key,
}
_ENUMS: dict[tuple[type[Any], str], Any] = {
    (ItemRow, "status"): ItemStatus,
    (EventRow, "status"): ItemStatus,
    (CaseRow, "want"): Want,
    (CaseUrlRow, "verdict"): Verdict,
    (ActRow, "track"): Track,
    (WorkRow, "track"): Track,
}


class Shape(Generic[Row]):
    """How one kind of value stands in its table; found out once, since a step reads dozens of rows.

    A query selects `columns`, alone or beside others, and `make` is told where among them they begin.
    """

    def __init__(self, kind: type[Row]) -> None:
        table = TABLE_OF[kind]
        self._kind, self._table = kind, table.name
        names = tuple(field.name for field in fields(kind))  # type: ignore[arg-type]  # all of TABLE_OF are dataclasses
        self.columns: tuple[Column[Any], ...] = tuple(table.columns[name] for name in names)
        self.width = len(names)
        self._names = names
        encoded = COLUMNS.get(table.name, {})
        self._encoded = tuple((place, name) for place, name in enumerate(names) if name in encoded)
        # Only what is sealed is bound to its row, and such rows have their whole key among their fields.
        self._keys = tuple(names.index(c.name) for c in table.primary_key.columns) if self._encoded else ()
        # SQLite has no yes and no, only numbers.
        self._flags = tuple(place for place, column in enumerate(self.columns) if isinstance(column.type, Boolean))
        self._enums = tuple((place, _ENUMS[kind, n]) for place, n in enumerate(names) if (kind, n) in _ENUMS)

    def make(self, codec: Codec, row: Sequence[Any], start: int = 0) -> Row:
        """One value out of a row that selected `columns`, from place `start` on."""
        values = list(row[start : start + self.width])
        if self._encoded:
            key = "/".join(str(values[place]) for place in self._keys)
            for place, name in self._encoded:
                value = codec.from_row(self._table, name, values[place], key)
                values[place] = tuple(value) if isinstance(value, list) else value
        for place in self._flags:
            values[place] = None if values[place] is None else bool(values[place])
        for place, member in self._enums:
            values[place] = member(values[place])
        return self._kind(**dict(zip(self._names, values, strict=True)))


_SHAPES: dict[type[Any], Shape[Any]] = {kind: Shape(kind) for kind in TABLE_OF}


def shape_of(kind: type[Row]) -> Shape[Row]:
    return _SHAPES[kind]


def columns_of(*kinds: type[Any]) -> tuple[Column[Any], ...]:
    """What to select for one value of each of these kinds, side by side in this order."""
    return tuple(column for kind in kinds for column in _SHAPES[kind].columns)
