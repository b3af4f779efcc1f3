"""Harnesses of what strangers and issuers send."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import io
import ipaddress
import json
from typing import Any

import can_ada

from receiver.api.app import sender_of
from receiver.api.raw import read_request
from receiver.domain.canonical import canonical_json, load_json
from receiver.domain.ids import parse_case_code
from receiver.domain.notice import UnverifiedRequest
from receiver.domain.strict_json import MAX_DEPTH, StrictJsonError, load_strict_json
from receiver.intake.direction import parse_direction
from receiver.intake.errors import IntakeError
from receiver.intake.notice import parse_notice
from receiver.intake.same import same_notice
from receiver.intake.times import parse_rfc3339
from receiver.resolution.protection import Protected, is_protected
from receiver.resolution.routes import Route, RouteTable
from receiver.resolution.urls import UrlRefusedError, canonical_url
from receiver.services.errors import RefusedError
from receiver.steps.received_rows import host_of
from receiver.verification.errors import KeyRefusedError, VerificationError
from receiver.verification.fields import parse_signatures
from receiver.verification.jwk import KEY_ID_PATTERN, load_jwks
from receiver.verification.mechanics import check_digest
from receiver.verification.policy import verify_request
from tests.faults.fuzz.harness import harness, must, pieces, text
from tests.vectors.base import BODY, GOOD, NOTICE, body_of
from tests.vectors.generate import NOW, ORIGINS
from tests.vectors.keys import key_set_a
from tests.vectors.run import request_of, ring

GOOD_REQUEST = GOOD.finish()
RING = ring()
MOMENT = dt.datetime.fromisoformat(NOW)
DIRECTION = {
    "schema": "takedown-direction/1",
    "direction_id": "D",
    "issuer": "hotline-a",
    "issued_at": NOW,
    "direction": "hold",
    "items": ["1"],
    "until": NOW,
}
URLS = (
    b"https://img.example.net/a/b.jpg?x=1#f",
    b"http://u:p@[2001:db8::1]:8080/%2e%2e/\\",
    b"https://0x7f.1/",
    "https://b\u00fccher.example./\u00fc".encode(),
    b"https://xn--bcher-kva.example/a//b/../c?",
    b"javascript:alert(1)",
    b"https://127.0.0.1%00.example/",
)


@harness(
    "receiver/domain/strict_json.py:load_strict_json",
    seeds=(BODY, b'[1e999,"\\ud800",{"a":1,"a":2}]', b"\xef\xbb\xbf{}", b'"\\"\\"\\"'),
)
def strict_json(data: bytes) -> None:
    # The same bytes many times over, since what is slow is slow in the length only.
    for given in (data, data[:64] * (200_000 // max(1, len(data[:64])))):
        with contextlib.suppress(StrictJsonError):
            value = load_strict_json(given)
            must(value == json.loads(given), "another value than the standard library reads")
            must(deepest(value) <= MAX_DEPTH, "deeper than allowed")
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def deepest(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(deepest, inner), default=0)


@harness(
    "receiver/domain/canonical.py:load_json",
    "receiver/domain/canonical.py:_decoded",
    seeds=(BODY, b'{"b":[1,null,true],"a":{"b64":"AAAA"}}', b'{"b64":"AA=="}', b'{"b64":"AB=="}'),
)
def canonical(data: bytes) -> None:
    try:
        value = load_strict_json(data)
        form = canonical_json(load_json(canonical_json(value)))
    except (StrictJsonError, ValueError, TypeError):
        return  # no JSON of ours: fractions, or base64 that we did not write
    must(canonical_json(load_json(form)) == form, "canonical is not its own canonical form")
    with contextlib.suppress(ValueError):
        load_json(data)


@harness(
    "receiver/intake/notice.py:load_document",
    "receiver/intake/members.py:address",
    seeds=(BODY, body_of({**NOTICE, "extensions": {"x": [1]}, "handling": {"act": "preserve_only"}}), b"[]"),
)
def notice_body(data: bytes) -> None:
    with contextlib.suppress(IntakeError):
        notice = parse_notice(data)
        must(notice.raw == data, "other bytes than were read")
        must(1 <= len(notice.items) <= 250, "no number of items")
        must(len({item.item_id for item in notice.items}) == len(notice.items), "an item id twice")
        must(same_notice(data, data + b" "), "not the same with a blank behind")


@harness("receiver/intake/notice.py:load_document", seeds=(body_of(DIRECTION), b"{}"))
def direction_body(data: bytes) -> None:
    with contextlib.suppress(IntakeError):
        must(parse_direction(data).raw == data, "other bytes than were read")


@harness("receiver/intake/same.py:same_notice", seeds=(BODY + b"\0" + BODY, b'{"a":1}\0{"a":1.0}', b"1\0" + b"9" * 20))
def sameness(data: bytes) -> None:
    one, other = pieces(data, 2)
    must(same_notice(one, other) is same_notice(other, one), "the same one way only")
    must(same_notice(one, one), "not the same as itself")


@harness("receiver/intake/times.py:parse_rfc3339", seeds=(NOW.encode(), b"0001-01-01T00:00:00+23:59"))
def times(data: bytes) -> None:
    moment = parse_rfc3339(text(data))
    if moment is not None:
        must(moment.tzinfo is dt.UTC, "not UTC")
        must(parse_rfc3339(moment.isoformat().replace("+00:00", "Z")) == moment, "another time when written again")


HEADERS = ("signature-input", "signature")
SIGNED = {name.lower(): value.encode("latin-1") for name, value in GOOD_REQUEST["headers"]}


@harness(
    "receiver/verification/fields.py:_dictionary",
    seeds=(SIGNED["signature-input"] + b"\0" + SIGNED["signature"], b'a=("@path";req);x=1.5, b=()\0a=:AA==:, b=:AA==:'),
)
def signature_headers(data: bytes) -> None:
    lines = [(name, part.decode("latin-1")) for name, part in zip(HEADERS, pieces(data, 2), strict=True)]
    with contextlib.suppress(VerificationError):
        for found in parse_signatures(lines, max_signatures=4):
            (again,) = parse_signatures(found.as_headers(), max_signatures=4)
            must(again == found, "another signature when written again")


@harness(
    "receiver/verification/wellformed.py:choose_origin",
    "receiver/verification/wellformed.py:check_content",
    seeds=(
        b"POST /v1/notices\n"
        + b"\n".join(f"{name}: {value}".encode("latin-1") for name, value in GOOD_REQUEST["headers"]),
        b"GET /v1/notices/x?y\nHost: notices.host.example:443\nIdempotency-Key: 1",
    ),
)
def signature_policy(data: bytes) -> None:
    first, *rest = data.decode("latin-1").split("\n")
    method, _, target = first.partition(" ")
    lines = tuple((name, value.strip(" ")) for name, _, value in (line.partition(":") for line in rest))
    made = UnverifiedRequest(method=method, target=target, headers=lines, body=BODY)
    with contextlib.suppress(VerificationError):
        verified = verify_request(made, origins=tuple(ORIGINS), register=RING, now=MOMENT)
        good = request_of({"request": GOOD_REQUEST})
        must((verified.request.method, verified.target_uri) == (good.method, ORIGINS[0] + good.target), "it was forged")
        must((verified.issuer, verified.nonce) == ("hotline-a", "nonce-0123456789abcdef"), "it was forged")


@harness(
    "receiver/verification/fields.py:_dictionary",
    seeds=(SIGNED["content-digest"] + b"\0" + BODY, b"sha-256=:AAAA:, sha-512=:AAAA:\0x"),
)
def content_digest(data: bytes) -> None:
    value, body = pieces(data, 2)
    with contextlib.suppress(VerificationError):
        check_digest(value.decode("latin-1"), body)
        true = [base64.b64encode(hashlib.new(name, body).digest()) for name in ("sha256", "sha512")]
        must(any(digest in value for digest in true), "a digest of another body")


@harness(
    "receiver/resolution/urls.py:canonical_url",
    "receiver/resolution/urls.py:_read_twice",
    "receiver/resolution/urls.py:_address",
    "receiver/resolution/urls.py:_a_label",
    "receiver/steps/received_rows.py:host_of",
    seeds=URLS,
)
def urls(data: bytes) -> None:
    raw = text(data)
    host_of(raw)
    with contextlib.suppress(UrlRefusedError):
        found = canonical_url(raw)
        again = canonical_url(found.url)
        must((again.url, again.host, again.path) == (found.url, found.host, found.path), "no canonical form of itself")
        must(can_ada.parse(raw).hostname.strip("[]").removesuffix(".") == found.host, "browsers go to another host")
        must(found.scheme in ("http", "https"), "another scheme")
        must(found.url.isascii() and not any(letter <= " " for letter in found.url), "blanks or letters beyond ASCII")


ROUTES = RouteTable(
    [
        Route(host="img.example.net", customer="a", path="/a", storage="s", key="a/{rest}"),
        Route(host="*.example.net", customer="b", path="/", storage="s", key="b/{sub}/{path}"),
        Route(host="files.example", customer="c", path="/c/", storage="s", key="{host}/{rest}"),
    ]
)
PROTECTED = (Protected.parse("https://img.example.net/keep/"), Protected.parse("https://files.example/c/keep"))

PROTECTIONS = (None, "protected_prefix", "front_page", "index", "shared_asset")


@harness(
    "receiver/resolution/routes.py:lookup",
    "receiver/resolution/routes.py:_is_address",
    "receiver/resolution/routes.py:_is_route_host",
    seeds=(*URLS, b"https://img.example.net/a/../b", b"https://x.y.example.net/c%2fd", b"https://files.example/c//d"),
)
def routes(data: bytes) -> None:
    with contextlib.suppress(UrlRefusedError):
        url = canonical_url(text(data))
        hit = ROUTES.resolve(url)
        must(is_protected(url, PROTECTED) in PROTECTIONS, "an unknown reason")
        if hit is not None and hit.ref is not None:
            start = {"a": b"a/", "b": b"b/", "c": b"files.example/"}[hit.customer]
            must(hit.ref.locator.startswith(start), "outside the customer's part")
            must(not {b".", b".."} & set(hit.ref.locator.split(b"/")), "dots in a name")


@harness(
    "receiver/verification/jwk.py:load_jwks",
    "receiver/verification/jwk.py:_decode",
    "receiver/verification/jwk.py:_read_time",
    seeds=(body_of(key_set_a()), *(body_of({"keys": [key]}) for key in key_set_a()["keys"]), b'{"keys":[{}]}'),
)
def key_set(data: bytes) -> None:
    with contextlib.suppress(KeyRefusedError):
        for record in load_jwks("hotline-a", data):
            must(KEY_ID_PATTERN.fullmatch(record.key_id), "an odd key id")
            must(record.issuer == "hotline-a", "another issuer")


@harness("receiver/api/raw.py:_read_body", seeds=(b"4\0chunked\0body", b"\0\0", b"+1\0\0x", b"9" * 30 + b"\0\0x"))
def raw_request(data: bytes) -> None:
    length, coding, body = pieces(data, 3)
    environ: dict[str, Any] = {"REQUEST_METHOD": "POST", "RAW_URI": "/", "wsgi.input": io.BytesIO(body)}
    if length:
        environ["CONTENT_LENGTH"] = length.decode("latin-1")
    if coding:
        environ["HTTP_TRANSFER_ENCODING"] = coding.decode("latin-1")
    with contextlib.suppress(RefusedError):
        found = read_request(environ, max_body_bytes=1000)
        must(len(found.body) <= 1000, "more than the limit")
        must(not length or len(found.body) == int(length), "another length than announced")


@harness("receiver/api/app.py:sender_of", "receiver/domain/ids.py:parse_case_code", seeds=(b"192.0.2.1", b"K7QX-93FM"))
def small_words(data: bytes) -> None:
    sender = sender_of(text(data))
    must(sender == "unknown" or ipaddress.ip_network(sender, strict=False), "no sender")
    code = parse_case_code(text(data))
    must(code is None or parse_case_code(code) == code, "a code that is another when read again")
