"""Requests that must be taken."""

from __future__ import annotations

from typing import Any

from tests.vectors.base import BODY, GOOD, GOOD_P256, GOOD_RSA, NOTICE, STATUS, Case, body_of, good
from tests.vectors.signer import NOW, Draft, b64, digest, header, with_header, with_line

PARTS = ("@method", "@authority", "@path", "content-type", "content-digest")


def cases() -> list[Case]:
    made = GOOD.finish()
    return [
        good("plain-ed25519", GOOD),
        good("plain-p256", GOOD_P256),
        good("plain-rsa-pss", GOOD_RSA),
        good("authority-and-path", GOOD.but(components=PARTS)),
        good("query-covered", GOOD.but(target="/v1/notices?trace=1", components=(*PARTS, "@query"))),
        good("query-within-target-uri", GOOD.but(target="/v1/notices?trace=1")),
        good("empty-query-covered", GOOD.but(target="/v1/notices?", components=(*PARTS, "@query"))),
        good("percent-encoded-path", GOOD.but(target="/v1/notices/A%2F1/directions")),
        good("alg-named", GOOD.but(params=(("alg", '"ed25519"'),))),
        good("sha-512-digest", GOOD.but(content_digest=digest(BODY, "sha-512"))),
        good("two-digests", GOOD.but(content_digest=f"{digest(BODY)}, {digest(BODY, 'sha-512')}")),
        good("idempotency-key-covered", _idempotent()),
        good(
            "more-headers-covered", GOOD.but(extra=(("Date", "Sun, 22 Nov 2026 09:30:00 GMT"),), components=(*_all(),))
        ),
        good("content-type-with-charset", GOOD.but(content_type="application/json; charset=utf-8")),
        good("content-type-quoted-charset", GOOD.but(content_type='Application/JSON;charset="UTF-8"')),
        good("identity-coding", GOOD.but(extra=(("Content-Encoding", "identity"),))),
        good("content-length-right", GOOD.but(extra=(("Content-Length", str(len(BODY))),))),
        good("chunked", GOOD.but(extra=(("Transfer-Encoding", "chunked"),))),
        good("host-with-default-port", GOOD.but(host="notices.host.example:443")),
        good("host-in-capitals", GOOD.but(host="Notices.Host.EXAMPLE")),
        good("second-origin", GOOD.but(host="second.host.example:8443", origin="https://second.host.example:8443")),
        good("forwarded-host-ignored", GOOD.but(extra=(("X-Forwarded-Host", "evil.example"),))),
        good("underscore-twin-ignored", with_line(made, "Content_Digest", "sha-256=:AAAA:")),
        good("created-in-the-skew", GOOD.but(params=(("created", str(NOW + 30)), ("expires", str(NOW + 330))))),
        good("expired-within-skew", GOOD.but(params=(("created", str(NOW - 330)), ("expires", str(NOW - 30))))),
        good("lifetime-one-second", GOOD.but(params=(("created", str(NOW)), ("expires", str(NOW + 1))))),
        good("shortest-nonce", GOOD.but(params=(("nonce", '"' + "n" * 16 + '"'),))),
        good("longest-nonce", GOOD.but(params=(("nonce", '"' + "n" * 128 + '"'),))),
        good(
            "params-in-another-order",
            GOOD.but(params=(("created", None), ("tag", '"takedown-notice"'), ("created", str(NOW)))),
        ),
        good("label-of-another-name", GOOD.but(label="hotline")),
        good("proxy-signature-beside", _beside_proxy()),
        good("proxy-signature-on-own-lines", _proxy_lines()),
        good("twenty-four-components", _many(24)),
        good("lines-with-blanks", with_header(made, "Signature-Input", f"  {header(made, 'Signature-Input')}  ")),
        good(
            "padding-left-out",
            with_header(made, "Signature", header(made, "Signature").replace("=:", ":").replace("sig1:", "sig1=:")),
        ),
        good(
            "lower-case-header-names", {**made, "headers": [[name.lower(), value] for name, value in made["headers"]]}
        ),
        good("status-question", STATUS),
        good("status-question-p256", STATUS.but(key=GOOD_P256.key, keyid="a-p256")),
        good("status-question-with-json-type", STATUS.but(extra=(("Content-Type", "application/json"),))),
        good("urls-shorthand", GOOD.but(body=body_of(_urls()))),
        good("everything-filled-in", GOOD.but(body=body_of(_full()))),
        good("pretty-printed-body", GOOD.but(body=BODY.replace(b",", b",\n   "))),
        good(
            "unusable-url-kept",
            GOOD.but(body=body_of({**NOTICE, "items": [{"item_id": "1", "url": "javascript:alert(1)"}]})),
        ),
        good(
            "url-with-credentials-kept",
            GOOD.but(body=body_of({**NOTICE, "items": [{"item_id": "1", "url": "https://u:p@x.example/"}]})),
        ),
        good(
            "international-url-kept",
            GOOD.but(body=body_of({**NOTICE, "items": [{"item_id": "1", "url": "https://bücher.example/ü😀"}]})),
        ),
        good("leap-second", GOOD.but(body=body_of({**NOTICE, "issued_at": "2026-06-30T23:59:60Z"}))),
    ]


def _all() -> tuple[str, ...]:
    return (*PARTS, "@target-uri", "@scheme", "@request-target", "date", "host")


def _idempotent() -> Draft:
    return GOOD.but(extra=(("Idempotency-Key", '"8e03978e-40d5"'),), components=(*GOOD.components, "idempotency-key"))


def _many(count: int) -> Draft:
    extra = tuple((f"X-H{n}", str(n)) for n in range(count - len(GOOD.components)))
    return GOOD.but(extra=extra, components=(*GOOD.components, *(name.lower() for name, _ in extra)))


def _beside_proxy() -> dict[str, Any]:
    made = GOOD.finish()
    proxy = f'proxy=("@method");created={NOW};keyid="p";tag="via"'
    made = with_header(made, "Signature-Input", f"{proxy}, {header(made, 'Signature-Input')}")
    return with_header(made, "Signature", f"{header(made, 'Signature')}, proxy=:{b64(b'x' * 64)}:")


def _proxy_lines() -> dict[str, Any]:
    made = with_line(GOOD.finish(), "Signature-Input", f'proxy=("@method");created={NOW};keyid="p"')
    return with_line(made, "Signature", f"proxy=:{b64(b'x' * 64)}:")


def _urls() -> dict[str, Any]:
    plain = {name: value for name, value in NOTICE.items() if name != "items"}
    return {**plain, "urls": ["https://img.example.net/1.png", "https://img.example.net/2.png"]}


def _full() -> dict[str, Any]:
    item = {
        "item_id": "1",
        "url": "https://img.example.net/a/b.png",
        "referrer": "https://forum.example.net/t/9",
        "hashes": {"sha256": "AB" * 32, "md5": "cd" * 16, "pdq": "f" * 64},
        "media_type": "image",
        "classification": {"scheme": "test", "value": "A"},
        "hosting_ip": "192.0.2.7",
        "first_seen": "2026-11-21T10:00:00.123456789+01:00",
        "last_seen": None,
        "note": "two lines\nof a note",
    }
    handling = {
        "act": "block_only",
        "priority": "immediate_risk",
        "customer_notice": "allow",
        "withhold_until": None,
        "legal_hold": True,
        "hold_until": "2027-11-22T00:00:00Z",
        "police_reference": "P-1",
    }
    extra = {"deadline": "2026-11-23T00:00:00-05:00", "extensions": {"case": {"number": 7, "ratio": 0.5}}}
    return {**NOTICE, "items": [item], "handling": handling, **extra}
