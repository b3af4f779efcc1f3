"""Requests refused before any key is looked at: sizes, form, authority, media type."""

from __future__ import annotations

from typing import Any

from tests.vectors.base import BODY, GOOD, STATUS, Case, bad
from tests.vectors.signer import HOST, b64, header, with_header, with_line


def cases() -> list[Case]:
    return [*_sizes(), *_targets(), *_headers(), *_authority(), *_media()]


def _sizes() -> list[Case]:
    made = GOOD.finish()
    huge = with_header(made, "Signature-Input", header(made, "Signature-Input") + ";x" * 4200)
    return [
        bad("headers-over-32-kib", 431, "headers-too-large", with_line(made, "X-Long", "x" * 33_000)),
        bad("many-headers-over-32-kib", 431, "headers-too-large", _many_lines()),
        bad("target-over-32-kib", 431, "headers-too-large", GOOD.but(target="/" + "a" * 33_000)),
        bad("signature-input-over-8-kib", 431, "signature-headers-too-large", huge),
        bad(
            "signature-over-8-kib",
            431,
            "signature-headers-too-large",
            with_header(made, "Signature", f"sig1=:{b64(bytes(6200))}:"),
        ),
        bad("body-over-the-limit", 413, "body-too-large", {**made, "body_repeat": 1_048_577, "body": b64(b" ")}),
    ]


def _many_lines() -> dict[str, Any]:
    made = GOOD.finish()
    return {**made, "headers": [*made["headers"], *[[f"X-{n}", "y" * 20] for n in range(1300)]]}


def _targets() -> list[Case]:
    targets = {
        "absolute-form-target": f"https://{HOST}/v1/notices",
        "absolute-form-foreign-target": "https://other.example/v1/notices",
        "asterisk-target": "*",
        "authority-form-target": f"{HOST}:443",
        "empty-target": "",
        "target-with-fragment": "/v1/notices#x",
        "target-with-space": "/v1/notices x",
        "target-with-tab": "/v1/notices\t",
        "target-beyond-ascii": "/v1/n\u00f6tices",
        "target-with-broken-escape": "/v1/notices%2",
        "target-with-bad-hex": "/v1/notices%zz",
        "target-starting-with-two-slashes": "//other.example/v1/notices",
        "target-with-backslash": "/v1\\notices",
        "target-with-line-end": "/v1/notices\r\nX: y",
        "target-with-brackets": "/v1/notices?x[]=1",
        "target-with-quote": '/v1/notices?"',
    }
    methods = {
        "method-in-small-letters": "post",
        "method-put": "PUT",
        "method-delete": "DELETE",
        "method-head": "HEAD",
        "method-with-space": "POST ",
        "method-empty": "",
    }
    return [
        *(bad(name, 400, "target-not-origin-form", GOOD.but(target=target)) for name, target in targets.items()),
        *(bad(name, 400, "method-not-taken", GOOD.but(method=method)) for name, method in methods.items()),
    ]


def _headers() -> list[Case]:
    made = GOOD.finish()
    lines = {
        "header-name-with-space": ("X Y", "1"),
        "header-name-with-colon": ("X:", "1"),
        "header-name-empty": ("", "1"),
        "header-name-beyond-ascii": ("X-\u00e9", "1"),
        "header-value-with-nul": ("X-A", "a\x00b"),
        "header-value-with-line-end": ("X-A", "a\r\nHost: evil.example"),
        "header-value-with-bare-line-feed": ("X-A", "a\nb"),
        "header-value-with-bare-return": ("X-A", "a\rb"),
        "header-value-with-delete": ("X-A", "a\x7fb"),
        "header-value-folded": ("X-A", "a\r\n b"),
    }
    twice = {
        "two-hosts": ("Host", HOST),
        "two-content-types": ("Content-Type", "application/json"),
        "two-content-digests": ("Content-Digest", header(made, "Content-Digest")),
    }
    twins = {
        "two-content-lengths": ("Content-Length", str(len(BODY))),
        "two-content-encodings": ("Content-Encoding", "identity"),
        "two-idempotency-keys": ("Idempotency-Key", '"a"'),
    }
    lengths = {
        "content-length-too-short": str(len(BODY) - 1),
        "content-length-too-long": str(len(BODY) + 1),
        "content-length-negative": "-1",
        "content-length-with-sign": f"+{len(BODY)}",
        "content-length-in-words": "many",
        "content-length-as-list": f"{len(BODY)}, {len(BODY)}",
        "content-length-empty": "",
    }
    both = with_line(with_line(made, "Content-Length", str(len(BODY))), "Transfer-Encoding", "chunked")
    return [
        *(bad(name, 400, "malformed-header", with_line(made, *line)) for name, line in lines.items()),
        *(bad(name, 400, "repeated-header", with_line(made, *line)) for name, line in twice.items()),
        *(bad(name, 400, "repeated-header", with_line(with_line(made, *ln), *ln)) for name, ln in twins.items()),
        *(bad(name, 400, "wrong-length", with_line(made, "Content-Length", n)) for name, n in lengths.items()),
        bad("content-length-and-chunked", 400, "two-lengths", both),
        bad("coding-beside-chunked", 400, "transfer-coding", with_line(made, "Transfer-Encoding", "gzip, chunked")),
        bad("coding-instead-of-chunked", 400, "transfer-coding", with_line(made, "Transfer-Encoding", "gzip")),
        bad("get-with-a-body", 400, "body-not-expected", GOOD.but(method="GET")),
        bad("host-missing", 400, "no-host", GOOD.but(host=None)),
        bad("host-empty", 400, "no-host", GOOD.but(host="")),
    ]


def _authority() -> list[Case]:
    hosts = {
        "host-of-another-provider": "notices.other.example",
        "host-with-foreign-port": f"{HOST}:8443",
        "host-with-port-of-plain-http": f"{HOST}:80",
        "host-that-contains-ours": f"{HOST}.evil.example",
        "host-below-ours": f"a.{HOST}",
        "host-with-user-name": f"evil@{HOST}",
        "host-with-final-dot": f"{HOST}.",
        "host-as-address": "192.0.2.1",
        "host-with-path": f"{HOST}/v1",
        "host-as-list": f"{HOST}, {HOST}",
    }
    forwarded = GOOD.but(host="notices.other.example")
    return [
        *(bad(name, 421, "foreign-authority", GOOD.but(host=host)) for name, host in hosts.items()),
        bad(
            "forwarded-host-is-not-believed",
            421,
            "foreign-authority",
            forwarded.but(extra=(("X-Forwarded-Host", HOST),)),
        ),
        bad(
            "forwarded-is-not-believed", 421, "foreign-authority", forwarded.but(extra=(("Forwarded", f"host={HOST}"),))
        ),
        bad(
            "signed-for-another-provider-and-sent-with-its-host",
            421,
            "foreign-authority",
            forwarded.but(origin="https://notices.other.example"),
        ),
        bad("status-question-to-foreign-host", 421, "foreign-authority", STATUS.but(host="other.example")),
    ]


def _media() -> list[Case]:
    codings = {
        "coding-gzip": "gzip",
        "coding-br": "br",
        "coding-two": "identity, gzip",
        "coding-unknown": "x-nothing",
        "coding-empty": "",
    }
    types = {
        "type-text": "text/plain",
        "type-with-json-suffix": "application/problem+json",
        "type-that-starts-alike": "application/jsonx",
        "type-form": "application/x-www-form-urlencoded",
        "type-multipart": "multipart/form-data; boundary=x",
        "type-of-callbacks": "application/cloudevents+json",
        "type-twice-in-one-line": "application/json,application/json",
        "type-empty": "",
    }
    charsets = {
        "charset-latin-1": "application/json; charset=iso-8859-1",
        "charset-utf-16": "application/json; charset=utf-16",
        "charset-twice": "application/json; charset=utf-8; charset=utf-16",
        "charset-half-quoted": 'application/json; charset="utf-8',
        "type-with-unknown-parameter": "application/json; profile=x",
        "type-with-stray-semicolon": "application/json;",
    }
    return [
        *(bad(n, 415, "content-encoding", GOOD.but(extra=(("Content-Encoding", c),))) for n, c in codings.items()),
        *(bad(n, 415, "content-type", GOOD.but(content_type=t)) for n, t in types.items()),
        *(bad(n, 415, "charset", GOOD.but(content_type=c)) for n, c in charsets.items()),
        bad("type-missing", 415, "content-type", with_header(GOOD.finish(), "Content-Type", None)),
    ]
