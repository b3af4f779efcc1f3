"""What can go wrong on the issuer's side, in words that say what to do next."""

from __future__ import annotations

from receiver.domain.errors import ReceiverError


class ClientError(ReceiverError):
    """The request did not get as far as an answer, or the answer cannot be used."""


class ReceiptError(ClientError):
    """An answer came, but it proves nothing: keep the request and ask the receiver's operator."""
