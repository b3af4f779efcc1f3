"""Inserts and updates of an outcome, made ready before any lock is taken and written in few statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, UniqueConstraint, and_, bindparam, insert, update

from receiver.domain.errors import ConflictError
from receiver.domain.outcome import Insert, Update
from receiver.domain.status import PRIORITY, Track
from receiver.store.backend import Backend
from receiver.store.codec import Codec
from receiver.store.errors import BadRowError
from receiver.store.prepared import Prepared
from receiver.store.tables import metadata


@dataclass(frozen=True, kw_only=True)
class InsertRows:
    table: str
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class UpdateRows:
    table: str
    where: tuple[str, ...]
    null: tuple[str, ...]
    """Columns that must be NULL; they take no parameter."""
    columns: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    optional: bool


Change = InsertRows | UpdateRows

_DEFAULTS: dict[str, Mapping[str, Any]] = {
    "notice": {"last_sequence": 0, "deadline_at": None},
    "item": {
        "reason": None,
        "canonical": None,
        "approved_by": None,
        "withdrawn_at": None,
        "iccam_at": None,
        "details": {},
    },
    "case_": {
        "round": 1,
        "revision": 0,
        "residual": (),
        "observation": None,
        "deadline_at": None,
        "blocked_at": None,
        "effective_at": None,
        "was_public": None,
        "closed_at": None,
    },
    "case_url": {"verdict": "unseen", "checked_at": None, "looks": ()},
    "hold": {"reference": None, "until_at": None, "released_at": None},
    "work": {
        "due_at": None,
        "owner": None,
        "epoch": 0,
        "nudges": 0,
        "attempts": 0,
        "first_failed_at": None,
        "last_error": None,
        "stuck_from": None,
    },
    "act": {"receipt": None, "ended_at": None, "result": None},
    "seal": {
        "manifest_ref": None,
        "hash_match": None,
        "removed_at": None,
        "retention_until_at": None,
        "destroyed_at": None,
    },
    "decision": {"case": None, "item": None, "approvals": (), "needs": 1, "expires_at": None},
    "direction": {"items": None, "reason": None, "until_at": None, "reference": None, "applied_at": None},
    "issuer_key": {"not_before": None, "not_after": None, "revoked_at": None},
    "admin_user": {"must_change": False, "disabled_at": None},
    "api_token": {"expires_at": None},
}
"""What a new row holds where its maker says nothing, so that rows of one table share one statement."""


def prepare(codec: Codec, changes: Sequence[Insert | Update]) -> tuple[Change, ...]:
    """Encrypt and group: changes of one shape become one statement where their order means nothing.

    A notice of 25 items opens 25 cases, and each of them is seven changes. Raises BadRowError.
    """
    return merged(_insert(codec, one) if isinstance(one, Insert) else _update(codec, one) for one in changes)


def merged(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The same in as few statements as their order lets be."""
    groups: list[_Group] = []
    for change in changes:
        _put(groups, change)
    return tuple([group.change() for group in groups])


def names_of_rows(change: UpdateRows) -> tuple[tuple[str, ...], list[tuple[Any, ...]]] | None:
    """Columns that name one row, with their values for each row; None where these are not among the conditions."""
    key = _key_in(change.table, change.where)
    return None if key is None else (key, [tuple([row[f"w_{name}"] for name in key]) for row in change.rows])


class _Group:
    """Changes of one shape, which are written together."""

    def __init__(self, first: Change) -> None:
        self.first = first
        self._shape, self._rows = _shape(first), list(first.rows)

    def takes(self, made: Change) -> bool:
        """Whether it has the same shape; then it belongs to them."""
        if self.first.table != made.table or self._shape != _shape(made):
            return False
        self._rows += made.rows
        return True

    def change(self) -> Change:
        return replace(self.first, rows=tuple(self._rows))


def _put(groups: list[_Group], made: Change) -> None:
    """Add it to the last group of its shape, unless something in between has to be written before it."""
    for group in reversed(groups):
        if group.takes(made):
            return
        if not _may_pass(made, group.first):
            break
    groups.append(_Group(made))


def _may_pass(made: Change, other: Change) -> bool:
    """Whether it may be written before the other: never in one table, and never before a row that it points at."""
    if made.table == other.table:
        return False
    return isinstance(other, UpdateRows) or other.table not in _points_at(made.table)


@lru_cache(maxsize=64)
def _points_at(table: str) -> frozenset[str]:
    return frozenset(key.column.table.name for key in metadata.tables[table].foreign_keys)


class ChangeWriter:
    """Writes them, with the statements kept that it has met."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._kept: dict[tuple[object, ...], Prepared] = {}

    def write(self, conn: Connection, changes: Sequence[Change], now: int) -> None:
        """Raises ConflictError when a row to be changed is not there, or IntegrityError for a broken rule."""
        for change in changes:
            if isinstance(change, InsertRows):
                rows = [{"created_at": now, **row} for row in change.rows]
                self._insertion(change.table, tuple(sorted(rows[0]))).write(conn, rows)
            else:
                self._update(conn, change)

    def _update(self, conn: Connection, change: UpdateRows) -> None:
        statement = self._statement(change)
        if change.optional or _key_in(change.table, change.where) is not None:
            changed = statement.write(conn, change.rows)
            fits = change.optional or changed == len(change.rows)
        else:
            fits = all(statement.write(conn, [row]) == 1 for row in change.rows)
        if not fits:
            raise ConflictError(f"a row of {change.table} is not as it was; read again and decide again")

    def _insertion(self, table: str, columns: tuple[str, ...]) -> Prepared:
        key = (table, columns)
        if key not in self._kept:
            self._kept[key] = Prepared(self._backend, insert(metadata.tables[table]), columns)
        return self._kept[key]

    def _statement(self, change: UpdateRows) -> Prepared:
        key = _shape(change)
        if key not in self._kept:
            target = metadata.tables[change.table]
            conditions = [target.c[name] == bindparam(f"w_{name}") for name in change.where]
            conditions += [target.c[name].is_(None) for name in change.null]
            values: dict[str, Any] = {name: bindparam(f"v_{name}") for name in change.columns}
            self._kept[key] = Prepared(self._backend, update(target).where(and_(*conditions)).values(values))
        return self._kept[key]


def _insert(codec: Codec, change: Insert) -> InsertRows:
    table = change.table.value
    if table in {"event", "page"}:
        raise BadRowError(f"a new {table} has a form of its own: NewEvent or Page")
    values = {**_DEFAULTS.get(table, {}), **change.values}
    if table == "work":
        values.setdefault("priority", PRIORITY[Track(values["track"])])
    return InsertRows(table=table, rows=(codec.to_row(table, values),))


def _update(codec: Codec, change: Update) -> UpdateRows:
    table = change.table.value
    if table == "event" and not set(change.values) <= {"delivered_at", "dead_at"}:
        raise BadRowError("of an event only delivered_at and dead_at change")
    where = codec.to_where(table, change.where)
    row = codec.to_row(table, change.values, where)
    if not row:
        raise BadRowError(f"an update of {table} changes nothing")
    null = tuple(sorted(name for name, value in where.items() if value is None))
    keys = {f"w_{name}": value for name, value in where.items() if value is not None}
    return UpdateRows(
        table=table,
        where=tuple(sorted(set(where) - set(null))),
        null=null,
        columns=tuple(sorted(row)),
        rows=(keys | {f"v_{name}": value for name, value in row.items()},),
        optional=change.optional,
    )


def _shape(change: Change) -> tuple[object, ...]:
    """Changes of one shape are written by one statement."""
    if isinstance(change, InsertRows):
        return (change.table, change.rows[0].keys())
    return (change.table, change.where, change.null, change.columns, change.optional)


@lru_cache(maxsize=512)
def _key_in(table: str, where: tuple[str, ...]) -> tuple[str, ...] | None:
    """Those of the columns that match one row at most, so that a sum of counts says how many rows matched."""
    target = metadata.tables[table]
    keys = [target.primary_key.columns.keys()]
    keys += [rule.columns.keys() for rule in target.constraints if isinstance(rule, UniqueConstraint)]
    return next((tuple(key) for key in keys if set(key) <= set(where)), None)
