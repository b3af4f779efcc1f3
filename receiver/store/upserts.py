"""Statements that insert a row or change the one that is there, the same on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Text, and_, bindparam, case
from sqlalchemy.sql.dml import Update

from receiver.domain.status import Track
from receiver.store import tables
from receiver.store.backend import AnyInsert, Backend

FIRST_STATE = {Track.RESOLVE: "resolve", Track.DELIVER: "deliver", Track.EXPOSURE: "idle", Track.EVIDENCE: "wait"}
"""The state of a row that a wake inserts without saying which."""


def wake(backend: Backend) -> AnyInsert:
    """Make a row due. Parameters: the row's columns, `from_state` and `given_priority` (each may be None)."""
    work = tables.work.c
    new = backend.insert(tables.work)
    fresh = new.excluded
    given = bindparam("given_priority", type_=BigInteger)
    sooner = and_(work.due_at.is_not(None), work.due_at < fresh.due_at)
    return new.on_conflict_do_update(
        index_elements=["track", "subject"],
        set_={
            "nudges": work.nudges + 1,
            "due_at": case((sooner, work.due_at), else_=fresh.due_at),
            "state": case((work.state == bindparam("from_state", type_=Text), fresh.state), else_=work.state),
            # A wake may make a row more urgent, never less.
            "priority": case((given < work.priority, given), else_=work.priority),
        },
    )


def page(backend: Backend) -> AnyInsert:
    """Raise a page; the same one again while nobody acknowledged it."""
    new = backend.insert(tables.page)
    return new.on_conflict_do_update(
        index_elements=["kind", "subject"],
        index_where=tables.page.c.acknowledged_at.is_(None),
        set_={"count": tables.page.c.count + 1, "last_at": new.excluded.last_at, "text": new.excluded.text},
    )


def replace(backend: Backend, table: Any, *columns: str) -> AnyInsert:
    """Insert, or set these columns of the row with the same primary key."""
    new = backend.insert(table)
    keys = [column.name for column in table.primary_key.columns]
    return new.on_conflict_do_update(index_elements=keys, set_={name: new.excluded[name] for name in columns})


def move() -> Update:
    """Give a leased row its next state, if its lease still stands. Parameters have the prefix `m_`."""
    work = tables.work
    return (
        work.update()
        .where(
            work.c.track == bindparam("m_track"),
            work.c.subject == bindparam("m_subject"),
            work.c.owner == bindparam("m_owner"),
            work.c.epoch == bindparam("m_epoch"),
        )
        .values(
            state=bindparam("m_state"),
            priority=bindparam("m_priority"),
            due_at=case(
                (work.c.nudges == bindparam("m_nudges"), bindparam("m_due_at", type_=BigInteger)),
                else_=bindparam("m_now", type_=BigInteger),
            ),
            owner=bindparam("m_next_owner"),
            attempts=bindparam("m_attempts"),
            first_failed_at=bindparam("m_first_failed_at"),
            last_error=bindparam("m_last_error"),
            stuck_from=bindparam("m_stuck_from"),
        )
    )
