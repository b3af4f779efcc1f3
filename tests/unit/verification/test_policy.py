"""What a verified request says, and that nothing else can pass for one."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from requests_http_signature import HTTPSignatureAuth, algorithms

from receiver.domain.notice import UnverifiedRequest, VerifiedNotice
from receiver.intake.direction import parse_direction
from receiver.intake.notice import parse_notice
from receiver.verification.errors import BindingError
from receiver.verification.policy import (
    bind_direction,
    bind_notice,
    claimed_key_id,
    verify_request,
)
from tests.unit.verification.signed_notices import NOW, RING, URL, ring_with, signed, verify
from tests.vectors.base import BODY, NOTICE, body_of
from tests.vectors.keys import ed25519_key, p256_key, rsa_key
from tests.vectors.signer import PrivateKey


@pytest.mark.parametrize(
    ("key", "key_id", "algorithm"),
    [
        (ed25519_key("a"), "a-ed25519", "ed25519"),
        (p256_key("a"), "a-p256", "ecdsa-p256-sha256"),
        (rsa_key("a"), "a-rsa", "rsa-pss-sha512"),
    ],
)
def test_verified_request_says_who_and_how(key: PrivateKey, key_id: str, algorithm: str) -> None:
    verified = verify(signed(key=key, key_id=key_id, nonce="nonce-0123456789"))
    assert (verified.issuer, verified.key_id, verified.algorithm) == ("hotline-a", key_id, algorithm)
    assert verified.nonce == "nonce-0123456789"
    assert verified.nonce_until - verified.created_at == dt.timedelta(seconds=330)
    assert verified.target_uri == URL
    assert set(verified.covered) == {"@method", "@target-uri", "content-type", "content-digest"}
    assert verified.covered["@target-uri"] == URL


def test_origin_is_meant_not_spelled() -> None:
    origins = ("https://other.example", "https://Notices.Host.Example:443/")
    assert verify_request(signed(), origins=origins, register=RING, now=NOW).target_uri == URL


def test_requests_plugin_signs_what_we_take() -> None:
    # What an issuer in Python would use; it knows only the wall clock.
    plugin = HTTPSignatureAuth(
        signature_algorithm=algorithms.ED25519,
        key=ed25519_key("a").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        key_id="a-ed25519",
        covered_component_ids=("@method", "@target-uri", "content-type", "content-digest"),
        tag="takedown-notice",
        use_nonce=True,
        expires_in=dt.timedelta(seconds=300),
    )
    prepared = requests.Request(
        "POST", URL, data=BODY, headers={"Content-Type": "application/json"}, auth=plugin
    ).prepare()
    lines = (("Host", "notices.host.example"), *prepared.headers.items())
    request = UnverifiedRequest(method="POST", target="/v1/notices", headers=lines, body=BODY)
    assert verify(request, now=dt.datetime.now(dt.UTC), ring=ring_with("a-ed25519")).issuer == "hotline-a"


def test_every_signing_has_its_own_nonce() -> None:
    assert verify(signed()).nonce != verify(signed()).nonce


def test_same_request_has_same_fingerprint() -> None:
    first = signed(nonce="nonce-0123456789")
    headers = dict(first.headers)
    relabelled = replace(
        first,
        headers=tuple(
            (n, v.replace("sig1=", "other=") if n.startswith("Signature") else v) for n, v in headers.items()
        ),
    )
    assert verify(first).request_sha256 == verify(relabelled).request_sha256
    assert verify(first).request_sha256 != verify(signed(nonce="nonce-other-6789")).request_sha256
    assert verify(first).request_sha256 != verify(signed(BODY + b" ", nonce="nonce-0123456789")).request_sha256


def test_idempotency_key_is_covered_when_sent() -> None:
    assert "idempotency-key" in verify(signed(idempotency_key='"k"')).covered


def test_claimed_key_is_read_cheaply() -> None:
    assert claimed_key_id(signed()) == "a-ed25519"
    assert claimed_key_id(replace(signed(), headers=())) is None
    assert claimed_key_id(replace(signed(), headers=(("Signature", "x" * 9000),))) is None


def test_notice_is_bound_to_its_signer() -> None:
    verified = verify(signed())
    assert bind_notice(verified, parse_notice(BODY)).notice.notice_id == NOTICE["notice_id"]
    with pytest.raises(BindingError, match="not the issuer"):
        bind_notice(verified, parse_notice(body_of({**NOTICE, "issuer": "hotline-b"})))
    with pytest.raises(BindingError, match="not the one that was signed"):
        bind_notice(verified, parse_notice(BODY + b" "))


def test_direction_is_bound_to_its_signer() -> None:
    direction = {
        "schema": "takedown-direction/1",
        "direction_id": "d",
        "issuer": "hotline-a",
        "issued_at": "2026-11-22T09:30:00Z",
        "direction": "withdraw",
    }
    body = body_of(direction)
    assert bind_direction(verify(signed(body)), parse_direction(body)).direction.direction == "withdraw"
    with pytest.raises(BindingError):
        bind_direction(verify(signed()), parse_direction(body))


def test_verified_values_cannot_be_forged() -> None:
    verified = verify(signed())
    with pytest.raises(TypeError, match=r"verification\.policy"):
        VerifiedNotice(verified=verified, notice=parse_notice(BODY), proof=object())
    with pytest.raises((TypeError, ValueError)):
        replace(verified, issuer="hotline-b")  # type: ignore[call-arg]  # that is what must fail


def test_only_policy_holds_the_proof() -> None:
    root = Path(__file__).parents[3]
    holders = {
        path.relative_to(root).as_posix()
        for path in (root / "receiver").rglob("*.py")
        if re.search(r"\bPROOF\b", path.read_text(encoding="utf-8"))
    }
    assert holders == {"receiver/domain/notice.py", "receiver/verification/policy.py"}


def test_no_url_or_secret_in_any_repr() -> None:
    verified = verify(signed())
    notice = parse_notice(BODY)
    shown = repr(verified) + repr(bind_notice(verified, notice)) + repr(notice)
    assert "img.example.net" not in shown
    assert "private=1" not in shown
