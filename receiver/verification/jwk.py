"""Reads a JWK set (RFC 7517) and refuses every key that could be forged, denied or mistaken for another."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from receiver.domain.strict_json import StrictJsonError, load_strict_json
from receiver.verification.edwards import is_sound_point
from receiver.verification.errors import KeyRefusedError
from receiver.verification.keys import Algorithm, KeyRecord, KeySource, KeyStatus, PublicKey, Vouch

MAX_SET_BYTES = 64_000
MAX_KEYS = 20
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 4096
RSA_EXPONENT = 65537
KEY_ID_PATTERN = re.compile(r"[A-Za-z0-9._~:-]{1,128}", re.ASCII)
_PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_SMALL_PRIMES = math.prod(n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2)))
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_ALGORITHM_NAMES = {
    # Ours (RFC 9421) and JOSE's names for the same (RFC 8037, RFC 9864, RFC 7518).
    "ed25519": Algorithm.ED25519,
    "Ed25519": Algorithm.ED25519,
    "EdDSA": Algorithm.ED25519,
    "ecdsa-p256-sha256": Algorithm.ECDSA_P256_SHA256,
    "ES256": Algorithm.ECDSA_P256_SHA256,
    "rsa-pss-sha512": Algorithm.RSA_PSS_SHA512,
    "PS512": Algorithm.RSA_PSS_SHA512,
}


class _FaultError(Exception):
    """One thing wrong with one key."""


def load_jwks(issuer: str, data: bytes, *, source: KeySource = KeySource.FILE) -> list[KeyRecord]:
    """The records of one issuer's JWK set. Raises KeyRefusedError with every mistake in the set.

    `status`, `not_before`, `not_after` and `revoked_at` may stand beside the key's own members.
    """
    if len(data) > MAX_SET_BYTES:
        raise KeyRefusedError((f"the key set is larger than {MAX_SET_BYTES} bytes",))
    try:
        document = load_strict_json(data)
    except StrictJsonError as error:
        raise KeyRefusedError((f"the key set cannot be read: {error}",)) from error
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
        raise KeyRefusedError((f'the key set needs "keys": a list of 1 to {MAX_KEYS} keys',))
    records, reasons = [], []
    for number, jwk in enumerate(keys):
        try:
            records.append(_read(issuer, jwk, source))
        except _FaultError as fault:
            reasons.append(f"keys[{number}]: {fault}")
    reasons += _twins(records)
    if reasons:
        raise KeyRefusedError(tuple(reasons))
    return records


def thumbprint(public_key: PublicKey) -> str:
    """RFC 7638 with SHA-256: what an operator compares with the issuer by telephone."""
    members = {name: value for name, value in public_members(public_key).items() if name in _THUMBPRINT_MEMBERS}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return _encode(hashlib.sha256(text.encode()).digest())


_THUMBPRINT_MEMBERS = frozenset({"kty", "crv", "x", "y", "n", "e"})


def public_members(public_key: PublicKey) -> dict[str, str]:
    """The key as JWK members, public part only, for our own key directory."""
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _encode(public_key.public_bytes_raw())}
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        point = public_key.public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _encode(point.x.to_bytes(32)), "y": _encode(point.y.to_bytes(32))}
    numbers = public_key.public_numbers()
    return {"kty": "RSA", "n": _encode_number(numbers.n), "e": _encode_number(numbers.e)}


def _twins(records: list[KeyRecord]) -> list[str]:
    ids = [record.key_id for record in records]
    prints = [record.thumbprint for record in records]
    twice = [f"the key id {kid} stands twice; give each key its own" for kid in sorted(set(ids)) if ids.count(kid) > 1]
    if len(set(prints)) != len(prints):
        twice.append("one key stands twice under two ids; keep one")
    return twice


def _read(issuer: str, jwk: object, source: KeySource) -> KeyRecord:
    if not isinstance(jwk, dict):
        raise _FaultError("is not an object")
    key_id = jwk.get("kid")
    if not isinstance(key_id, str) or not KEY_ID_PATTERN.fullmatch(key_id):
        raise _FaultError("kid must be 1 to 128 of A-Z a-z 0-9 . _ ~ : -")
    if any(name in jwk for name in _PRIVATE_MEMBERS):
        raise _FaultError("holds private members; that key is spent, make a new one and give only its public half")
    _check_use(jwk)
    algorithm, public_key = _read_key(jwk)
    named = jwk.get("alg")
    if named is not None and (not isinstance(named, str) or _ALGORITHM_NAMES.get(named) is not algorithm):
        raise _FaultError(f"alg does not fit the key; leave it out or write {algorithm}")
    return KeyRecord(
        issuer=issuer,
        key_id=key_id,
        algorithm=algorithm,
        public_key=public_key,
        thumbprint=thumbprint(public_key),
        status=_read_status(jwk),
        not_before=_read_time(jwk, "not_before"),
        not_after=_read_time(jwk, "not_after"),
        revoked_at=_read_time(jwk, "revoked_at"),
        source=source,
        vouch=_read_vouch(jwk),
    )


def _read_vouch(jwk: Mapping[str, Any]) -> Vouch | None:
    given = jwk.get("vouch")
    if given is None:
        return None
    if not isinstance(given, dict) or set(given) != {"kid", "sig"} or not isinstance(given["kid"], str):
        raise _FaultError('vouch must be an object of "kid" and "sig"')
    return Vouch(key_id=given["kid"], signature=_decode(given, "sig"))


def _check_use(jwk: Mapping[str, Any]) -> None:
    if jwk.get("use", "sig") != "sig":
        raise _FaultError('use must be "sig" or left out')
    if jwk.get("key_ops", ["verify"]) != ["verify"]:
        raise _FaultError('key_ops must be ["verify"] or left out')


def _read_status(jwk: Mapping[str, Any]) -> KeyStatus:
    try:
        return KeyStatus(jwk.get("status", "active"))
    except ValueError as error:
        raise _FaultError("status must be pending, active, retired or revoked") from error


def _read_time(jwk: Mapping[str, Any], name: str) -> dt.datetime | None:
    value = jwk.get(name)
    if value is None:
        return None
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return dt.datetime.fromisoformat(value).astimezone(dt.UTC)
        except (ValueError, OverflowError) as error:
            raise _FaultError(f"{name} is no such time") from error
    raise _FaultError(f"{name} must be an RFC 3339 time with an offset")


def _read_key(jwk: Mapping[str, Any]) -> tuple[Algorithm, PublicKey]:
    kind = (jwk.get("kty"), jwk.get("crv")) if jwk.get("kty") != "RSA" else ("RSA", None)
    reader = _READERS.get(kind) if all(isinstance(part, str | None) for part in kind) else None
    if reader is None:
        raise _FaultError("only Ed25519, P-256 and RSA keys are taken")
    return reader(jwk)


def _read_ed25519(jwk: Mapping[str, Any]) -> tuple[Algorithm, PublicKey]:
    encoded = _decode(jwk, "x")
    if not is_sound_point(encoded):
        raise _FaultError("x is not a sound Ed25519 point; with such a key signatures can be forged or denied")
    return Algorithm.ED25519, ed25519.Ed25519PublicKey.from_public_bytes(encoded)


def _read_p256(jwk: Mapping[str, Any]) -> tuple[Algorithm, PublicKey]:
    x, y = _decode(jwk, "x"), _decode(jwk, "y")
    if len(x) != 32 or len(y) != 32:
        raise _FaultError("x and y must be 32 bytes each")
    try:
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
        return Algorithm.ECDSA_P256_SHA256, numbers.public_key()
    except ValueError as error:
        raise _FaultError("x and y are not a point of P-256") from error


def _read_rsa(jwk: Mapping[str, Any]) -> tuple[Algorithm, PublicKey]:
    n_bytes, e_bytes = _decode(jwk, "n"), _decode(jwk, "e")
    n, e = int.from_bytes(n_bytes), int.from_bytes(e_bytes)
    if n_bytes[:1] == b"\x00" or e_bytes[:1] == b"\x00":
        raise _FaultError("n and e must not start with zero bytes")
    if not MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS:
        raise _FaultError(f"RSA keys must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
    if e != RSA_EXPONENT:
        raise _FaultError(f"e must be {RSA_EXPONENT}")
    if n % 2 == 0 or math.gcd(n, _SMALL_PRIMES) != 1 or math.isqrt(n) ** 2 == n:
        raise _FaultError("n is not the product of two large primes")
    return Algorithm.RSA_PSS_SHA512, rsa.RSAPublicNumbers(e, n).public_key()


_READERS: Mapping[tuple[str | None, str | None], Callable[[Mapping[str, Any]], tuple[Algorithm, PublicKey]]] = {
    ("OKP", "Ed25519"): _read_ed25519,
    ("EC", "P-256"): _read_p256,
    ("RSA", None): _read_rsa,
}


def _decode(jwk: Mapping[str, Any], name: str) -> bytes:
    """Base64url without padding, in the one form an encoder makes (RFC 7515 section 2)."""
    value = jwk.get(name)
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,1024}", value):
        raise _FaultError(f"{name} must be base64url without padding")
    try:
        data = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except binascii.Error as error:
        raise _FaultError(f"{name} must be base64url without padding") from error
    if _encode(data) != value:
        raise _FaultError(f"{name} has stray bits at its end")
    return data


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _encode_number(number: int) -> str:
    return _encode(number.to_bytes((number.bit_length() + 7) // 8))
