"""PostgreSQL connections that stay open beside the pool: the leader's lock, the caller and the listener."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from typing import Any

import psycopg

from receiver.domain.errors import StoreUnavailableError

CHANNEL = "takedown"
_KEEPALIVE = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3}
LEAD_SILENT_SECONDS = 15
"""A leader that asks nothing for so long is frozen, though its kernel still answers: somebody else may lead then."""
_HAS_IDLE_TIMEOUT = 140_000
_LEADER = (
    "SET tcp_keepalives_idle=10",
    "SET tcp_keepalives_interval=3",
    "SET tcp_keepalives_count=3",
    # Keepalives rest while an answer of the server's is on its way, which it would be for a quarter of an hour.
    "SET tcp_user_timeout=10000",
)
_RECONNECT_SECONDS = 1.0
_UNCERTAIN_SECONDS = 5.0
_ASK_AGAIN_SECONDS = 0.1
_log = logging.getLogger(__name__)


class AdvisoryLead:
    """By a session lock on a connection of its own; lost with the connection, so ask `held` before each act."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    @classmethod
    def take(cls, conninfo: dict[str, Any], name: str) -> AdvisoryLead | None:
        """Raises psycopg.OperationalError when the server is away."""
        # The server must notice within 20 seconds that the leader's machine is gone.
        connection = psycopg.connect(**{**conninfo, **_KEEPALIVE}, autocommit=True)
        try:
            for setting in _LEADER:
                connection.execute(setting)
            if connection.info.server_version >= _HAS_IDLE_TIMEOUT:
                connection.execute(f"SET idle_session_timeout = {LEAD_SILENT_SECONDS * 1000}")
            found = connection.execute("SELECT pg_try_advisory_lock(%s)", (lock_number(name),)).fetchone()
        except psycopg.Error:
            connection.close()
            raise
        if found is None or not found[0]:
            connection.close()
            return None
        return cls(connection)

    def held(self) -> bool:
        try:
            self._connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def release(self) -> None:
        self._connection.close()

    def __enter__(self) -> AdvisoryLead:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def lock_number(name: str) -> int:
    """A 63-bit number for a name, the same in every process."""
    return int.from_bytes(hashlib.sha256(b"takedown-receiver " + name.encode()).digest()[:8], "big") >> 1


class Caller:
    """Tells listeners that rows fell due, after the commit and from a connection of its own.

    Inside each transaction NOTIFY would take a lock that all commits of the server share.
    """

    def __init__(self, conninfo: dict[str, Any]) -> None:
        self._conninfo = conninfo
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._closed = False

    def call(self) -> None:
        """Nothing once it is closed: a thread that ends late would open a connection that nobody closes."""
        with self._lock:
            if self._closed:
                return
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(**self._conninfo, autocommit=True)
                self._connection.execute(f"NOTIFY {CHANNEL}")
            except psycopg.OperationalError:
                # The rows are committed; their workers find them at the next poll, within a second.
                _log.warning("wake.failed", extra={"error": "the database's connection ended"})
                self._drop()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class NotifyListener:
    """LISTEN on a connection of its own, opened again when the server was away."""

    def __init__(self, conninfo: dict[str, Any]) -> None:
        self._conninfo = conninfo
        self._closed = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None
        self._connect()

    def wait(self, timeout_seconds: float) -> bool:
        deadline = time.monotonic() + timeout_seconds
        if self._closed.is_set():
            return False
        if self._connection is None and not self._connect():
            self._closed.wait(min(timeout_seconds, _RECONNECT_SECONDS))
            return False
        connection = self._connection
        if connection is None:
            return False  # closed this very moment
        try:
            return self._hear(connection, deadline)
        except psycopg.OperationalError:
            self._drop()
            self._closed.wait(max(0.0, min(deadline - time.monotonic(), _RECONNECT_SECONDS)))
            # Calls may have been missed meanwhile.
            return not self._closed.is_set()

    def close(self) -> None:
        self._closed.set()
        self._drop()

    def _hear(self, connection: psycopg.Connection[Any], deadline: float) -> bool:
        left = max(0.0, deadline - time.monotonic())
        heard = any(True for _ in connection.notifies(timeout=left, stop_after=1))
        # What came together with it is the same call.
        return heard or any(True for _ in connection.notifies(timeout=0))

    def _connect(self) -> bool:
        try:
            self._connection = psycopg.connect(**{**self._conninfo, **_KEEPALIVE}, autocommit=True)
            self._connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.OperationalError:
            self._drop()
            return False
        if self._closed.is_set():
            # Closed meanwhile, by whoever found nothing to close.
            self._drop()
            return False
        return True

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def was_committed(conninfo: dict[str, Any], transaction: str) -> bool:
    """Ask on a new connection what became of a transaction whose answer was lost, for as long as it is running.

    Raises StoreUnavailableError when the server cannot say within a few seconds; then nobody knows, and
    whoever tries again finds its rows there and gets ConflictError.
    """
    deadline = time.monotonic() + _UNCERTAIN_SECONDS
    last: psycopg.Error | None = None
    while time.monotonic() < deadline:
        try:
            with psycopg.connect(**conninfo, autocommit=True) as connection:
                found = connection.execute("SELECT pg_xact_status(%s::xid8)", (transaction,)).fetchone()
        except psycopg.OperationalError as error:
            last = error
        except psycopg.errors.InvalidParameterValue:
            # The server crashed and knows of no such number any more: nothing of it had reached its disk.
            return False
        else:
            if found is not None and found[0] != "in progress":
                return bool(found[0] == "committed")
        time.sleep(_ASK_AGAIN_SECONDS)
    raise StoreUnavailableError("the database went away during a commit; read again before trying again") from last


def lead_or_unavailable(conninfo: dict[str, Any], name: str) -> AdvisoryLead | None:
    """Raises StoreUnavailableError when the server is away."""
    try:
        return AdvisoryLead.take(conninfo, name)
    except psycopg.OperationalError as error:
        raise StoreUnavailableError("the database cannot be reached; nobody leads until it can") from error
