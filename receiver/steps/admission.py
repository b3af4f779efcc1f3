"""Who sent it, and was it sent before? The part that every signed request passes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Protocol

from receiver.domain.clock import Clock, to_micros
from receiver.domain.errors import ConflictError
from receiver.domain.notice import UnverifiedRequest, VerifiedRequest
from receiver.domain.outcome import Insert, LedgerNote, Outcome, Table
from receiver.domain.policy import Policy
from receiver.domain.ports import Committer, NonceRow, Reads
from receiver.intake.limits import DEFAULT_LIMITS, Limits
from receiver.steps.refusals import RefusedError, from_verification, nonce_used, replayed, too_many
from receiver.verification.errors import VerificationError
from receiver.verification.jwk import KEY_ID_PATTERN
from receiver.verification.keys import KeyRegister
from receiver.verification.policy import claimed_key_id, verify_request
from receiver.verification.wellformed import DEFAULT_LIMITS as DEFAULT_VERIFICATION_LIMITS
from receiver.verification.wellformed import VerificationLimits


class Budget(Protocol):
    """How much one issuer may send."""

    def take(self, issuer: str) -> int | None:
        """Count one request; the seconds to wait where it is one too many, else None."""

    def take_items(self, issuer: str, items: int) -> int | None:
        """The same for the items of a notice that was read."""


class NoBudget:
    def take(self, issuer: str) -> None:  # noqa: ARG002 - the port's signature
        return None

    def take_items(self, issuer: str, items: int) -> None:  # noqa: ARG002 - the port's signature
        return None


@dataclass(frozen=True, kw_only=True)
class WebPorts:
    """What the web side is given. No credentials, no vault, no adapter among it."""

    reads: Reads
    committer: Committer
    register: KeyRegister
    policy: Policy
    origins: tuple[str, ...]
    """Our public origins as issuers sign for them; the first stands in the addresses we give out."""
    clock: Clock
    limits: Limits = DEFAULT_LIMITS
    verification_limits: VerificationLimits = DEFAULT_VERIFICATION_LIMITS
    budget: Budget = field(default_factory=NoBudget)


def authenticate(request: UnverifiedRequest, web: WebPorts, now: dt.datetime) -> VerifiedRequest:
    """Verified and not seen before. Its nonce is not spent yet: whatever is recorded of the request must spend it.

    `now` must be the time that is recorded with it, since the worker verifies again as of that very time.
    Raises RefusedError: 400, 401, 413, 415, 421, 431 of the signature policy, 429, and 409 for a replay.
    """
    verified = admit(request, web, now)
    refuse_replay(verified, web)
    return verified


def admit(request: UnverifiedRequest, web: WebPorts, now: dt.datetime) -> VerifiedRequest:
    """The same for whoever asks about the nonce itself, before it answers anything else. Raises RefusedError."""
    try:
        verified = verify_request(
            request,
            origins=web.origins,
            register=web.register,
            now=now,
            limits=web.verification_limits,
        )
    except VerificationError as error:
        refusal = from_verification(error)
        refusal.key_id = _plain_key_id(request, web)
        raise refusal from error
    wait_seconds = web.budget.take(verified.issuer)
    if wait_seconds is not None:
        raise _of(verified, too_many(wait_seconds))
    return verified


def _of(verified: VerifiedRequest, refusal: RefusedError) -> RefusedError:
    refusal.key_id = verified.key_id
    return refusal


def _plain_key_id(request: UnverifiedRequest, web: WebPorts) -> str | None:
    """The claimed key id, where it is one that could be registered: nothing else may get into a log."""
    claimed = claimed_key_id(request, web.verification_limits)
    return claimed if claimed is not None and KEY_ID_PATTERN.fullmatch(claimed) else None


def refuse_replay(verified: VerifiedRequest, web: WebPorts) -> None:
    refuse_used(verified, web.reads.find_nonce(verified.issuer, verified.nonce), web)


def refuse_used(verified: VerifiedRequest, known: NonceRow | None, web: WebPorts) -> None:
    """`known` is what the database has of its nonce. Raises RefusedError 409 where that is anything."""
    if known is None:
        return
    if known.request_sha256 == verified.request_sha256:
        raise _of(verified, replayed(web.origins[0] + known.status_path if known.status_path else ""))
    raise _of(verified, nonce_used())


def nonce_row(verified: VerifiedRequest, *, status_path: str = "") -> Insert:
    return Insert(
        table=Table.NONCE,
        values={
            "issuer": verified.issuer,
            "nonce": verified.nonce,
            "request_sha256": verified.request_sha256,
            "status_path": status_path,
            "expires_at": to_micros(verified.nonce_until),
        },
    )


def spend(verified: VerifiedRequest, web: WebPorts, outcome: Outcome, *, status_path: str = "") -> None:
    """Record `outcome` together with the nonce.

    Raises RefusedError 409 when the same nonce was quicker, and ConflictError when other rows were.
    """
    nonce = Outcome(changes=(nonce_row(verified, status_path=status_path),))
    try:
        web.committer.submit(nonce.plus(outcome))
    except ConflictError:
        refuse_replay(verified, web)
        raise


def record_refusal(verified: VerifiedRequest, refusal: RefusedError, kind: str, web: WebPorts) -> None:
    """A known issuer was turned away: its nonce is spent, and the ledger says so.

    Not for a replay, whose nonce is spent, nor where the same request may come again: too soon, or not recorded.
    """
    if _of(verified, refusal).status in (409, 429, 503):
        return
    note = LedgerNote(
        kind=kind,
        subject=verified.issuer,
        actor=f"issuer:{verified.issuer}",
        detail={
            "answer": refusal.status,
            "type": refusal.slug,
            "request_sha256": verified.request_sha256,
            "key_thumbprint": verified.key_thumbprint,
        },
    )
    spend(verified, web, Outcome(notes=(note,)))
