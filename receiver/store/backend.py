"""What the two databases do differently, and nothing else."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from enum import Enum
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table
from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert

from receiver.domain.status import Track

AnyInsert = SqliteInsert | PostgresInsert


class Failure(Enum):
    """What a driver's error means for us."""

    AWAY = "away"
    """Nothing was written; it may work later."""
    DEADLOCK = "deadlock"
    BROKEN = "broken"
    """The disk failed under us: what is durable is unknown until the file is opened afresh."""
    CONFLICT = "conflict"
    """Another row has this key already."""
    FORBIDDEN = "forbidden"
    """The database role of this process may not do that."""
    OURS = "ours"
    """A mistake in the statement."""


class Lead(Protocol):
    """The one holder of a name among all processes. Ends with the process."""

    def held(self) -> bool: ...
    def release(self) -> None: ...
    def __enter__(self) -> Lead: ...
    def __exit__(self, *exc: object) -> None: ...


class WakeListener(Protocol):
    """Hears that some row fell due. A lost call costs one poll, never a row."""

    def wait(self, timeout_seconds: float) -> bool:
        """True when somebody called since the last wait."""

    def close(self) -> None: ...


class Backend(Protocol):
    name: str
    reader: Engine
    writer: Engine
    hasty: Engine
    """Writes what may be forgotten by a power cut: claims and heartbeats, whose owners end with it."""

    def write_lock(self) -> AbstractContextManager[None]: ...
    def now(self) -> ColumnElement[int]:
        """The database's own clock; the same expression each time, so that statements with it in them may be kept."""

    def insert(self, table: Table) -> AnyInsert: ...
    def skip_locked(self, query: Select[Any]) -> Select[Any]: ...
    def for_update(self, query: Select[Any]) -> Select[Any]: ...
    def lock_first(
        self,
        conn: Connection,
        *,
        cases: Collection[str],
        work: Collection[tuple[Track, str]],
        notices: Collection[str],
        items: Collection[str],
    ) -> None:
        """Take the locks of a whole batch in one order, so that two batches never wait for each other."""

    def classify(self, error: BaseException, *, writing: bool) -> Failure: ...
    def transaction_id(self, conn: Connection) -> str | None:
        """What `committed` can be asked about later; None where a commit that failed is certainly not there."""

    def committed(self, transaction: str) -> bool:
        """Whether a transaction whose answer was lost is in the database. Raises StoreUnavailableError."""

    def call_wakers(self) -> None: ...
    def listen(self) -> WakeListener: ...
    def try_lead(self, name: str) -> Lead | None: ...
    def close(self) -> None: ...
