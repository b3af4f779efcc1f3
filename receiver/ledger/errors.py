"""What can go wrong with the ledger. Each message says what to do next."""

from __future__ import annotations

from receiver.domain.errors import ReceiverError, StoreUnavailableError


class LedgerError(ReceiverError):
    """The family."""


class LedgerKeyError(LedgerError):
    """The ledger's key, or its public form, cannot be read."""


class LedgerNoteError(LedgerError):
    """A checkpoint is damaged, or signed by another key or for another ledger."""


class LedgerForkError(LedgerError):
    """Our entries are not those we signed for before: history was rewritten or rolled back. Page at once."""


class LedgerCopyError(LedgerError):
    """A place outside did not take the checkpoint. Weighty acts wait until one does."""


class LedgerNotCoveredError(LedgerError):
    """No checkpoint holds this entry yet."""


class LedgerReaderError(LedgerError, StoreUnavailableError):
    """A process that checked entries for us did not go on to its end. That is no verdict, neither way."""
