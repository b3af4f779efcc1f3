"""TEST keys. Everybody can compute them, so they protect nothing: never register them on a real receiver."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from receiver.verification.jwk import load_jwks, public_members
from receiver.verification.keys import KeyRecord
from tests.vectors.signer import PrivateKey

SEED = "takedown-receiver TEST key "
COMMENT = "TEST keys, computed from a public seed by tests/vectors/keys.py; never register them"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _bytes(name: str) -> Iterator[bytes]:
    counter = 0
    while True:
        yield hashlib.sha512(f"{SEED}{name} {counter}".encode()).digest()
        counter += 1


def ed25519_key(name: str) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(next(_bytes(name))[:32])


def p256_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(next(_bytes(name))) % (P256_ORDER - 1) + 1, ec.SECP256R1())


@functools.cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    p, q = _prime(f"{name} p"), _prime(f"{name} q")
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q), public)
    return numbers.private_key()


def _prime(name: str) -> int:
    """The first 1024-bit probable prime above a number made of the name."""
    stream = _bytes(name)
    number = int.from_bytes(next(stream) + next(stream)) | 3 << 1022 | 1
    while not _is_prime(number) or number % 65537 == 1:
        number += 2
    return number


def _is_prime(number: int) -> bool:
    if any(number % small == 0 for small in range(3, 4000, 2)):
        return False
    return all(_miller_rabin(number, base) for base in (2, 3, 5, 7, 11, 13, 17, 19))


def _miller_rabin(number: int, base: int) -> bool:
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    x = pow(base, odd, number)
    if x in {1, number - 1}:
        return True
    for _ in range(twos - 1):
        x = x * x % number
        if x == number - 1:
            return True
    return False


def _jwk(kid: str, private_key: PrivateKey, **extra: object) -> dict[str, object]:
    return {**public_members(private_key.public_key()), "kid": kid, **extra}


def key_set_a() -> dict[str, Any]:
    """The hotline that sends most vectors, with a key in every state."""
    return {
        "comment": COMMENT,
        "keys": [
            _jwk("a-ed25519", ed25519_key("a"), alg="ed25519", use="sig", status="active"),
            _jwk("a-p256", p256_key("a"), alg="ES256", key_ops=["verify"]),
            _jwk("a-rsa", rsa_key("a"), alg="rsa-pss-sha512"),
            _jwk("a-pending", ed25519_key("a pending"), status="pending"),
            _jwk("a-retired", ed25519_key("a retired"), status="retired"),
            _jwk("a-revoked", ed25519_key("a revoked"), status="revoked", revoked_at="2026-11-01T00:00:00Z"),
            _jwk("a-revoked-by-date", ed25519_key("a revoked by date"), revoked_at="2026-11-22T09:29:59Z"),
            _jwk("a-future", ed25519_key("a future"), not_before="2026-11-22T09:31:00Z"),
            _jwk("a-past", ed25519_key("a past"), not_after="2026-11-22T09:29:00Z"),
        ],
    }


def key_set_b() -> dict[str, object]:
    """Another hotline."""
    return {"comment": COMMENT, "keys": [_jwk("b-ed25519", ed25519_key("b"))]}


def key_records() -> list[KeyRecord]:
    sets = {"hotline-a": key_set_a(), "hotline-b": key_set_b()}
    return [record for issuer, keys in sets.items() for record in load_jwks(issuer, json.dumps(keys).encode())]
