"""Errors that cross rooms. Each message says what to do next and names no URL."""

from __future__ import annotations


class ReceiverError(Exception):
    """Base of this program's own errors."""


class ConflictError(ReceiverError):
    """Somebody else changed the same rows first; read again and decide again."""


class LostLeaseError(ReceiverError):
    """Another worker holds this row now; drop what was decided, it will decide again."""


class StoreUnavailableError(ReceiverError):
    """The database cannot be reached or cannot write; try again later."""


class StoreBrokenError(ReceiverError):
    """The disk failed under a write, so what is durable is unknown. End this process; never try the commit again."""


class LedgerConflictError(ReceiverError):
    """Another sequencer numbered entries first."""


class VaultError(ReceiverError):
    """The vault did not take or give bytes; the original stays where it is. Try again."""


class DeliveryError(ReceiverError):
    """A message could not be handed over; it is tried again."""
