"""SQLite: one file, one writer at a time, every commit on the disk before it is answered."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, create_engine, event, literal_column
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL

from receiver.domain.errors import StoreUnavailableError
from receiver.domain.status import Track
from receiver.store.backend import AnyInsert, Failure, Lead, WakeListener
from receiver.store.errors import SchemaError, UnsafePlaceError
from receiver.store.lead import FileLead
from receiver.store.places import refuse_network_filesystem
from receiver.store.prepared import say
from receiver.store.wake import SocketListener, call_sockets

_BUSY_SECONDS = 5.0
_LOCK_SECONDS = 30.0
_LOCK_POLL_SECONDS = 0.0005
"""A transaction takes a few milliseconds; the kernel's own waiting has no time limit."""
_POOL_SIZE = 8
_POOL_OVERFLOW = 56
_PAGE_CACHE_KIB = 16_384
# SQLite before 3.42 has no unixepoch('subsec').
_NOW: ColumnElement[int] = literal_column("CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)")
_TAKEN = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}


class WriteLock:
    """One writer among all threads and processes. SQLite's own waiting polls, and is nine times worse at the worst."""

    def __init__(self, path: Path) -> None:
        self._threads = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        if not self._threads.acquire(timeout=_LOCK_SECONDS):
            raise StoreUnavailableError("another writer holds the database file; try again later")
        try:
            self._take_file()
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def _take_file(self) -> None:
        """A writer that was stopped while it holds the lock must not hang everybody else: they hear 503 in time."""
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreUnavailableError("another process holds the database file; try again later") from None
                time.sleep(_LOCK_POLL_SECONDS)
            else:
                return

    def close(self) -> None:
        os.close(self._file)


class SqliteBackend:
    name = "sqlite"

    def __init__(self, url: URL, data_dir: Path) -> None:
        if not url.database or url.database == ":memory:":
            raise SchemaError("a database in memory keeps nothing; name a file in database.url")
        self.path = Path(url.database)
        self._data_dir = data_dir
        refuse_network_filesystem(self.path.parent)
        try:
            # Made before SQLite does it, so that nobody else may read it for a moment; -wal and -shm inherit the mode.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._lock = WriteLock(self.path.with_name(self.path.name + ".lock"))
        except OSError as error:
            words = f"cannot open the database file: {error.strerror}; see its owner and mode"
            raise UnsafePlaceError(words) from error
        engine = _engine(url)
        self.reader = engine
        self.writer: Engine = engine.execution_options(begin_with="BEGIN IMMEDIATE")
        self.hasty: Engine = self.writer.execution_options(synchronous="NORMAL")

    def write_lock(self) -> contextlib.AbstractContextManager[None]:
        return self._lock.held()

    def now(self) -> ColumnElement[int]:
        return _NOW

    def insert(self, table: Table) -> AnyInsert:
        return insert(table)

    def skip_locked(self, query: Select[Any]) -> Select[Any]:
        return query

    def for_update(self, query: Select[Any]) -> Select[Any]:
        return query

    def lock_first(
        self,
        conn: Connection,
        *,
        cases: Collection[str],
        work: Collection[tuple[Track, str]],
        notices: Collection[str],
        items: Collection[str],
    ) -> None:
        """Nothing to do: the one writer has the whole file."""

    def classify(self, error: BaseException, *, writing: bool) -> Failure:
        if not isinstance(error, sqlite3.Error):
            return Failure.OURS
        if isinstance(error, sqlite3.IntegrityError):
            return Failure.CONFLICT if error.sqlite_errorcode in _TAKEN else Failure.OURS
        primary = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or (writing and primary == sqlite3.SQLITE_IOERR):
            return Failure.BROKEN
        return Failure.AWAY if isinstance(error, sqlite3.OperationalError) else Failure.OURS

    def transaction_id(self, conn: Connection) -> str | None:  # noqa: ARG002 - there is no line that could break
        return None

    def committed(self, transaction: str) -> bool:  # noqa: ARG002 - never asked, see `transaction_id`
        return False

    def call_wakers(self) -> None:
        call_sockets(self._data_dir / "run")

    def listen(self) -> WakeListener:
        return SocketListener(self._data_dir / "run")

    def try_lead(self, name: str) -> Lead | None:
        return FileLead.take(self.path.with_name(f"{self.path.name}.{name}.lock"))

    def close(self) -> None:
        self.reader.dispose()
        self._lock.close()


def _engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_BUSY_SECONDS,
        connect_args={"timeout": _BUSY_SECONDS, "isolation_level": None},
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise SchemaError("SQLite cannot keep a write-ahead log here; put the database on a local disk")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # Deleted rows are overwritten, so that what was erased is gone from the file too.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.execute(f"PRAGMA cache_size=-{_PAGE_CACHE_KIB}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    begin = options.get("begin_with", "BEGIN")
    if begin != "BEGIN":
        _sync_as(connection, options.get("synchronous", "FULL"))
    say(connection, begin)


def _sync_as(connection: Connection, wanted: str) -> None:
    """How this connection commits from now on; what it was told last is kept beside it as long as it lives."""
    if connection.info.get("synchronous") != wanted:
        connection.info.pop("synchronous", None)
        say(connection, f"PRAGMA synchronous={wanted}")
        connection.info["synchronous"] = wanted
