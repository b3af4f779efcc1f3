"""Requests that no policy function can be handed: broken on the connection itself. All are well signed, so that one
that is taken by mistake shows as a notice."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.vectors.base import GOOD, NOTICE, body_of
from tests.vectors.signer import HOST, Draft

CLOSE = "Connection: close"
CHUNKED = "Transfer-Encoding: chunked"
_COUNT = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Raw:
    """`answers`: the status of each answer in turn; none means that the server just closes."""

    name: str
    data: bytes
    answers: tuple[int, ...]
    problem: str = ""

    @property
    def taken(self) -> bool:
        return 202 in self.answers


def draft(**changes: Any) -> Draft:
    """Another notice with another nonce at each call."""
    number = next(_COUNT)
    body = body_of({**NOTICE, "notice_id": f"W-{number}"})
    return GOOD.but(body=body, params=(("nonce", f'"wire-nonce-{number:08d}"'),)).but(**changes)


def raw(
    made: Draft,
    *,
    first: str | None = None,
    length: str | None = "right",
    add: Iterable[str] = (),
    body: bytes | None = None,
    line_end: str = "\r\n",
    close: bool = True,
) -> bytes:
    request = made.finish()
    content = made.body if body is None else body
    lines = [first or f"{request['method']} {request['target']} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request["headers"]]
    if length is not None:
        lines.append(f"Content-Length: {len(content) if length == 'right' else length}")
    lines += [*add, *([CLOSE] if close else []), "", ""]
    return line_end.join(lines).encode("latin-1") + content


def chunked(
    *codings: str, size: str = "%x", extension: str = "", end: str = "0\r\n\r\n", line_end: str = "\r\n"
) -> bytes:
    made = draft()
    framed = f"{size % len(made.body)}{extension}{line_end}".encode() + made.body + f"{line_end}{end}".encode()
    return raw(made, length=None, add=codings or (CHUNKED,), body=framed)


def cases() -> list[Raw]:
    made = [*_codings(), *_chunks(), *_lengths(), *_lines(), *_first_lines(), *_targets(), *_methods(), *_sizes()]
    made += [*_harmless(), *_no_http()]
    names = [case.name for case in made]
    assert len(set(names)) == len(names)
    return made


def _all(status: int, problem: str, shapes: dict[str, bytes]) -> Iterator[Raw]:
    for name, data in shapes.items():
        yield Raw(name=name, data=data, answers=(status,), problem=problem)


def _bad(shapes: dict[str, bytes]) -> Iterator[Raw]:
    return _all(400, "malformed-request", shapes)


def _codings() -> Iterator[Raw]:
    length = f"Content-Length: {len(draft().body)}"
    values = {
        "coding-identity": "identity",
        "coding-chunked-not-last": "chunked, identity",
        "coding-gzip-then-chunked": "gzip, chunked",
        "coding-starts-alike": "chunkedx",
        "coding-with-vertical-tab": "chunked\x0b",
        "coding-twice-in-one-line": "chunked, chunked",
        "coding-quoted": '"chunked"',
        "coding-empty": "",
        "coding-with-parameter": "chunked;x=1",
    }
    yield from _bad({name: chunked(f"Transfer-Encoding: {value}") for name, value in values.items()})
    yield from _bad(
        {
            "coding-after-length": chunked(length, CHUNKED),
            "coding-before-length": chunked(CHUNKED, length),
            "coding-on-two-lines": chunked(CHUNKED, CHUNKED),
            "coding-on-two-lines-hidden": chunked("Transfer-Encoding: identity", CHUNKED),
            "coding-with-blank-before-colon": chunked("Transfer-Encoding : chunked"),
            "coding-folded": chunked("Transfer-Encoding:\r\n chunked"),
            "coding-in-http-1-0": chunked().replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        }
    )


def _chunks() -> Iterator[Raw]:
    yield from _bad(
        {
            "chunk-size-with-0x": chunked(size="0x%x"),
            "chunk-size-with-plus": chunked(size="+%x"),
            "chunk-size-negative": chunked(size="-%x"),
            "chunk-size-with-underscore": chunked(size="0_%x"),
            "chunk-size-with-blank-behind": chunked(size="%x "),
            "chunk-size-with-blank-before": chunked(size=" %x"),
            "chunk-size-of-24-digits": chunked(size="ffffffffffffffff%x"),
            "chunk-size-missing": chunked(size="%.0s"),
            "chunk-lines-end-in-bare-feed": chunked(line_end="\n"),
            "chunk-longer-than-it-says": chunked(size="1%.0s"),
            "chunk-extension-with-bare-feed": chunked(extension=";\n"),
            "chunk-extension-without-end": chunked(extension=";a=" + "x" * 100_000, line_end=""),
            "chunk-last-one-missing": chunked(end=""),
            "trailer-without-colon": chunked(end="0\r\nX y\r\n\r\n"),
            "trailer-that-names-a-host": chunked(end="0\r\nHost: other.example\r\n\r\n"),
            "trailer-without-end": chunked(end="0\r\nX: y\r\n"),
            "trailer-with-bare-feed": chunked(end="0\r\nX: y\n\r\n"),
        }
    )


def _lengths() -> Iterator[Raw]:
    values = {
        "length-with-underscore": "1_0",
        "length-in-hexadecimal": "0x10",
        "length-of-9000-digits": "9" * 9000,
        "length-in-other-digits": "\xb2",
        "length-with-blank-within": "1 0",
        "length-decimal": "10.0",
    }
    yield from _bad({name: raw(draft(), length=value) for name, value in values.items()})
    yield from _bad(
        {
            "length-twice-the-same": raw(draft(), add=(f"Content-Length: {len(draft().body)}",)),
            "length-twice-unlike": raw(draft(), add=("Content-Length: 1",)),
            "length-with-blank-before-colon": raw(draft(), length=None, add=("Content-Length : 5",)),
            "length-more-than-sent": raw(draft(), length="999"),
        }
    )
    yield from _all(401, "signature-not-accepted", {"length-left-out": raw(draft(), length=None)})
    yield from _all(413, "too-large", {"length-of-30-digits": raw(draft(), length="9" * 30)})


def _lines() -> Iterator[Raw]:
    yield from _bad(
        {
            "lines-end-in-bare-feed": raw(draft(), line_end="\n"),
            "line-without-colon": raw(draft(), add=("nonsense",)),
            "line-folded": raw(draft(), add=("X: a\r\n b",)),
            "line-folded-by-tab": raw(draft(), add=("X: a\r\n\tb",)),
            "first-line-of-the-head-indented": raw(draft()).replace(b"\r\nHost", b"\r\n Host", 1),
            "line-with-nul": raw(draft(), add=("X: a\x00b",)),
            "line-with-bare-return": raw(draft(), add=("X: a\rContent-Length: 0",)),
            "host-twice": raw(draft(), add=(f"Host: {HOST}",)),
            "host-twice-unlike": raw(draft(), add=("Host: other.example",)),
            "host-left-out": raw(draft(host=None)),
            "host-of-no-letters": raw(draft(host="")),
            "expectation-unknown": raw(draft(), add=("Expect: magic",)),
        }
    )
    yield from _all(421, "foreign-authority", {"host-with-user": raw(draft(host=f"a@{HOST}"))})
    yield Raw(name="lines-end-in-bare-return", data=raw(draft(), line_end="\r"), answers=())


def _first_lines() -> Iterator[Raw]:
    lines = {
        "target-absolute-and-ours": f"POST https://{HOST}/v1/notices HTTP/1.1",
        "target-absolute-and-foreign": "POST https://other.example/v1/notices HTTP/1.1",
        "version-2": "POST /v1/notices HTTP/2.0",
        "version-of-one-digit": "POST /v1/notices HTTP/3",
        "version-left-out": "POST /v1/notices",
        "version-of-another-protocol": "POST /v1/notices HTTX/1.1",
        "version-with-blank-behind": "POST /v1/notices HTTP/1.1 ",
        "version-in-small-letters": "POST /v1/notices http/1.1",
        "first-line-with-two-blanks": "POST  /v1/notices HTTP/1.1",
        "first-line-with-tabs": "POST\t/v1/notices\tHTTP/1.1",
        "first-line-with-return-within": "POST /v1/notices\rX HTTP/1.1",
        "first-two-lines-empty": "\r\n\r\nPOST /v1/notices HTTP/1.1",
        "method-in-small-letters": "post /v1/notices HTTP/1.1",
        "method-of-5000-letters": f"{'M' * 5000} /v1/notices HTTP/1.1",
    }
    yield from _bad({name: raw(draft(), first=line) for name, line in lines.items()})
    yield from _all(404, "not-found", {"target-asterisk": raw(draft(), first="OPTIONS * HTTP/1.1")})
    yield from _all(404, "not-found", {"target-authority": raw(draft(), first=f"CONNECT {HOST}:443 HTTP/1.1")})


def _targets() -> Iterator[Raw]:
    """Each signed exactly as sent, so only the place itself can be refused."""
    targets = {
        "path-with-two-slashes": "/v1//notices",
        "path-with-final-slash": "/v1/notices/",
        "path-with-a-dot": "/v1/./notices",
        "path-with-two-dots": "/x/../v1/notices",
        "path-with-two-dots-escaped": "/v1/%2e%2e/v1/notices",
        "path-with-slash-escaped": "/v1%2fnotices",
        "path-with-slash-escaped-in-capitals": "/v1%2Fnotices",
        "path-with-parameter": "/v1/notices;x=1",
        "path-with-nul-escaped": "/v1/notices%00",
        "path-with-line-end-escaped": "/v1/notices%0d%0aX:y",
        "path-escaped-twice": "/v1/%256eotices",
        "path-overlong": "/v1/notices%c0%af",
        "path-in-capitals": "/V1/NOTICES",
        "path-with-blank-behind": "/v1/notices%20",
        "path-to-directions-of-nothing": "/v1/notices//directions",
        "path-to-directions-escaped": "/v1/notices/a%2fdirections",
        "path-of-a-long-id": f"/v1/notices/{'a' * 129}/directions",
    }
    yield from _all(404, "not-found", {name: raw(draft(target=target)) for name, target in targets.items()})
    yield from _bad({"path-starts-with-two-slashes": raw(draft(target="//v1/notices"))})


def _methods() -> Iterator[Raw]:
    methods = ("GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "PROPFIND", "QUERY")
    for method in methods:
        problem = "" if method == "HEAD" else "method-not-allowed"
        name = f"method-{method.lower()}"
        yield Raw(name=name, data=raw(draft(method=method)), answers=(405,), problem=problem)


def _sizes() -> Iterator[Raw]:
    yield from _all(
        431,
        "headers-too-large",
        {
            "head-of-101-lines": raw(draft(), add=tuple(f"X-{number}: y" for number in range(101))),
            "head-line-of-17-kib": raw(draft(), add=(f"X: {'y' * 17_000}",)),
            "head-over-32-kib": raw(draft(), add=tuple(f"X-{number}: {'y' * 900}" for number in range(40))),
            "target-of-8-kib": raw(draft(target=f"/v1/notices?{'a' * 8190}")),
        },
    )
    big = b"x" * 10 * 1024 * 1024
    framed = (b"100000\r\n" + big[: 1024 * 1024] + b"\r\n") * 10 + b"0\r\n\r\n"
    yield from _all(
        413,
        "too-large",
        {
            "body-of-10-mib": raw(draft(), body=big),
            "body-of-10-mib-in-chunks": raw(draft(), length=None, add=(CHUNKED,), body=framed),
            "body-of-10-mib-announced": raw(draft(), length=str(len(big))),
        },
    )


def _harmless() -> Iterator[Raw]:
    """Odd, but read in one way only; taken, and nothing of it heeded."""
    overrides = ("X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE")
    forwarded = ("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: other.example")
    shapes = {
        "plain": raw(draft()),
        "coding-in-capitals": chunked("Transfer-Encoding: Chunked"),
        "coding-with-underscore-ignored": raw(draft(), add=("Transfer_Encoding: chunked",)),
        "chunk-with-extension": chunked(extension=";a=b"),
        "chunk-size-with-zeros": chunked(size="000%x"),
        "trailer-forges-a-signature": chunked(end="0\r\nSignature: sig1=:AAAA:\r\n\r\n"),
        "trailer-forges-a-digest": chunked(end="0\r\nContent-Digest: sha-256=:AAAA:\r\n\r\n"),
        "one-line-end-in-front": b"\r\n" + raw(draft()),
        "length-with-zeros": raw(draft(), length=f"000{len(draft().body)}"),
        "version-1-0": raw(draft(), first="POST /v1/notices HTTP/1.0"),
        "method-overrides-ignored": raw(draft(), add=overrides),
        "target-overrides-ignored": raw(draft(), add=("X-Original-URL: /healthz", "X-Rewrite-URL: /healthz")),
        "forwarded-lines-ignored": raw(draft(), add=(*forwarded, "Forwarded: host=other.example")),
        "upgrade-ignored": raw(draft(), add=("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")),
        "query-chooses-no-method": raw(draft(target="/v1/notices?_method=DELETE&method=GET")),
        "path-with-letter-escaped": raw(draft(target="/v1/%6eotices")),
    }
    yield from _all(202, "", shapes)
    yield Raw(name="expects-to-be-asked-on", data=raw(draft(), add=("Expect: 100-continue",)), answers=(100, 202))


def _no_http() -> Iterator[Raw]:
    yield from _bad(
        {
            "http-2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
            "proxy-line": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + raw(draft()),
            "proxy-bytes": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12),
            "only-line-ends": b"\r\n\r\n",
            "http-0-9": b"GET /healthz\r\n\r\n",
        }
    )
    yield Raw(name="nothing-at-all", data=b"", answers=())
