"""Receipts, status answers and callbacks, signed by us and checked as an issuer does."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from receiver.client.signing import sign_notice
from receiver.domain.notice import UnverifiedRequest, VerifiedRequest
from receiver.verification.answers import verify_answer, verify_callback
from receiver.verification.errors import SigningError, VerificationError
from receiver.verification.jwk import load_jwks
from receiver.verification.keys import KeyRing, KeyStatus
from receiver.verification.policy import verify_request
from receiver.verification.signing import SigningKey, check_private_key, sign_request, sign_response
from tests.vectors.base import BODY
from tests.vectors.keys import ed25519_key, key_records, p256_key, rsa_key
from tests.vectors.signer import PrivateKey

NOW = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)
ORIGIN = "https://notices.host.example"
RECEIPT = b'{"schema":"takedown-receipt/1","notice_id":"A-2026-000123"}'
OURS = SigningKey.named_by_thumbprint(ed25519_key("receiver response"))
CALLBACK_KEY = SigningKey.named_by_thumbprint(ed25519_key("receiver callback"))
EVENT = b'{"specversion":"1.0"}'
CALLBACK_URL = "https://callbacks.hotline.example/takedown?issuer=a"


def ring(*keys: SigningKey, **changes: Any) -> KeyRing:
    records = load_jwks("receiver", json.dumps({"keys": [key.public_jwk() for key in keys]}).encode())
    return KeyRing([replace(record, **changes) for record in records])


RING = ring(OURS, CALLBACK_KEY)


def exchange(
    method: str = "POST",
    target: str = "/v1/notices",
    body: bytes = BODY,
    status: int = 202,
    key: SigningKey = OURS,
    label: str = "sig1",
) -> dict[str, Any]:
    """A request and its signed answer, as `verify_answer` takes them."""
    url = ORIGIN + target
    headers = sign_notice(method, url, body, ed25519_key("a"), "a-ed25519", now=NOW, label=label)
    lines = (("Host", "notices.host.example"), *headers.items())
    request = UnverifiedRequest(method=method, target=target, headers=lines, body=body)
    verified = verify_request(request, origins=(ORIGIN,), register=KeyRing(key_records()), now=NOW)
    answer = sign_response(
        status=status, content_type="application/json", body=RECEIPT, verified=verified, key=key, now=NOW
    )
    fields = {"request": request, "url": url, "label": label, "status": status}
    return {**fields, "headers": tuple(answer.items()), "body": RECEIPT, "register": RING, "now": NOW}


def changed_header(made: dict[str, Any], name: str, change: Callable[[str], str]) -> tuple[tuple[str, str], ...]:
    return tuple((n, change(v) if n == name else v) for n, v in made["headers"])


def test_receipt_holds_for_its_request() -> None:
    assert verify_answer(**exchange()) == OURS.key_id


def test_receipt_covers_what_protocol_says() -> None:
    made = dict(exchange()["headers"])
    assert made["Signature-Input"].startswith(
        'receipt=("@status" "content-type" "content-digest" "@method";req "@target-uri";req "signature";req;key="sig1")'
    )
    assert ';tag="takedown-receipt"' in made["Signature-Input"]


def test_receipt_holds_years_later() -> None:
    assert verify_answer(**{**exchange(), "now": NOW + dt.timedelta(days=3650)}) == OURS.key_id


def test_receipt_binds_another_label() -> None:
    assert verify_answer(**exchange(label="hotline")) == OURS.key_id


def test_status_answer_is_signed_alike() -> None:
    assert verify_answer(**exchange("GET", "/v1/notices/A-2026-000123", b"", 200)) == OURS.key_id


@pytest.mark.parametrize("key", [p256_key("receiver"), rsa_key("a")])
def test_receipt_with_other_algorithms_holds(key: PrivateKey) -> None:
    ours = SigningKey.named_by_thumbprint(key)
    assert verify_answer(**{**exchange(key=ours), "register": ring(ours)}) == ours.key_id


@pytest.mark.parametrize(
    "change",
    [
        lambda m: {"body": RECEIPT + b" "},
        lambda m: {"status": 200},
        lambda m: {"url": m["url"] + "?x=1"},
        lambda m: {"label": "sig2"},
        lambda m: {"request": replace(m["request"], method="PUT")},
        lambda m: {"request": exchange()["request"]},
        lambda m: {"headers": changed_header(m, "Content-Type", lambda _: "text/html")},
        lambda m: {"headers": changed_header(m, "Signature-Input", lambda v: v.replace('"@method";req ', ""))},
        lambda m: {"headers": changed_header(m, "Signature-Input", lambda v: v.replace("takedown-receipt", "x"))},
        lambda m: {"headers": changed_header(m, "Signature-Input", lambda v: v + ';nonce="x"')},
        lambda m: {"headers": changed_header(m, "Signature-Input", lambda v: v.replace(OURS.key_id, "nobody"))},
        lambda m: {
            "headers": changed_header(m, "Signature-Input", lambda v: v.replace('"ed25519"', '"rsa-pss-sha512"'))
        },
        lambda m: {"headers": changed_header(m, "Signature-Input", lambda v: v.replace("created=", "created=0."))},
        lambda m: {"headers": m["headers"][:2]},
        lambda m: {"now": NOW - dt.timedelta(seconds=31)},
        lambda m: {"register": ring(CALLBACK_KEY)},
        lambda m: {"register": ring(OURS, status=KeyStatus.REVOKED)},
    ],
)
def test_changed_receipt_does_not_hold(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    made = exchange()
    with pytest.raises(VerificationError):
        verify_answer(**{**made, **change(made)})


@pytest.mark.parametrize(
    ("given", "instead"), [('keyid="[^"]*"', "keyid=7"), (r"created=\d+", "created=?1"), ('alg="[^"]*"', "alg=?1")]
)
def test_parameter_of_other_type_is_refused(given: str, instead: str) -> None:
    """Refused before any key is looked for: `keyid=7` must not be looked up, nor `created=?1` compared."""
    made = exchange()
    changed = changed_header(made, "Signature-Input", lambda value: re.sub(given, instead, value))
    with pytest.raises(VerificationError) as caught:
        verify_answer(**{**made, "headers": changed})
    assert caught.value.reason == "parameter-type"


def test_receipt_of_retired_key_holds() -> None:
    assert verify_answer(**{**exchange(), "register": ring(OURS, status=KeyStatus.RETIRED)}) == OURS.key_id


def test_unsigned_request_gets_no_bound_answer() -> None:
    made = exchange()
    with pytest.raises(SigningError):
        verify_answer(**{**made, "request": replace(made["request"], headers=())})


def callback(content_type: str = "application/cloudevents+json", **more: Any) -> UnverifiedRequest:
    headers = sign_request(
        method="POST", url=CALLBACK_URL, content_type=content_type, body=EVENT, key=CALLBACK_KEY, now=NOW, **more
    )
    lines = (("Host", "callbacks.hotline.example"), *headers.items())
    return UnverifiedRequest(method="POST", target="/takedown?issuer=a", headers=lines, body=EVENT)


def check_callback(request: UnverifiedRequest, register: KeyRing = RING) -> VerifiedRequest:
    origins = ("https://callbacks.hotline.example",)
    return verify_callback(request, origins=origins, register=register, now=NOW)


@pytest.mark.parametrize("kind", ["application/cloudevents+json", "application/cloudevents-batch+json; charset=utf-8"])
def test_callback_holds_for_the_issuer(kind: str) -> None:
    verified = check_callback(callback(kind))
    assert verified.tag == "takedown-callback"
    assert verified.expires_at - verified.created_at == dt.timedelta(seconds=300)
    assert set(verified.covered) == {"@method", "@target-uri", "content-type", "content-digest"}


def test_every_try_is_signed_afresh() -> None:
    assert check_callback(callback()).nonce != check_callback(callback()).nonce


@pytest.mark.parametrize(
    ("request_", "register", "reason"),
    [
        (replace(callback(), body=EVENT + b" "), RING, "bad-digest"),
        (replace(callback(), target="/takedown"), RING, "bad-signature"),
        (callback(), ring(OURS), "key-unknown"),
        (callback("application/json"), RING, "content-type"),
        (callback(tag="takedown-notice"), RING, "no-signature-with-tag"),
    ],
)
def test_changed_callback_does_not_hold(request_: UnverifiedRequest, register: KeyRing, reason: str) -> None:
    with pytest.raises(VerificationError, match=reason):
        check_callback(request_, register)


def test_url_with_odd_letters_is_not_signed() -> None:
    with pytest.raises(SigningError):
        sign_request(method="POST", url="https://a.example/a b", content_type=None, body=b"", key=CALLBACK_KEY, now=NOW)


def test_private_key_is_never_shown() -> None:
    assert "private" not in repr(OURS)
    assert set(OURS.public_jwk()) == {"kty", "crv", "x", "kid", "use", "alg"}


def test_only_sound_kinds_of_key_sign() -> None:
    for key in (ed25519_key("a"), p256_key("a"), rsa_key("a")):
        assert check_private_key(key) is key
    small = rsa.generate_private_key(65537, 1024)
    for unsound in (x25519.X25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1()), small, None):
        with pytest.raises(SigningError):
            check_private_key(unsound)
    assert isinstance(check_private_key(ed25519_key("a")), ed25519.Ed25519PrivateKey)
