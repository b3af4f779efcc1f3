"""Which keys are registered."""

from __future__ import annotations

import base64
import datetime as dt
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.verification.edwards import is_sound_point
from receiver.verification.errors import KeyRefusedError
from receiver.verification.jwk import load_jwks, public_members, thumbprint
from receiver.verification.keys import Algorithm, KeyRecord, KeyStatus
from tests.vectors.keys import ed25519_key, p256_key, rsa_key

P = 2**255 - 19
ED = {**public_members(ed25519_key("a").public_key()), "kid": "k"}
EC = {**public_members(p256_key("a").public_key()), "kid": "k"}
RSA = {**public_members(rsa_key("a").public_key()), "kid": "k"}
N = rsa_key("a").public_key().public_numbers().n


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64u(value.to_bytes((value.bit_length() + 7) // 8))


def load(*keys: object) -> list[KeyRecord]:
    return load_jwks("hotline-a", json.dumps({"keys": keys}).encode())


# y coordinates of the points of order 1, 2, 4 and 8 (RFC 7748 section 7 lists the same points on the other curve).
Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7
SMALL_ORDER = [(y | sign << 255).to_bytes(32, "little") for y in (0, 1, P - 1, Y8, P - Y8) for sign in (0, 1)]
NOT_CANONICAL = [(y | sign << 255).to_bytes(32, "little") for y in (P, P + 1, P + 3, 2**255 - 1) for sign in (0, 1)]

BAD = {
    "kid missing": {k: v for k, v in ED.items() if k != "kid"},
    "kid empty": {**ED, "kid": ""},
    "kid number": {**ED, "kid": 7},
    "kid with line end": {**ED, "kid": "a\r\nb"},
    "kid with blank": {**ED, "kid": "a b"},
    "kid with quote": {**ED, "kid": 'a"b'},
    "kid with slash": {**ED, "kid": "../a"},
    "kid of five kilobytes": {**ED, "kid": "a" * 5000},
    "kid beyond ascii": {**ED, "kid": "é"},
    "private d": {**ED, "d": b64u(bytes(32))},
    "private primes": {**RSA, "p": "AQ", "q": "AQ"},
    "private null": {**EC, "d": None},
    "symmetric": {"kty": "oct", "k": b64u(bytes(32)), "kid": "k"},
    "kty missing": {k: v for k, v in ED.items() if k != "kty"},
    "kty number": {**ED, "kty": 1},
    "kty list": {**ED, "kty": ["OKP"]},
    "crv x25519": {**ED, "crv": "X25519"},
    "crv ed448": {**ED, "crv": "Ed448"},
    "crv p384": {**EC, "crv": "P-384"},
    "crv p521": {**EC, "crv": "P-521"},
    "crv secp256k1": {**EC, "crv": "secp256k1"},
    "crv missing": {k: v for k, v in EC.items() if k != "crv"},
    "use enc": {**ED, "use": "enc"},
    "use null": {**ED, "use": None},
    "key_ops sign": {**ED, "key_ops": ["sign"]},
    "key_ops more": {**ED, "key_ops": ["verify", "encrypt"]},
    "key_ops empty": {**ED, "key_ops": []},
    "alg other kind": {**ED, "alg": "ES256"},
    "alg hmac": {**ED, "alg": "HS256"},
    "alg none": {**ED, "alg": "none"},
    "alg list": {**ED, "alg": ["EdDSA"]},
    "alg rs256": {**RSA, "alg": "RS256"},
    "alg pkcs1": {**RSA, "alg": "rsa-v1_5-sha256"},
    "alg ps256": {**RSA, "alg": "PS256"},
    "ed25519 short": {**ED, "x": b64u(bytes(31))},
    "ed25519 long": {**ED, "x": b64u(bytes(33))},
    "ed25519 padded": {**ED, "x": ED["x"] + "="},
    "ed25519 stray bits": {**ED, "x": b64u(b"\x01" * 32)[:-1] + "F"},
    "ed25519 standard base64": {**ED, "x": "+/" + ED["x"][2:]},
    "ed25519 empty": {**ED, "x": ""},
    "ed25519 one letter": {**ED, "x": "A"},
    "ed25519 number": {**ED, "x": 7},
    "p256 not on curve": {**EC, "y": b64u(bytes(31) + b"\x01")},
    "p256 at infinity": {**EC, "x": b64u(bytes(32)), "y": b64u(bytes(32))},
    "p256 short": {**EC, "x": b64u(bytes(31))},
    "p256 beyond field": {**EC, "x": b64u(b"\xff" * 32)},
    "rsa 1024": {**RSA, "n": number(rsa.generate_private_key(65537, 1024).public_key().public_numbers().n)},
    "rsa 2047": {**RSA, "n": number(N >> 1 | 1)},
    "rsa 5096": {**RSA, "n": number(1 << 4095 << 1000 | 1)},
    "rsa e 3": {**RSA, "e": number(3)},
    "rsa e 1": {**RSA, "e": number(1)},
    "rsa e even": {**RSA, "e": number(65536)},
    "rsa e huge": {**RSA, "e": number(2**64 + 1)},
    "rsa n even": {**RSA, "n": number(N + 1)},
    "rsa n divisible": {**RSA, "n": number(N - N % 997 if (N - N % 997) % 2 else N - N % 997 + 997)},
    "rsa n square": {**RSA, "n": number(rsa_key("a").private_numbers().p ** 2)},
    "rsa n with zero byte": {**RSA, "n": b64u(b"\x00" + N.to_bytes(256))},
    "status unknown": {**ED, "status": "blessed"},
    "status list": {**ED, "status": ["active"]},
    "time without offset": {**ED, "not_after": "2026-11-22T09:30:00"},
    "time impossible": {**ED, "not_before": "2026-13-22T09:30:00Z"},
    "time number": {**ED, "revoked_at": 7},
    "vouch text": {**ED, "vouch": "x"},
    "vouch without signature": {**ED, "vouch": {"kid": "a"}},
}


@pytest.mark.parametrize("name", BAD)
def test_bad_key_is_refused(name: str) -> None:
    with pytest.raises(KeyRefusedError) as caught:
        load(BAD[name])
    assert len(caught.value.reasons) == 1
    assert caught.value.reasons[0].startswith("keys[0]: ")


@pytest.mark.parametrize("point", [*SMALL_ORDER, *NOT_CANONICAL])
def test_point_of_no_worth_is_refused(point: bytes) -> None:
    assert not is_sound_point(point)
    with pytest.raises(KeyRefusedError, match="sound"):
        load({**ED, "x": b64u(point)})


def test_point_with_small_part_is_refused() -> None:
    # A sound point plus the point of order two is on the curve, yet two secrets fit it.
    encoded = int.from_bytes(ed25519_key("a").public_key().public_bytes_raw(), "little")
    sign, y = encoded >> 255, encoded & (1 << 255) - 1
    assert not is_sound_point((P - y | (1 - sign) << 255).to_bytes(32, "little"))


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=100, deadline=None)
def test_any_secret_makes_a_sound_point(seed: bytes) -> None:
    assert is_sound_point(ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


@given(st.binary(max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_bytes_as_point_are_judged(data: bytes) -> None:
    assert is_sound_point(data) in {True, False}


def test_good_keys_are_read() -> None:
    records = load(
        {**ED, "kid": "one", "alg": "EdDSA", "use": "sig", "key_ops": ["verify"]},
        {**EC, "kid": "two", "status": "retired", "not_after": "2026-11-22T10:30:00+01:00"},
        {**RSA, "kid": "three", "alg": "PS512", "x5t": "left alone"},
    )
    assert [record.algorithm for record in records] == list(Algorithm)
    assert records[1].status is KeyStatus.RETIRED
    assert records[1].not_after == dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)
    assert records[0].issuer == "hotline-a"


def test_thumbprint_is_that_of_rfc8037() -> None:
    # RFC 8037 appendix A.3.
    key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "k"}
    assert load(key)[0].thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_thumbprint_ignores_name_and_status() -> None:
    assert load(ED)[0].thumbprint == load({**ED, "kid": "x", "status": "pending"})[0].thumbprint
    assert thumbprint(p256_key("a").public_key()) == load(EC)[0].thumbprint


def test_all_mistakes_come_together() -> None:
    with pytest.raises(KeyRefusedError) as caught:
        load(BAD["kid missing"], ED, BAD["rsa e 3"], BAD["use enc"])
    assert [reason[:7] for reason in caught.value.reasons] == ["keys[0]", "keys[2]", "keys[3]"]


def test_twins_in_a_set_are_refused() -> None:
    with pytest.raises(KeyRefusedError, match="k stands twice"):
        load(ED, EC)
    with pytest.raises(KeyRefusedError, match="under two ids"):
        load(ED, {**ED, "kid": "other"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":[]}',
        b'{"keys":{}}',
        b'{"keys":[],"keys":[]}',
        b'{"keys":[7]}',
        b" " * 64001,
        json.dumps({"keys": [ED] * 21}).encode(),
    ],
)
def test_odd_set_is_refused(data: bytes) -> None:
    with pytest.raises(KeyRefusedError):
        load_jwks("hotline-a", data)


def test_refusal_repeats_no_value() -> None:
    with pytest.raises(KeyRefusedError) as caught:
        load({**ED, "kid": "secret\n", "d": "hunter2"}, {**ED, "d": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_curve_objects_of_other_curves_never_appear() -> None:
    assert all(
        not isinstance(r.public_key, ec.EllipticCurvePublicKey) or r.public_key.curve.name == "secp256r1"
        for r in load(EC)
    )
