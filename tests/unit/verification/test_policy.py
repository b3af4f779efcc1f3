"""What a verified request says, what is stored of it, and what cannot be made."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies._internal.core import DataObject
from requests_http_signature import HTTPSignatureAuth, algorithms

from receiver.client.signing import sign_notice
from receiver.domain.notice import UnverifiedRequest, VerifiedNotice, VerifiedRequest
from receiver.domain.rows import MessageRow
from receiver.intake.direction import parse_direction
from receiver.intake.notice import parse_notice
from receiver.verification.errors import BindingError, VerificationError
from receiver.verification.keys import KeyRing, KeyStatus
from receiver.verification.policy import (
    bind_direction,
    bind_notice,
    claimed_key_id,
    storable,
    verify_request,
    verify_stored,
)
from tests.vectors.base import BODY, NOTICE, body_of
from tests.vectors.keys import ed25519_key, key_records, p256_key, rsa_key
from tests.vectors.signer import PrivateKey

NOW = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)
ORIGINS = ("https://notices.host.example",)
URL = "https://notices.host.example/v1/notices"
RING = KeyRing(key_records())
LATER = NOW + dt.timedelta(hours=5)


def signed(
    body: bytes = BODY, *, key: PrivateKey | None = None, key_id: str = "a-ed25519", url: str = URL, **more: Any
) -> UnverifiedRequest:
    headers = sign_notice("POST", url, body, key or ed25519_key("a"), key_id, now=NOW, **more)
    target = url.removeprefix(ORIGINS[0])
    lines = (("Host", "notices.host.example"), ("Cookie", "private=1"), *headers.items())
    return UnverifiedRequest(method="POST", target=target, headers=lines, body=body)


def verify(request: UnverifiedRequest, *, now: dt.datetime = NOW, ring: KeyRing = RING) -> VerifiedRequest:
    return verify_request(request, origins=ORIGINS, register=ring, now=now)


def stored(verified: VerifiedRequest, **changes: Any) -> MessageRow:
    fields = {
        "id": "m",
        "channel": "http",
        "issuer": verified.issuer,
        "body": verified.request.body,
        "sha256": "",
        "signature_input": verified.signature_input,
        "signature": verified.signature,
        "covered": storable(verified),
        "key_thumbprint": verified.key_thumbprint,
        "created_at": 0,
    }
    return MessageRow(**{**fields, **changes})


def again(
    message: MessageRow, *, ring: KeyRing = RING, received_at: dt.datetime = NOW, now: dt.datetime = LATER
) -> VerifiedRequest:
    return verify_stored(message, origins=ORIGINS, register=ring, received_at=received_at, now=now)


def ring_with(key_id: str, **changes: Any) -> KeyRing:
    return KeyRing([replace(r, **changes) if r.key_id == key_id else r for r in key_records()])


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


def test_stored_request_verifies_again() -> None:
    verified = verify(signed())
    second = again(stored(verified))
    assert second.request_sha256 == verified.request_sha256
    assert "private" not in str(storable(verified))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body": BODY + b" "}, "bad-digest"),
        ({"issuer": "hotline-b"}, "stored-issuer-differs"),
        ({"covered": {}}, "stored-request-malformed"),
        ({"covered": {"method": "POST", "target": "/", "headers": [["a"]]}}, "stored-request-malformed"),
        ({"covered": {"method": "POST", "target": "/", "headers": 7}}, "stored-request-malformed"),
    ],
)
def test_tampered_row_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(VerificationError, match=reason):
        again(stored(verify(signed()), **changes))


def test_row_received_too_late_is_refused() -> None:
    message = stored(verify(signed()))
    with pytest.raises(VerificationError, match="expired"):
        again(message, received_at=NOW + dt.timedelta(seconds=331))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": KeyStatus.REVOKED}, "key-revoked"),
        ({"revoked_at": LATER}, "key-revoked"),
        ({"status": KeyStatus.PENDING}, "key-pending"),
        ({"not_after": NOW - dt.timedelta(seconds=1)}, "key-expired"),
    ],
)
def test_stored_request_of_bad_key_is_refused(changes: dict[str, Any], reason: str) -> None:
    message = stored(verify(signed()))
    with pytest.raises(VerificationError, match=reason):
        again(message, ring=ring_with("a-ed25519", **changes))


def test_stored_request_outlives_key_retirement() -> None:
    message = stored(verify(signed()))
    retired = ring_with("a-ed25519", status=KeyStatus.RETIRED)
    assert again(message, ring=retired).issuer == "hotline-a"
    with pytest.raises(VerificationError, match="key-retired"):
        verify(signed(), ring=retired)


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


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_one_changed_byte_never_passes(data: DataObject) -> None:
    request = SIGNED
    where = data.draw(st.sampled_from(["body", "target", *(n for n, _ in request.headers if n != "Cookie")]))
    text = {"body": request.body.decode(), "target": request.target, **dict(request.headers)}[where]
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(min_codepoint=32, max_codepoint=255).filter(lambda c: c != text[at]))
    changed = text[:at] + letter + text[at + 1 :]
    lines = tuple((n, changed if n == where else v) for n, v in request.headers)
    mutant = replace(
        request,
        headers=lines,
        body=changed.encode() if where == "body" else request.body,
        target=changed if where == "target" else request.target,
    )
    try:
        verified = verify(mutant)
    except VerificationError:
        return
    # Letters that mean the same may change (host and media type case, base64 padding bits), nothing else.
    original = verify(request)
    assert verified.request.body == original.request.body
    assert dict(verified.covered) == dict(original.covered)
    assert verified.request_sha256 == original.request_sha256


SIGNED = signed(nonce="nonce-0123456789")
HEADER_TEXT = st.text(st.characters(min_codepoint=0, max_codepoint=300), max_size=60)


@given(
    st.sampled_from(["POST", "GET", "post", ""]) | HEADER_TEXT,
    st.sampled_from(["/v1/notices", "*"]) | HEADER_TEXT,
    st.lists(
        st.tuples(st.sampled_from(["Host", "Signature", "Signature-Input", "Content-Type"]) | HEADER_TEXT, HEADER_TEXT)
    ),
    st.binary(max_size=20),
)
@settings(max_examples=300, deadline=None)
def test_any_garbage_is_refused_in_family(method: str, target: str, lines: list[tuple[str, str]], body: bytes) -> None:
    garbage = UnverifiedRequest(method=method, target=target, headers=tuple(lines), body=body)
    with pytest.raises(VerificationError):
        verify(garbage)


SF_TEXT = st.text(st.sampled_from('sig1=(")@method;crtdkeyn,: 0123456789.?*%'), max_size=80)


@given(SF_TEXT, SF_TEXT)
@settings(max_examples=300, deadline=None)
def test_odd_signature_headers_are_refused(given_input: str, signature: str) -> None:
    lines = [(n, v) for n, v in SIGNED.headers if not n.startswith("Signature")]
    odd = replace(SIGNED, headers=(*lines, ("Signature-Input", given_input), ("Signature", signature)))
    with pytest.raises(VerificationError) as caught:
        verify(odd)
    assert caught.value.status == 401
