"""The cryptographic part of RFC 9421, done by http-message-signatures. No policy here: that is `policy`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import http_sf
from cryptography.exceptions import InvalidSignature as RawInvalidSignature
from http_message_signatures import (
    ContentDigest,
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)

from receiver.verification.errors import SigningError, VerificationError
from receiver.verification.keys import Algorithm, PrivateKey, PublicKey

_CLASSES: dict[Algorithm, type[HTTPSignatureAlgorithm]] = {
    Algorithm.ED25519: algorithms.ED25519,
    Algorithm.ECDSA_P256_SHA256: algorithms.ECDSA_P256_SHA256,
    Algorithm.RSA_PSS_SHA512: algorithms.RSA_PSS_SHA512,
}


class Lines:
    """Header lines in the shape the library reads, repeated names kept apart."""

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        self._lines = list(lines)

    def items(self) -> list[tuple[str, str]]:
        return list(self._lines)

    def __iter__(self) -> Any:
        return iter([name for name, _ in self._lines])

    def __contains__(self, name: str) -> bool:
        return any(name.lower() == known.lower() for known, _ in self._lines)


@dataclass(frozen=True, kw_only=True)
class RequestMessage:
    """What the library needs of a request."""

    method: str
    url: str
    headers: Lines


@dataclass(frozen=True, kw_only=True)
class ResponseMessage:
    """What the library needs of a response, with the request it answers."""

    status_code: int
    headers: Lines
    request: RequestMessage


Message = RequestMessage | ResponseMessage


@dataclass(frozen=True, kw_only=True)
class SignatureParams:
    """The parameters of a signature we make, all but `alg`, which is the key's."""

    tag: str
    created_at: dt.datetime
    label: str
    nonce: str | None = None
    expires_at: dt.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class _OneKey(HTTPSignatureKeyResolver):
    """The key of the record, whatever id is asked for: the record was found by that id."""

    public_key: PublicKey

    def resolve_public_key(self, key_id: str) -> PublicKey:  # noqa: ARG002  # the library's interface
        return self.public_key


class _Verifier(HTTPMessageVerifier):
    def validate_created_and_expires(self, sig_input: Any, max_age: dt.timedelta | None = None) -> None:
        """Times are judged by `policy` against the caller's clock; the library knows only the wall clock."""


def verify_signature(
    message: Message, *, tag: str, label: str, algorithm: Algorithm, public_key: PublicKey
) -> dict[str, str]:
    """Covered component identifiers and their values. Raises VerificationError 401 when the signature does not hold.

    `message` must hold only the signature to be verified.
    """
    verifier = _Verifier(signature_algorithm=_CLASSES[algorithm], key_resolver=_OneKey(public_key=public_key))
    try:
        results = verifier.verify(message, max_age=None, expect_tag=tag, expect_label=label)
    except HTTPMessageSignaturesException as error:
        raise VerificationError("bad-signature") from error
    covered = dict(results[0].covered_components)
    covered.pop('"@signature-params"', None)
    return covered


def verify_bytes(data: bytes, signature: bytes, *, algorithm: Algorithm, public_key: PublicKey) -> None:
    """A bare signature over bytes. Raises VerificationError 401."""
    try:
        _CLASSES[algorithm](public_key=public_key).verify(signature=signature, message=data)
    except (RawInvalidSignature, HTTPMessageSignaturesException, ValueError) as error:
        raise VerificationError("bad-signature") from error


def sign_bytes(data: bytes, *, algorithm: Algorithm, private_key: PrivateKey) -> bytes:
    """A bare signature over bytes, in the form RFC 9421 section 3.3 gives it."""
    return bytes(_CLASSES[algorithm](private_key=private_key).sign(data))


def check_digest(value: str, body: bytes) -> None:
    """Every listed digest is sha-256 or sha-512 and fits the raw body (RFC 9530). Raises VerificationError 401."""
    try:
        ContentDigest.verify(value, body)
    except (InvalidSignature, UnicodeError) as error:
        raise VerificationError("bad-digest") from error


def sign(
    message: Message,
    *,
    key_id: str,
    algorithm: Algorithm,
    private_key: PrivateKey,
    covered: Sequence[str],
    params: SignatureParams,
) -> dict[str, str]:
    """The two signature headers for `message`. Raises SigningError."""
    signer = HTTPMessageSigner(signature_algorithm=_CLASSES[algorithm])
    try:
        prepared = signer.prepare(
            message,
            key_id=key_id,
            created=params.created_at,
            expires=params.expires_at,
            nonce=params.nonce,
            label=params.label,
            tag=params.tag,
            covered_component_ids=covered,
            use_existing_digest="content-digest" in message.headers,
        )
        # The library's own `apply` builds everything again, for messages that may change while somebody else signs.
        signature = sign_bytes(prepared.signature_base, algorithm=algorithm, private_key=private_key)
    except HTTPMessageSignaturesException as error:
        raise SigningError("the message cannot be signed; check its URL and headers for odd characters") from error
    return {
        "Signature-Input": f"{prepared.label}={prepared.signature_params}",
        "Signature": http_sf.ser({prepared.label: (signature, {})}),
    }


def content_digest(body: bytes) -> str:
    return ContentDigest.create(body)
