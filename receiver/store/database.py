"""Transactions, and the one place where a driver's errors become ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from receiver.domain.errors import ConflictError, StoreUnavailableError
from receiver.store.backend import Backend, Failure
from receiver.store.codec import Codec
from receiver.store.errors import DeadlockError, ForbiddenError, SchemaError, StoreBrokenError
from receiver.store.prepared import Asked
from receiver.store.sqlite import SqliteBackend

Built = TypeVar("Built")

_BROKEN = "the disk failed under the database; this process must end, then run `takedown-receiver check`"


class Database:
    """One process's way to the database. Open it after a fork, never before."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._about_now: dict[object, tuple[ColumnElement[int], Any]] = {}
        self._asked: dict[Select[Any], Asked] = {}
        self._broken = False

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that sees one state. Raises StoreUnavailableError."""
        try:
            with self.backend.reader.connect() as conn, conn.begin():
                yield conn
        except SQLAlchemyError as error:
            raise self.explain(error, writing=False) from error

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """One transaction, durable when this returns unless told otherwise.

        Raises StoreUnavailableError, ConflictError, or StoreBrokenError after which the process must end.
        """
        if self._broken:
            # Another thread met it; whatever is written now may stand on pages that never reached the disk.
            raise StoreBrokenError(_BROKEN)
        engine = self.backend.writer if durable else self.backend.hasty
        try:
            with engine.connect() as conn, self.backend.write_lock(), conn.begin():
                yield conn
        except SQLAlchemyError as error:
            explained = self.explain(error, writing=True)
            if isinstance(explained, StoreBrokenError):
                self._broken = True
            raise explained from error

    def now_in(self, conn: Connection) -> int:
        """Microseconds UTC on the database's own clock."""
        (row,) = self.about_now("now", lambda now: Asked(self.backend, select(now))).all(conn, {})
        return int(row[0])

    def asked(self, query: Select[Any]) -> Asked:
        """The query, prepared once; so only for one that is made once."""
        kept = self._asked.get(query)
        if kept is None:
            kept = self._asked[query] = Asked(self.backend, query)
        return kept

    def about_now(self, name: object, build: Callable[[ColumnElement[int]], Built]) -> Built:
        """A statement with the database's clock in it: built once, and anew where the clock is another one."""
        now = self.backend.now()
        kept = self._about_now.get(name)
        if kept is None or kept[0] is not now:
            kept = self._about_now[name] = (now, build(now))
        built: Built = kept[1]
        return built

    def explain(self, error: SQLAlchemyError, *, writing: bool) -> Exception:
        """Our error for a driver's; the error itself where it is a mistake of ours."""
        if isinstance(error, PoolTimeoutError):
            return StoreUnavailableError("all connections to the database are busy; try again later")
        if not isinstance(error, DBAPIError) or error.orig is None:
            return error
        return {
            Failure.CONFLICT: ConflictError("another row has this key already; read again and decide again"),
            Failure.AWAY: StoreUnavailableError(
                "the database cannot be reached or cannot write now; try again later, and see its log and free space"
            ),
            Failure.DEADLOCK: DeadlockError("other transactions held the rows for too long; the same again will do"),
            Failure.BROKEN: StoreBrokenError(_BROKEN),
            Failure.FORBIDDEN: ForbiddenError(
                "the database refuses this to the role of this process; see `takedown-receiver db grants`"
            ),
            Failure.OURS: error,
        }[self.backend.classify(error.orig, writing=writing)]


class Part:
    """Base of the parts that together fill the port."""

    def __init__(self, db: Database, codec: Codec) -> None:
        self._db = db
        self._codec = codec


def backend_for(url: str, data_dir: Path) -> Backend:
    """Raises SchemaError for a database that this program does not speak to."""
    parsed = make_url(url)
    name = parsed.get_backend_name()
    if name == "sqlite":
        return SqliteBackend(parsed, data_dir)
    if name == "postgresql":
        from receiver.store.postgres import PostgresBackend  # noqa: PLC0415 - psycopg is an extra

        return PostgresBackend(parsed)
    raise SchemaError(f"database.url names {name}; use sqlite:/// or postgresql+psycopg://")
