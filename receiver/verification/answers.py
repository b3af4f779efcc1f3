"""The issuer's side: is this answer ours, and is this callback? Conformance tests and `send` use the same code."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from receiver.domain.notice import UnverifiedRequest, VerifiedRequest
from receiver.verification.checks import choose_signature
from receiver.verification.errors import VerificationError
from receiver.verification.fields import Candidate, only_signature, parse_signatures, single
from receiver.verification.keys import KeyRegister, key_fault
from receiver.verification.mechanics import Lines, ResponseMessage, check_digest, verify_signature
from receiver.verification.policy import CALLBACK, verify_request
from receiver.verification.signing import RECEIPT_TAG, request_message
from receiver.verification.wellformed import DEFAULT_LIMITS, VerificationLimits

_PARAMS = {"created", "keyid", "alg", "tag"}


def verify_callback(
    request: UnverifiedRequest,
    *,
    origins: tuple[str, ...],
    register: KeyRegister,
    now: dt.datetime,
    limits: VerificationLimits = DEFAULT_LIMITS,
) -> VerifiedRequest:
    """A callback as an issuer must check it. `origins` are the issuer's own; the nonce is the caller's to remember.

    Raises VerificationError.
    """
    return verify_request(request, origins=origins, register=register, now=now, limits=limits, profile=CALLBACK)


def verify_answer(
    *,
    request: UnverifiedRequest,
    url: str,
    label: str,
    status: int,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    register: KeyRegister,
    now: dt.datetime,
    limits: VerificationLimits = DEFAULT_LIMITS,
) -> str:
    """Check a receipt or a signed status answer against the request as it was sent; returns the key id that signed.

    `url` and `label` are those the issuer signed its request with. Raises VerificationError.
    """
    # 1. One signature with the receipt's tag.
    candidates = parse_signatures(headers, max_signatures=limits.max_signatures)
    chosen = choose_signature(candidates, RECEIPT_TAG)
    # 2. It covers the answer and the request, our own signature included (RFC 9421 section 2.4).
    _check_coverage(chosen, label)
    # 3. A key of the receiver, usable when it signed.
    record = register.find(_check_params(chosen, now, limits))
    if record is None:
        raise VerificationError("key-unknown")
    created_at = dt.datetime.fromtimestamp(chosen.params["created"], tz=dt.UTC)
    fault = key_fault(record, signed_at=min(created_at, now), now=max(created_at, now) + dt.timedelta(seconds=1))
    if fault is not None:
        raise VerificationError(fault)
    if chosen.params.get("alg", record.algorithm.value) != record.algorithm.value:
        raise VerificationError("algorithm-differs")
    # 4. The signature, over what we sent and what came back.
    signed = Lines(only_signature(chosen, headers))
    message = ResponseMessage(status_code=status, headers=signed, request=request_message(request, url))
    verify_signature(
        message, tag=RECEIPT_TAG, label=chosen.label, algorithm=record.algorithm, public_key=record.public_key
    )
    # 5. The digest, over the bytes that came.
    check_digest(single(headers, "content-digest") or "", body)
    return record.key_id


def _check_coverage(chosen: Candidate, label: str) -> None:
    covered = {(name, frozenset(params.items())) for name, params in chosen.components}
    req = ("req", True)
    needed = {
        ("@status", frozenset()),
        ("content-type", frozenset()),
        ("content-digest", frozenset()),
        ("@method", frozenset({req})),
        ("@target-uri", frozenset({req})),
        ("signature", frozenset({req, ("key", label)})),
    }
    if not needed <= covered:
        raise VerificationError("not-covered")


def _check_params(chosen: Candidate, now: dt.datetime, limits: VerificationLimits) -> str:
    params = chosen.params
    if not {"created", "keyid"} <= set(params) <= _PARAMS:
        raise VerificationError("parameter-unknown")
    created, key_id = params["created"], params["keyid"]
    if type(created) is not int or type(key_id) is not str or type(params.get("alg", "")) is not str:
        raise VerificationError("parameter-type")
    if not 0 <= created <= now.timestamp() + limits.clock_skew_seconds:
        raise VerificationError("from-the-future")
    return key_id
