"""The words in which the tables are written."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def text_column(name: str, *refers: Any, null: bool = False, pk: bool = False) -> Column[Any]:
    return Column(name, Text, *refers, nullable=null, primary_key=pk)


def at(name: str, *, null: bool = True) -> Column[Any]:
    """Microseconds UTC."""
    return Column(name, BigInteger, nullable=null)


def count(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, BigInteger, nullable=null)


def sealed(name: str, *, null: bool = True) -> Column[Any]:
    """Encrypted. Nullable wherever the readable form leaves the database when the watch ends."""
    return Column(name, LargeBinary, nullable=null)


def to(target: str) -> ForeignKey:
    return ForeignKey(target)


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def table(name: str, *parts: Any) -> Table:
    columns = [part for part in parts if isinstance(part, Column)]
    rules = [part for part in parts if not isinstance(part, Column)]
    return Table(name, metadata, *columns, at("created_at", null=False), *rules)
