"""PostgreSQL, for more than one machine."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from typing import Any

import psycopg
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    bindparam,
    create_engine,
    event,
    literal_column,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL

from receiver.domain.status import Track
from receiver.store import tables
from receiver.store.backend import AnyInsert, Failure, Lead, WakeListener
from receiver.store.postgres_session import Caller, NotifyListener, lead_or_unavailable, was_committed

_CONNECT_SECONDS = 5
_POOL_SIZE = 8
_POOL_OVERFLOW = 24
_POOL_SECONDS = 5.0
_LIMITS = (
    "-c statement_timeout=30000 -c timezone=UTC"
    # A worker that is frozen or cut off in the middle of a transaction keeps its rows locked, and one that waited for
    # such a row then is next to hold it. Both times together are shorter than a lease without a heartbeat's pause, so
    # that whatever a dead worker kept is free before anybody may take over: whoever lives tries again meanwhile.
    " -c lock_timeout=2000 -c idle_in_transaction_session_timeout=4000"
    # And what the server has sent to a machine that vanished is given up as soon.
    " -c tcp_user_timeout=10000 -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3"
)
_LINK = {
    "connect_timeout": _CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    # A server that vanished without a word is given up after ten seconds instead of a quarter of an hour.
    "tcp_user_timeout": 10_000,
    "application_name": "takedown-receiver",
}

_NOW = literal_column("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)", BigInteger)
_TRANSACTION = text("SELECT pg_current_xact_id()::text")

_AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    # The server ended it while we were frozen or cut off; the driver takes that for an error inside the server.
    psycopg.errors.IdleInTransactionSessionTimeout,
)
_AGAIN = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
)


class PostgresBackend:
    name = "postgresql"

    def __init__(self, url: URL) -> None:
        arguments = {**_LINK, "options": _LIMITS}
        self._engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_OVERFLOW,
            pool_timeout=_POOL_SECONDS,
            connect_args=arguments,
        )
        # Several questions of one answer must see one state of the database.
        self.reader: Engine = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self.writer: Engine = self._engine.execution_options(isolation_level="READ COMMITTED")
        self.hasty: Engine = self.writer.execution_options(hasty=True)
        event.listen(self._engine, "begin", _on_begin)
        self._locks: Mapping[str, Select[Any]] = {
            "case": self._locking(tables.case.c.id),
            "work": self._locking(tables.work.c.track, tables.work.c.subject),
            "notice": self._locking(tables.notice.c.id),
            "item": self._locking(tables.item.c.id),
        }
        self._conninfo: dict[str, Any] = {**_connect_arguments(url), **_LINK}
        self._caller = Caller(self._conninfo)

    def write_lock(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def now(self) -> ColumnElement[int]:
        return _NOW

    def insert(self, table: Table) -> AnyInsert:
        return insert(table)

    def skip_locked(self, query: Select[Any]) -> Select[Any]:
        return query.with_for_update(skip_locked=True)

    def for_update(self, query: Select[Any]) -> Select[Any]:
        # Not the strongest lock: rows that merely point at this one may still be inserted.
        return query.with_for_update(key_share=True)

    def lock_first(
        self,
        conn: Connection,
        *,
        cases: Collection[str],
        work: Collection[tuple[Track, str]],
        notices: Collection[str],
        items: Collection[str],
    ) -> None:
        for name, keys in (
            ("case", sorted(cases)),
            ("work", sorted((track.value, subject) for track, subject in work)),
            ("notice", sorted(notices)),
            ("item", sorted(items)),
        ):
            if keys:
                conn.execute(self._locks[name], {"rows": keys})

    def _locking(self, *key: ColumnElement[str]) -> Select[Any]:
        named = key[0] if len(key) == 1 else tuple_(*key)
        found = select(key[0]).where(named.in_(bindparam("rows", expanding=True))).order_by(*key)
        return self.for_update(found)

    def classify(self, error: BaseException, *, writing: bool) -> Failure:  # noqa: ARG002 - the server sees to its disk
        if isinstance(error, _AGAIN):
            return Failure.DEADLOCK
        if isinstance(error, psycopg.errors.UniqueViolation):
            return Failure.CONFLICT
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return Failure.FORBIDDEN
        return Failure.AWAY if isinstance(error, _AWAY) else Failure.OURS

    def transaction_id(self, conn: Connection) -> str | None:
        return str(conn.execute(_TRANSACTION).scalar_one())

    def committed(self, transaction: str) -> bool:
        return was_committed(self._conninfo, transaction)

    def call_wakers(self) -> None:
        self._caller.call()

    def listen(self) -> WakeListener:
        return NotifyListener(self._conninfo)

    def try_lead(self, name: str) -> Lead | None:
        return lead_or_unavailable(self._conninfo, name)

    def close(self) -> None:
        self._caller.close()
        self._engine.dispose()


def _connect_arguments(url: URL) -> dict[str, Any]:
    given: dict[str, Any] = dict(url.query)
    named = {"host": url.host, "port": url.port, "user": url.username, "password": url.password, "dbname": url.database}
    return given | {name: value for name, value in named.items() if value is not None}


def _on_begin(connection: Connection) -> None:
    if connection.get_execution_options().get("hasty"):
        connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
