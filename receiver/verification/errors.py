"""Why a request, a key or a key directory was not taken."""

from __future__ import annotations

from receiver.domain.errors import ReceiverError

ACCEPT_SIGNATURE = (
    'sig1=("@method" "@target-uri" "content-type" "content-digest");created;expires;keyid;nonce;tag="takedown-notice"'
)
"""What a 401 tells the issuer to send (RFC 9421 section 5.1)."""

_TITLES = {
    400: ("malformed-request", "The request is malformed"),
    401: ("signature-not-accepted", "The signature was not accepted"),
    413: ("too-large", "The body is too large"),
    415: ("unsupported-media-type", "Send application/json in UTF-8, without content encoding"),
    421: ("foreign-authority", "This receiver does not answer for that host"),
    431: ("headers-too-large", "The headers are too large"),
}


class VerificationError(ReceiverError):
    """The request changes nothing.

    `reason` is for our log and counters only. What goes out is `status`, `type` and `title`: one and the same for
    everything that has to do with signature, key or time, so that nobody can probe which keys exist.
    """

    def __init__(self, reason: str, status: int = 401) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.type, self.title = _TITLES[status]


class BindingError(ReceiverError):
    """What the body says does not belong to who signed it. Answer 422, `type` `wrong-issuer`."""

    status = 422
    type = "wrong-issuer"
    title = "The issuer in the body is not the issuer of the key"


class KeyRefusedError(ReceiverError):
    """Keys that must not be registered. `reasons` lists every mistake in the set."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class KeyFetchError(ReceiverError):
    """The key directory could not be read; the last good keys stay in use for a while."""


class SigningError(ReceiverError):
    """This message cannot be signed as asked."""
