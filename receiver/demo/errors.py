"""What can go wrong with the demonstration, in words for whoever typed `make demo`."""

from __future__ import annotations

from receiver.domain.errors import ReceiverError


class DemoError(ReceiverError):
    """The demonstration cannot go on; the words say what to do."""
