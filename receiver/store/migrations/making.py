"""Tables and indexes in the few shapes that migrations here use. Released migrations rest on it: add, never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

Column = sa.Column[Any]


def table(
    name: str,
    *columns: Column,
    key: str = "id",
    refers: Mapping[str, str] | None = None,
    unique: Sequence[str] = (),
    created_at: bool = True,
) -> None:
    """`key` and each of `unique` are names with spaces between them; `refers` maps a column to `table.column`.

    The last column is `created_at`, but of the table whose rows have `at`.
    """
    op.create_table(
        name,
        *columns,
        *(number("created_at") if created_at else ()),
        sa.PrimaryKeyConstraint(*key.split(), name=op.f(f"pk_{name}")),
        *(
            sa.ForeignKeyConstraint([mine], [theirs], name=op.f(f"fk_{name}_{mine}"))
            for mine, theirs in (refers or {}).items()
        ),
        *(sa.UniqueConstraint(*names.split(), name=op.f("_".join(["uq", name, *names.split()]))) for names in unique),
    )


def index(name: str, of: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
    """`where` makes it a partial index, by the same words on both databases."""
    only = None if where is None else sa.text(where)
    op.create_index(name, of, list(columns), unique=unique, sqlite_where=only, postgresql_where=only)


def text(*names: str, null: bool = False) -> list[Column]:
    return [sa.Column(name, sa.Text(), nullable=null) for name in names]


def blob(*names: str, null: bool = False) -> list[Column]:
    return [sa.Column(name, sa.LargeBinary(), nullable=null) for name in names]


def flag(*names: str, null: bool = False) -> list[Column]:
    return [sa.Column(name, sa.Boolean(), nullable=null) for name in names]


def small(*names: str, null: bool = False, by_itself: bool = True) -> list[Column]:
    """Counts, ranks. `by_itself=False` for a part of a key that the database must not number by itself."""
    return [
        sa.Column(name, sa.Integer(), nullable=null, autoincrement="auto" if by_itself else False) for name in names
    ]


def number(*names: str, null: bool = False, by_itself: bool = True) -> list[Column]:
    """Moments in microseconds, sizes, numbers that only grow."""
    return [
        sa.Column(name, sa.BigInteger(), nullable=null, autoincrement="auto" if by_itself else False) for name in names
    ]
