"""The database: tables, claims, and the one function that writes."""

from receiver.store.crypto import Sealer, load_data_key
from receiver.store.errors import (
    BadRowError,
    DataKeyError,
    ForbiddenError,
    MissingRowError,
    SchemaError,
    StoreBrokenError,
    UnsafePlaceError,
)
from receiver.store.grants import grants
from receiver.store.migrate import current_version, known_version, upgrade
from receiver.store.people import AdminUserRow, SessionRow, TokenRow
from receiver.store.queue import WorkerRow
from receiver.store.store import SqlStore, open_store, wake_listener

__all__ = [
    "AdminUserRow",
    "BadRowError",
    "DataKeyError",
    "ForbiddenError",
    "MissingRowError",
    "SchemaError",
    "Sealer",
    "SessionRow",
    "SqlStore",
    "StoreBrokenError",
    "TokenRow",
    "UnsafePlaceError",
    "WorkerRow",
    "current_version",
    "grants",
    "known_version",
    "load_data_key",
    "open_store",
    "upgrade",
    "wake_listener",
]
