"""Signatures we make: callbacks and answers; and, for an issuer's software, notices (RFC 9421 section 3.1)."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from receiver.domain.notice import UnverifiedRequest, VerifiedRequest
from receiver.verification.errors import SigningError
from receiver.verification.fields import joined
from receiver.verification.jwk import public_members, thumbprint
from receiver.verification.keys import Algorithm, PrivateKey
from receiver.verification.mechanics import (
    Lines,
    RequestMessage,
    ResponseMessage,
    SignatureParams,
    content_digest,
    sign,
)

NOTICE_TAG = "takedown-notice"
CALLBACK_TAG = "takedown-callback"
RECEIPT_TAG = "takedown-receipt"
LIFETIME_SECONDS = 300
NONCE_BYTES = 24


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A private key of ours, or of an issuer's software, and the id it goes by."""

    key_id: str
    private_key: PrivateKey = field(repr=False)

    @property
    def algorithm(self) -> Algorithm:
        if isinstance(self.private_key, ed25519.Ed25519PrivateKey):
            return Algorithm.ED25519
        if isinstance(self.private_key, ec.EllipticCurvePrivateKey):
            return Algorithm.ECDSA_P256_SHA256
        return Algorithm.RSA_PSS_SHA512

    @classmethod
    def named_by_thumbprint(cls, private_key: PrivateKey) -> SigningKey:
        """With its RFC 7638 thumbprint as key id, as our own keys are published."""
        return cls(key_id=thumbprint(private_key.public_key()), private_key=private_key)

    def public_jwk(self) -> dict[str, str]:
        """The public half, as it stands in our key directory."""
        members = public_members(self.private_key.public_key())
        return {**members, "kid": self.key_id, "use": "sig", "alg": self.algorithm.value}


def check_private_key(key: object) -> PrivateKey:
    """Narrow what a PEM file held to a key we can sign with. Raises SigningError."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and 2048 <= key.key_size <= 4096:
        return key
    raise SigningError("use an Ed25519 key (or P-256, or RSA of 2048 to 4096 bits); make one with `issuer-key new`")


def sign_request(
    *,
    method: str,
    url: str,
    content_type: str | None,
    body: bytes,
    key: SigningKey,
    now: dt.datetime,
    tag: str = CALLBACK_TAG,
    nonce: str | None = None,
    lifetime_seconds: int = LIFETIME_SECONDS,
    idempotency_key: str | None = None,
    label: str = "sig1",
) -> dict[str, str]:
    """All headers to send: content type and digest where there is a body, and the signature. Sign anew for every try.

    Covered: `@method`, `@target-uri`, and with a body `content-type` and `content-digest`. Raises SigningError.
    """
    headers: dict[str, str] = {}
    if body:
        headers["Content-Type"] = content_type or "application/json"
        headers["Content-Digest"] = content_digest(body)
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    params = SignatureParams(
        tag=tag,
        label=label,
        created_at=now,
        expires_at=now + dt.timedelta(seconds=lifetime_seconds),
        nonce=nonce or secrets.token_urlsafe(NONCE_BYTES),
    )
    made = sign(
        RequestMessage(method=method, url=url, headers=Lines(headers.items())),
        key_id=key.key_id,
        algorithm=key.algorithm,
        private_key=key.private_key,
        covered=("@method", "@target-uri", *(name.lower() for name in headers)),
        params=params,
    )
    return {**headers, **made}


def receipt_components(label: str) -> tuple[str, ...]:
    """What a receipt covers: the answer, and the request it answers down to the issuer's own signature."""
    return (
        '"@status"',
        '"content-type"',
        '"content-digest"',
        '"@method";req',
        '"@target-uri";req',
        f'"signature";req;key="{label}"',
    )


def sign_response(
    *,
    status: int,
    content_type: str,
    body: bytes,
    verified: VerifiedRequest,
    key: SigningKey,
    now: dt.datetime,
) -> dict[str, str]:
    """All headers of a signed answer: receipts, status answers, and the answers to directions.

    Bound to the request (RFC 9421 section 2.4), so that the issuer holds proof of what we took. It has no `expires`: a
    receipt is meant to be shown years later. Raises SigningError.
    """
    headers = {"Content-Type": content_type, "Content-Digest": content_digest(body)}
    message = ResponseMessage(
        status_code=status,
        headers=Lines(headers.items()),
        request=request_message(verified.request, verified.target_uri),
    )
    made = sign(
        message,
        key_id=key.key_id,
        algorithm=key.algorithm,
        private_key=key.private_key,
        covered=receipt_components(verified.label),
        params=SignatureParams(tag=RECEIPT_TAG, label="receipt", created_at=now),
    )
    return {**headers, **made}


def request_message(request: UnverifiedRequest, url: str) -> RequestMessage:
    """The request as a signed answer refers to it. Repeated signature lines count as one list."""
    signature = joined(request.headers, "signature")
    if signature is None:
        raise SigningError("the request carries no signature, so its answer cannot be bound to it")
    return RequestMessage(method=request.method, url=url, headers=Lines([("Signature", signature)]))
