"""Database rows into the frozen values of `receiver.domain.rows`, decrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import RowMapping, Table

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
from receiver.store.codec import Codec, place_of

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
_FIELDS: dict[type[Any], tuple[str, ...]] = {kind: tuple(field.name for field in fields(kind)) for kind in TABLE_OF}


def build(codec: Codec, kind: type[Row], row: RowMapping) -> Row:
    """One value of `kind` out of a row that selected all columns of its table."""
    table = TABLE_OF[kind]
    columns = table.columns
    place = place_of(table.name, _Keys(table, row))
    values: dict[str, Any] = {}
    for name in _FIELDS[kind]:
        value = codec.from_row(table.name, name, row[columns[name]], place)
        if (kind, name) in _ENUMS:
            value = _ENUMS[kind, name](value)
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


class _Keys(Mapping[str, Any]):
    """A joined row by the column names of one of its tables."""

    def __init__(self, table: Table, row: RowMapping) -> None:
        self._table, self._row = table, row

    def __getitem__(self, name: str) -> Any:
        return self._row[self._table.columns[name]]

    def __iter__(self) -> Any:
        return iter(self._table.columns.keys())

    def __len__(self) -> int:
        return len(self._table.columns)
