"""The whole signature policy of the notice protocol, as one checklist. The only maker of verified values.

What the caller must still do, in this order:
- insert `verified.nonce` for `verified.issuer`, to be kept until `verified.nonce_until`, in the transaction that
  records the message; a nonce that is there already means 409. Never before this function has returned: a forger could
  burn an issuer's nonces;
- parse the body with `receiver.intake`, then `bind_notice` or `bind_direction`;
- check that the issuer may use the category, and `receiver.intake.handling`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from types import MappingProxyType

from receiver.domain.notice import (
    PROOF,
    Direction,
    Notice,
    UnverifiedRequest,
    VerifiedDirection,
    VerifiedNotice,
    VerifiedRequest,
)
from receiver.domain.rows import MessageRow
from receiver.verification.checks import check_coverage, check_params, check_times, choose_signature
from receiver.verification.errors import BindingError, VerificationError
from receiver.verification.fields import Candidate, joined, only_signature, parse_signatures, single
from receiver.verification.keys import KeyRecord, KeyRegister, key_fault
from receiver.verification.mechanics import (
    Lines,
    RequestMessage,
    check_digest,
    verify_bytes,
    verify_signature,
)
from receiver.verification.plain import base_of, plain_request
from receiver.verification.wellformed import (
    DEFAULT_LIMITS,
    VerificationLimits,
    check_content,
    check_form,
    check_sizes,
    choose_origin,
)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a kind of message calls itself and is made of."""

    tag: str
    content_types: Collection[str]


NOTICE = Profile(tag="takedown-notice", content_types=("application/json",))
CALLBACK = Profile(
    tag="takedown-callback", content_types=("application/cloudevents+json", "application/cloudevents-batch+json")
)


def verify_request(
    request: UnverifiedRequest,
    *,
    origins: tuple[str, ...],
    register: KeyRegister,
    now: dt.datetime,
    limits: VerificationLimits = DEFAULT_LIMITS,
    profile: Profile = NOTICE,
) -> VerifiedRequest:
    """A request of anybody to a request of a known issuer.

    `origins` are our public origins (`https://notices.host.example`), as issuers write them. Raises VerificationError.
    """
    return _run(request, origins=origins, register=register, signed_at=now, now=now, limits=limits, profile=profile)


def verify_stored(
    message: MessageRow,
    *,
    origins: tuple[str, ...],
    register: KeyRegister,
    received_at: dt.datetime,
    now: dt.datetime,
    limits: VerificationLimits = DEFAULT_LIMITS,
) -> VerifiedRequest:
    """The same checks over a stored message, as the worker makes them before its first act.

    Times and validity dates are judged at `received_at`; a key that is pending or revoked by `now` counts for nothing.
    The nonce is not asked about: it was spent when the message was stored. Raises VerificationError.
    """
    request = _stored_request(message)
    verified = _run(
        request,
        origins=origins,
        register=register,
        signed_at=received_at,
        now=max(now, received_at),
        limits=limits,
        profile=NOTICE,
    )
    if verified.issuer != message.issuer:
        raise VerificationError("stored-issuer-differs")
    return verified


def _stored_request(message: MessageRow) -> UnverifiedRequest:
    stored = message.covered
    try:
        lines = tuple((str(name), str(value)) for name, value in stored["headers"])
        return UnverifiedRequest(
            method=str(stored["method"]), target=str(stored["target"]), headers=lines, body=message.body
        )
    except (KeyError, TypeError, ValueError) as error:
        # Whoever wrote this row was not our web process.
        raise VerificationError("stored-request-malformed") from error


def claimed_key_id(request: UnverifiedRequest, limits: VerificationLimits = DEFAULT_LIMITS) -> str | None:
    """The key id the request claims, for rate limits before any key operation. Not to be believed, not to be shown."""
    try:
        check_sizes(request, limits)
        candidates = parse_signatures(request.headers, max_signatures=limits.max_signatures)
        return str(choose_signature(candidates, NOTICE.tag).params["keyid"])
    except (VerificationError, KeyError):
        return None


def bind_notice(verified: VerifiedRequest, notice: Notice) -> VerifiedNotice:
    """Join a notice to who signed it. Raises BindingError when it names another issuer."""
    _bind(verified, notice.issuer, notice.raw)
    return VerifiedNotice(verified=verified, notice=notice, proof=PROOF)


def bind_direction(verified: VerifiedRequest, direction: Direction) -> VerifiedDirection:
    """Join a direction to who signed it. Raises BindingError when it names another issuer."""
    _bind(verified, direction.issuer, direction.raw)
    return VerifiedDirection(verified=verified, direction=direction, proof=PROOF)


def _bind(verified: VerifiedRequest, issuer: str, raw: bytes) -> None:
    if issuer != verified.issuer:
        raise BindingError("the issuer in the body is not the issuer of the key; sign with your own key")
    if raw != verified.request.body:
        raise BindingError("this body is not the one that was signed; parse the verified bytes")


def _run(
    request: UnverifiedRequest,
    *,
    origins: tuple[str, ...],
    register: KeyRegister,
    signed_at: dt.datetime,
    now: dt.datetime,
    limits: VerificationLimits,
    profile: Profile,
) -> VerifiedRequest:
    # 1. Sizes: 413, 431 (protocol.md, "Signature on requests").
    check_sizes(request, limits)
    # 2. One reading only: method, origin-form target, header lines, lengths: 400 (RFC 9112 sections 3.2, 6.3).
    check_form(request)
    # 3. Meant for us: 421 (RFC 9110 section 7.4; RFC 9421 section 7.4.2).
    origin = choose_origin(request, origins)
    # 4. Plain UTF-8 JSON: 415.
    check_content(request, profile.content_types)
    # From here on every refusal is the same 401.
    # 5. Two signature headers that fit each other, at most 4 labels (RFC 9421 section 4).
    candidates = parse_signatures(request.headers, max_signatures=limits.max_signatures)
    # 6. Exactly one signature with our tag; others, of proxies, are left alone (RFC 9421 section 7.2.5).
    chosen = choose_signature(candidates, profile.tag)
    # 7. It covers what must not be changed, and nothing ambiguous (RFC 9421 section 7.2.1).
    check_coverage(chosen, request, limits)
    # 8. Exactly the parameters we know, of the right types (RFC 9421 section 2.3).
    check_params(chosen, limits)
    # 9. Made just now, for a short while (RFC 9421 section 7.2.2).
    check_times(chosen, signed_at, limits)
    # 10. A key we know, usable then and not revoked now, and the algorithm of that key (RFC 9421 section 3.2 step 6).
    record = _find_key(chosen, register, signed_at=signed_at, now=now)
    # 11. The signature holds over the base made of our origin, the raw target and the raw headers (section 3.2).
    covered = _verify(chosen, request, origin, record)
    # 12. The digest fits the raw bytes (RFC 9530 section 2).
    _check_digest(chosen, request)
    # 13. The nonce is the caller's: see the head of this file.
    return _vouch(chosen, request, origin=origin, record=record, covered=covered, limits=limits)


def _find_key(chosen: Candidate, register: KeyRegister, *, signed_at: dt.datetime, now: dt.datetime) -> KeyRecord:
    record = register.find(chosen.params["keyid"])
    if record is None:
        raise VerificationError("key-unknown")
    fault = key_fault(record, signed_at=signed_at, now=now)
    if fault is not None:
        raise VerificationError(fault)
    if chosen.params.get("alg", record.algorithm.value) != record.algorithm.value:
        raise VerificationError("algorithm-differs")
    return record


def _verify(chosen: Candidate, request: UnverifiedRequest, origin: str, record: KeyRecord) -> dict[str, str]:
    url = origin + request.target
    whole = RequestMessage(method=request.method, url=url, headers=Lines(request.headers))
    plain = plain_request(whole, chosen.names)
    if plain is not None:
        base = base_of(plain, chosen.params_text)
        verify_bytes(base, chosen.signature, algorithm=record.algorithm, public_key=record.public_key)
        return {name.strip('"'): value for name, value in plain.items()}
    message = replace(whole, headers=Lines(only_signature(chosen, request.headers)))
    covered = verify_signature(
        message, tag=chosen.params["tag"], label=chosen.label, algorithm=record.algorithm, public_key=record.public_key
    )
    return {name.strip('"'): value for name, value in covered.items()}


def _check_digest(chosen: Candidate, request: UnverifiedRequest) -> None:
    if "content-digest" in chosen.names:
        check_digest(single(request.headers, "content-digest") or "", request.body)


def _vouch(
    chosen: Candidate,
    request: UnverifiedRequest,
    *,
    origin: str,
    record: KeyRecord,
    covered: dict[str, str],
    limits: VerificationLimits,
) -> VerifiedRequest:
    expires_at = dt.datetime.fromtimestamp(chosen.params["expires"], tz=dt.UTC)
    body_sha256 = hashlib.sha256(request.body).hexdigest()
    same = "\n".join((request.method, origin + request.target, body_sha256, chosen.params_text))
    return VerifiedRequest(
        issuer=record.issuer,
        key_id=record.key_id,
        key_thumbprint=record.thumbprint,
        algorithm=record.algorithm.value,
        tag=chosen.params["tag"],
        nonce=chosen.params["nonce"],
        created_at=dt.datetime.fromtimestamp(chosen.params["created"], tz=dt.UTC),
        expires_at=expires_at,
        nonce_until=expires_at + dt.timedelta(seconds=limits.clock_skew_seconds),
        covered=MappingProxyType(covered),
        target_uri=origin + request.target,
        signature_input=joined(request.headers, "signature-input") or "",
        signature=joined(request.headers, "signature") or "",
        label=chosen.label,
        request_sha256=hashlib.sha256(same.encode()).hexdigest(),
        request=request,
        proof=PROOF,
    )
