"""Errors of this room. Those that other rooms meet derive from the ones in `receiver.domain.errors`."""

from __future__ import annotations

from receiver.domain.errors import ReceiverError, StoreBrokenError, StoreUnavailableError

__all__ = [
    "BadRowError",
    "DataKeyError",
    "DeadlockError",
    "ForbiddenError",
    "MissingRowError",
    "SchemaError",
    "StoreBrokenError",
    "UnsafePlaceError",
]


class DeadlockError(StoreUnavailableError):
    """Others held the rows, or waited for ours; nothing was written, the same again will do."""


class ForbiddenError(ReceiverError):
    """The database role of this process may not do this; a process only ever does what its grants name."""


class BadRowError(ReceiverError):
    """An outcome asked for something no table can hold; this is a mistake in the program, not in the data."""


class MissingRowError(ReceiverError, LookupError):
    """There is no such row; the id came from somewhere else."""


class SchemaError(ReceiverError):
    """The tables do not fit this program; the message says which command or version does."""


class UnsafePlaceError(ReceiverError):
    """The database file lies where locks and fsync cannot be trusted; move it to a local disk."""


class DataKeyError(ReceiverError):
    """The data key is missing, malformed, readable by others, or not the one this database was written with."""
