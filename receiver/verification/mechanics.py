"""The cryptographic part of RFC 9421, done by http-message-signatures. No policy here: that is `policy`."""

from __future__ import annotations

import binascii
import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature as RawInvalidSignature
from http_message_signatures import (
    ContentDigest,
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    PreparedSignature,
    algorithms,
)

from receiver.verification.errors import SigningError, VerificationError
from receiver.verification.keys import Algorithm, PrivateKey, PublicKey
from receiver.verification.plain import base_of, plain_label, plain_params, plain_request, plain_response

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
    if value == content_digest(body):
        return
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
    identifiers = [name if name.startswith('"') else f'"{name}"' for name in covered]
    text = plain_params(
        identifiers,
        {
            "created": int(params.created_at.timestamp()),
            "keyid": key_id,
            "alg": algorithm.value,
            "expires": None if params.expires_at is None else int(params.expires_at.timestamp()),
            "nonce": params.nonce,
            "tag": params.tag,
        },
    )
    components = _plain_components(message, identifiers)
    try:
        if text is None or components is None or not plain_label(params.label):
            prepared = _prepare(message, key_id=key_id, algorithm=algorithm, covered=covered, params=params)
            base, text = prepared.signature_base, prepared.signature_params
        else:
            base = base_of(components, text)
        signature = sign_bytes(base, algorithm=algorithm, private_key=private_key)
    except HTTPMessageSignaturesException as error:
        raise SigningError("the message cannot be signed; check its URL and headers for odd characters") from error
    return {
        "Signature-Input": f"{params.label}={text}",
        "Signature": f"{params.label}=:{_base64(signature)}:",
    }


def _plain_components(message: Message, identifiers: Sequence[str]) -> dict[str, str] | None:
    if isinstance(message, RequestMessage):
        return plain_request(message, [identifier[1:-1] for identifier in identifiers])
    return plain_response(message, identifiers)


def _prepare(
    message: Message, *, key_id: str, algorithm: Algorithm, covered: Sequence[str], params: SignatureParams
) -> PreparedSignature:
    signer = HTTPMessageSigner(signature_algorithm=_CLASSES[algorithm])
    return signer.prepare(
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


def content_digest(body: bytes) -> str:
    return f"sha-256=:{_base64(hashlib.sha256(body).digest())}:"


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
