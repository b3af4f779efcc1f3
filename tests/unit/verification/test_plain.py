"""A base that we put together is the one the library verifies, and what is not plain is left to the library."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.verification.fields import parse_signatures
from receiver.verification.keys import Algorithm
from receiver.verification.mechanics import (
    Lines,
    RequestMessage,
    ResponseMessage,
    SignatureParams,
    content_digest,
    sign,
    sign_bytes,
    verify_signature,
)
from receiver.verification.plain import base_of, plain_label, plain_params, plain_request, plain_response
from receiver.verification.signing import receipt_components
from tests.vectors.keys import ed25519_key

KEY = ed25519_key("receiver response")
AT = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)
URL = "https://notices.host.example/v1/notices"
NAMES = ("@method", "@target-uri", "content-type", "content-digest", "idempotency-key")
PARAMS: dict[str, str | int | None] = {
    "created": 1,
    "keyid": "k",
    "alg": "ed25519",
    "expires": None,
    "nonce": "n",
    "tag": "t",
}
TEXT = st.text(st.characters(max_codepoint=0x17F), max_size=8)
VALUES = TEXT | st.sampled_from(["application/json; charset=utf-8", content_digest(b""), " a  b\t", "a\tb", "a\r\n b"])
HEADERS = st.lists(st.tuples(st.sampled_from(["Content-Type", "content-digest", "Idempotency-Key", "X"]), VALUES))
URLS = st.sampled_from([URL, f"{URL}?a=b&c?", "http://h.example:8080/", "https://[::1]/a", "https://H/a", "https://h"])
MESSAGES = st.builds(
    lambda method, url, more, lines: RequestMessage(method=method, url=url + more, headers=Lines(lines)),
    st.sampled_from(["POST", "GET", "Post"]),
    URLS,
    st.just("") | TEXT,
    HEADERS,
)
SIGNED = ("Signature", "sig1=:AAAA:")


def request(url: str = URL, method: str = "POST", lines: Sequence[tuple[str, str]] = (SIGNED,)) -> RequestMessage:
    return RequestMessage(method=method, url=url, headers=Lines(lines))


def response(*lines: tuple[str, str]) -> ResponseMessage:
    return ResponseMessage(status_code=202, headers=Lines([("Content-Type", "a/b")]), request=request(lines=lines))


def signature_lines(components: dict[str, str], text: str) -> list[tuple[str, str]]:
    made = sign_bytes(base_of(components, text), algorithm=Algorithm.ED25519, private_key=KEY)
    return [("Signature-Input", f"sig1={text}"), ("Signature", f"sig1=:{base64.b64encode(made).decode()}:")]


def library_verifies(message: RequestMessage | ResponseMessage) -> dict[str, str]:
    return verify_signature(message, tag="t", label="sig1", algorithm=Algorithm.ED25519, public_key=KEY.public_key())


@given(MESSAGES, st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
def test_library_verifies_our_base(message: RequestMessage, names: list[str]) -> None:
    plain = plain_request(message, names)
    text = plain_params([f'"{name}"' for name in names], PARAMS)
    if plain is None or text is None:
        return
    lines = Lines([*message.headers.items(), *signature_lines(plain, text)])
    assert library_verifies(RequestMessage(method=message.method, url=message.url, headers=lines)) == plain


@given(TEXT | st.just("application/json"), st.binary(max_size=40))
def test_library_verifies_our_receipt(content_type: str, signature: bytes) -> None:
    asked = request(lines=[("Signature", f"sig1=:{base64.b64encode(signature).decode()}:")])
    headers = [("Content-Type", content_type), ("Content-Digest", content_digest(b"x"))]
    identifiers = receipt_components("sig1")
    plain = plain_response(ResponseMessage(status_code=202, headers=Lines(headers), request=asked), identifiers)
    text = plain_params(identifiers, PARAMS)
    if plain is None or text is None:
        return
    lines = Lines([*headers, *signature_lines(plain, text)])
    assert library_verifies(ResponseMessage(status_code=202, headers=lines, request=asked)) == plain


def test_ordinary_messages_are_plain() -> None:
    headers = [("Content-Type", "application/json"), ("Content-Digest", content_digest(b"x"))]
    assert plain_request(request(lines=headers), NAMES[:4]) is not None
    answer = ResponseMessage(status_code=202, headers=Lines(headers), request=request())
    assert plain_response(answer, receipt_components("sig1")) is not None


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (request(method="Post"), "@method"),
        (request(url="http://h.example:a/", lines=[("Content-Type", "a/b")]), "content-type"),
        (request(url="https://u@notices.host.example/"), "@target-uri"),
        (request(url="https://notices.host.example"), "@target-uri"),
        (request(url=URL + "#a"), "@target-uri"),
        (request(url="https://[::1]/"), "@target-uri"),
        (request(url=URL + "/%zz"), "@target-uri"),
        (request(), "@authority"),
        (request(), "content-type"),
        (request(lines=[("Date", "today")]), "date"),
        (request(lines=[("Content-Type", "a/b"), ("content-type", "a/b")]), "content-type"),
        (request(lines=[("Content-Type", "")]), "content-type"),
        (request(lines=[("Content-Type", "a/b;\tc")]), "content-type"),
        (request(lines=[("Content-Type", "a/\xe4")]), "content-type"),
        (request(lines=[("Content-Type", "a/b\r\n c")]), "content-type"),
    ],
)
def test_odd_part_is_left_to_library(message: RequestMessage, name: str) -> None:
    assert plain_request(message, ["@method", name] if name != "@method" else [name]) is None


@pytest.mark.parametrize(
    ("message", "identifier"),
    [
        (response(), '"signature";req;key="sig1"'),
        (response(SIGNED, SIGNED), '"signature";req;key="sig1"'),
        (response(SIGNED), '"signature";req;key="sig2"'),
        (response(("Signature", "sig1=:AAAA:, sig2=:AAAA:")), '"signature";req;key="sig1"'),
        (response(("Signature", "sig1=:AAAA:;a=1")), '"signature";req;key="sig1"'),
        (response(("Signature", "sig1=:AAB=:")), '"signature";req;key="sig1"'),
        (response(("Signature", "sig1=:AAAAA:")), '"signature";req;key="sig1"'),
        (response(SIGNED), '"signature";req'),
        (response(SIGNED), '"@path";req'),
        (response(SIGNED), '"@method"'),
        (response(SIGNED), '"content-type";sf'),
    ],
)
def test_odd_answer_is_left_to_library(message: ResponseMessage, identifier: str) -> None:
    assert plain_response(message, [identifier]) is None


def test_component_twice_is_not_plain() -> None:
    assert plain_request(request(), ["@method", "@method"]) is None


def test_answer_to_odd_request_is_not_plain() -> None:
    answer = ResponseMessage(status_code=202, headers=Lines([]), request=request(method="Post"))
    assert plain_response(answer, ['"@status"']) is None


def test_text_with_escapes_is_not_plain() -> None:
    assert plain_params([], {**PARAMS, "nonce": 'a"b'}) is None
    assert plain_params([], {**PARAMS, "keyid": "\\"}) is None
    assert not plain_label("Sig")


def test_params_are_written_canonically() -> None:
    text = plain_params(['"@method"'], PARAMS)
    assert text == '("@method");created=1;keyid="k";alg="ed25519";nonce="n";tag="t"'
    (parsed,) = parse_signatures([("Signature-Input", f"sig1={text}"), SIGNED], max_signatures=1)
    assert parsed.params_text == text


@pytest.mark.parametrize(("nonce", "label"), [("n", "*a-b.c_9"), ('n"\\', "sig1"), (None, "sig1")])
def test_both_ways_of_signing_verify(nonce: str | None, label: str) -> None:
    params = SignatureParams(tag="t", created_at=AT, expires_at=AT, nonce=nonce, label=label)
    made = sign(
        request(), key_id="k", algorithm=Algorithm.ED25519, private_key=KEY, covered=("@method",), params=params
    )
    lines = [*made.items()]
    (parsed,) = parse_signatures(lines, max_signatures=1)
    assert (parsed.label, parsed.params.get("nonce"), parsed.params["expires"]) == (label, nonce, int(AT.timestamp()))
    whole = request(lines=lines)
    assert verify_signature(whole, tag="t", label=label, algorithm=Algorithm.ED25519, public_key=KEY.public_key())
