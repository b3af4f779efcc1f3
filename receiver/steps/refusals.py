"""Why a request was not taken, in the one form that the edge turns into an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from receiver.domain.errors import ReceiverError
from receiver.intake.errors import IntakeError
from receiver.verification.errors import ACCEPT_SIGNATURE, BindingError, VerificationError


class Fault(Protocol):
    """One thing wrong with one member of the body."""

    @property
    def pointer(self) -> str: ...
    @property
    def message(self) -> str: ...


class RefusedError(ReceiverError):
    """The request was not taken. Everything but `reason` may be shown to its sender."""

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str = "",
        *,
        reason: str = "",
        errors: Sequence[Fault] = (),
        retry_after_seconds: int | None = None,
        status_url: str = "",
        accept_signature: str = "",
        unsigned: bool = False,
    ) -> None:
        super().__init__(f"{slug}: {detail or title}")
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.reason = reason or slug
        """For our log and counters: says more than the answer does."""
        self.errors = tuple(errors)
        self.retry_after_seconds = retry_after_seconds
        self.status_url = status_url
        """Where the sender can read what became of its notice; empty where there is nothing to read."""
        self.accept_signature = accept_signature
        self.unsigned = unsigned
        """Nobody is known to have sent it, so it counts against an address and not against an issuer."""
        self.key_id: str | None = None
        """For our log; a claim only, where the signature did not hold."""


def from_verification(error: VerificationError) -> RefusedError:
    """The same answer for everything that has to do with signature, key or time."""
    accept = ACCEPT_SIGNATURE if error.status == 401 else ""
    return RefusedError(
        error.status, error.type, error.title, reason=error.reason, accept_signature=accept, unsigned=True
    )


def too_large(max_bytes: int) -> RefusedError:
    detail = f"Send at most {max_bytes} bytes; split the notice in two."
    return RefusedError(413, "too-large", "The body is too large", detail, unsigned=True)


def cut_short() -> RefusedError:
    detail = "It ended early or broke the rules of its framing; send it again whole."
    return RefusedError(400, "malformed-request", "The body did not arrive", detail, reason="body", unsigned=True)


def from_intake(error: IntakeError) -> RefusedError:
    return RefusedError(error.status, error.type, error.title, error.detail, errors=error.errors)


def from_binding(error: BindingError) -> RefusedError:
    return RefusedError(error.status, error.type, error.title, "Sign with a key of the issuer that the body names.")


def replayed(status_url: str) -> RefusedError:
    detail = "Nothing was done twice. To ask again, sign again with a new nonce."
    slug = "already-recorded" if status_url else "already-answered"
    return RefusedError(409, slug, "This very request was heard before", detail, status_url=status_url)


def nonce_used() -> RefusedError:
    return RefusedError(409, "nonce-used", "The nonce was used before", "Use a new nonce for every request.")


def category_not_allowed() -> RefusedError:
    detail = "The document at /.well-known/takedown-receiver, asked with a signature, lists the categories open to you."
    return RefusedError(403, "category-not-allowed", "This category is not open to this issuer", detail)


def id_reused(what: str) -> RefusedError:
    title = f"This {what} id was used for another {what}"
    return RefusedError(422, f"{what}-id-reused", title, f"Give every {what} an id of its own.")


def not_found() -> RefusedError:
    return RefusedError(404, "not-found", "There is no such notice", "Check the notice id; only your own are found.")


def not_possible(detail: str) -> RefusedError:
    return RefusedError(422, "direction-not-possible", "The direction cannot apply", detail)


def too_many(retry_after_seconds: int) -> RefusedError:
    return RefusedError(
        429,
        "too-many-requests",
        "Too many requests",
        "Nothing was recorded; send it again after the time in Retry-After.",
        retry_after_seconds=retry_after_seconds,
    )


def not_recorded() -> RefusedError:
    return RefusedError(
        503,
        "not-recorded",
        "The request could not be recorded durably",
        "Nothing was done. Send it again after the time in Retry-After; the same nonce may be used.",
        retry_after_seconds=5,
    )
