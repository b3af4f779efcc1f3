"""The store as the rest of the program has it: every part of the port in one object."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.engine import make_url

from receiver.store import migrate, tables
from receiver.store.alarms import AlarmQuestions
from receiver.store.backend import Lead, WakeListener
from receiver.store.codec import Codec
from receiver.store.commit import Commits
from receiver.store.crypto import Sealer
from receiver.store.database import Database, backend_for
from receiver.store.errors import DataKeyError, ForbiddenError
from receiver.store.figures import Figured
from receiver.store.ledger import LedgerTables
from receiver.store.lists import Lists
from receiver.store.people import People
from receiver.store.probe import Probes
from receiver.store.queue import WorkQueue
from receiver.store.reads import SingleReads
from receiver.store.received import ReceivedReads
from receiver.store.wake import SocketListener

if TYPE_CHECKING:
    from receiver.domain.ports import Store

_KEY_MARK = "data_key_mark"


class SqlStore(
    Commits, SingleReads, ReceivedReads, Lists, LedgerTables, WorkQueue, People, Probes, Figured, AlarmQuestions
):
    """Fills `receiver.domain.ports.Store`. One per process, opened after any fork; safe for its threads."""

    @property
    def sealer(self) -> Sealer:
        return self._codec.sealer

    def wake_listener(self) -> WakeListener:
        return self._db.backend.listen()

    def try_lead(self, name: str) -> Lead | None:
        """Lead under this name until released, or None while somebody else does."""
        return self._db.backend.try_lead(name)

    def close(self) -> None:
        self._db.backend.close()

    def check_data_key(self) -> None:
        """Raises DataKeyError when this database was written with another key."""
        mark = self._codec.sealer.hmac("mark", b"")
        fact = tables.fact.c
        query = select(fact.value).where(fact.name == _KEY_MARK)
        with self._db.read() as conn:
            found = conn.execute(query).scalar_one_or_none()
        if found is None:
            found = self._leave_mark(mark)
        if not hmac.compare_digest(found, mark):
            raise DataKeyError(
                "this database was written with another data key; put the right file at keys.data_key_file"
            )

    def _leave_mark(self, mark: str) -> str:
        fact = tables.fact
        try:
            with self._db.write() as conn:
                put = self._db.backend.insert(fact).on_conflict_do_nothing()
                conn.execute(put, {"name": _KEY_MARK, "value": mark, "created_at": self._db.now_in(conn)})
                return str(conn.execute(select(fact.c.value).where(fact.c.name == _KEY_MARK)).scalar_one())
        except ForbiddenError:
            # The public side must not leave it; the worker does, when it starts.
            return mark


def open_store(url: str, *, data_key: bytes, data_dir: Path, create: bool = False) -> SqlStore:
    """Open the database, with its tables made or brought up to date first where `create` says so.

    Raises SchemaError, DataKeyError, UnsafePlaceError or StoreUnavailableError.
    """
    if create:
        migrate.upgrade(url)
    codec = Codec(Sealer(data_key))
    migrate.refuse_wrong_schema(url)
    store = SqlStore(Database(backend_for(url, data_dir)), codec)
    try:
        store.check_data_key()
    except BaseException:
        store.close()
        raise
    return store


def wake_listener(url: str, data_dir: Path) -> WakeListener:
    """For a process that waits for work but has no store open in the waiting thread."""
    if make_url(url).get_backend_name() == "sqlite":
        return SocketListener(data_dir / "run")
    return backend_for(url, data_dir).listen()


if TYPE_CHECKING:

    def _fills_the_port(store: SqlStore) -> Store:
        return store
