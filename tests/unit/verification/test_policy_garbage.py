"""Changed bytes, garbage and odd headers are refused, and never end in an error of another kind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies._internal.core import DataObject

from receiver.domain.notice import UnverifiedRequest
from receiver.verification.errors import VerificationError
from tests.unit.verification.signed_notices import signed, verify


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
