"""Requests whose signature is good and whose body is not."""

from __future__ import annotations

from typing import Any

from tests.vectors.base import BODY, GOOD, NOTICE, Case, bad, body_of
from tests.vectors.signer import b64

ITEM: dict[str, Any] = NOTICE["items"][0]


def _raw(name: str, status: int, slug: str, body: bytes) -> Case:
    return bad(name, status, slug, GOOD.but(body=body))


def _top(name: str, slug: str = "invalid-notice", **changes: Any) -> Case:
    document = {**NOTICE, **changes}
    return _raw(name, 422, slug, body_of({k: v for k, v in document.items() if v is not ...}))


def _item(name: str, slug: str = "invalid-notice", **changes: Any) -> Case:
    item = {k: v for k, v in {**ITEM, **changes}.items() if v is not ...}
    return _top(name, slug, items=[item])


def _handling(name: str, **handling: Any) -> Case:
    return _top(name, handling=handling)


def cases() -> list[Case]:
    return [*_json(), *_members(), *_items(), *_handlings(), *_content(), *_issuer()]


def _json() -> list[Case]:
    text = BODY.decode()
    malformed = {
        "json-not-closed": BODY[:-1],
        "json-with-text-behind": BODY + b"x",
        "json-two-documents": BODY + BODY,
        "json-with-comment": b"// hello\n" + BODY,
        "json-with-trailing-comma": BODY[:-1] + b",}",
        "json-single-quotes": BODY.replace(b'"', b"'"),
        "json-nan": text.replace('"test"', "NaN", 1).encode(),
        "json-infinity": text.replace('"test"', "-Infinity", 1).encode(),
        "json-number-too-large": text.replace('"test"', "1e999", 1).encode(),
        "json-number-of-many-digits": text.replace('"test"', "9" * 5000, 1).encode(),
        "json-byte-order-mark": b"\xef\xbb\xbf" + BODY,
        "json-utf-16": text.encode("utf-16"),
        "json-utf-16-without-mark": text.encode("utf-16-le"),
        "json-utf-16-big-end-first": text.encode("utf-16-be"),
        "json-utf-32": text.encode("utf-32-le"),
        "json-mark-behind-blanks": b" \xef\xbb\xbf" + BODY,
        "json-exponent-of-six-digits": text.replace('"test"', "1e999999", 1).encode(),
        "json-exponent-of-many-digits": text.replace('"test"', "-1e" + "9" * 400, 1).encode(),
        "json-surrogates-in-wrong-order": text.replace("colour", "\\udc00\\ud800").encode(),
        "json-ten-thousand-levels": b'{"extensions":' * 10_000 + b"1" + b"}" * 10_000,
        "json-ten-thousand-levels-not-closed": b"[" * 10_000,
        "json-levels-behind-a-false-string": b'"\\\\"' + b"[" * 10_000,
        "json-not-utf-8": BODY.replace(b"colour", b"col\xf6ur"),
        "json-overlong-utf-8": BODY.replace(b"/colour", b"\xc0\xafcolour"),
        "json-half-a-surrogate-escaped": text.replace("colour", "\\ud800").encode(),
        "json-half-a-surrogate-as-bytes": BODY.replace(b"colour", b"\xed\xa0\x80"),
        "json-half-a-surrogate-in-a-name": BODY[:-1] + b',"\\udc00":1}',
        "json-nul-in-a-string": text.replace("colour", "\\u0000").encode(),
        "json-bare-control-character": BODY.replace(b"colour", b"co\nlour"),
        "json-sixteen-levels-and-one": BODY[:-1] + b',"extensions":{"x":' + b"[" * 15 + b"]" * 15 + b"}}",
        "json-very-deep": b"[" * 5_000 + b"]" * 5_000,
        "json-very-deep-objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    }
    twice = {
        "member-twice": BODY[:-1] + b',"issuer":"hotline-a"}',
        "member-twice-by-escape": BODY[:-1] + b',"iss\\u0075er":"hotline-b"}',
        "member-twice-in-an-item": BODY.replace(b'"item_id":"1"', b'"item_id":"1","item_id":"2"'),
        "member-twice-far-apart": BODY[:-1] + b',"extensions":{' + _hundred_members() + b'"m0":1}}',
        "member-twice-in-extensions": BODY[:-1] + b',"extensions":{"a":1,"a":2}}',
    }
    return [
        *(_raw(name, 400, "malformed-json", body) for name, body in malformed.items()),
        *(_raw(name, 400, "duplicate-member", body) for name, body in twice.items()),
        _raw("json-only-blanks", 400, "malformed-json", b"  "),
        _raw("json-a-list", 422, "invalid-notice", b"[]"),
        _raw("json-a-string", 422, "invalid-notice", b'"notice"'),
        _raw("json-null", 422, "invalid-notice", b"null"),
        _raw("json-empty-object", 422, "invalid-notice", b"{}"),
    ]


def _hundred_members() -> bytes:
    return b"".join(b'"m%d":%d,' % (number, number) for number in range(100))


def _members() -> list[Case]:
    required = ("notice_id", "issuer", "issued_at", "category", "items")
    ids = {
        "empty": "",
        "too-long": "x" * 129,
        "with-blank": "a b",
        "with-slash": "a/b",
        "a-number": 7,
        "with-line-end": "a\n",
    }
    times = {
        "without-offset": "2026-11-22T09:30:00",
        "without-time": "2026-11-22",
        "impossible": "2026-02-30T09:30:00Z",
        "as-number": 1795339800,
        "with-blank": "2026-11-22 09:30:00Z",
        "week-date": "2026-W47-7T09:30:00Z",
        "in-other-digits": "\uff12026-11-22T09:30:00Z",
        "offset-of-99-hours": "2026-11-22T09:30:00+99:00",
    }
    return [
        *(_top(f"{name.replace('_', '-')}-left-out", "invalid-notice", **{name: ...}) for name in required),
        *(_top(f"notice-id-{name}", notice_id=value) for name, value in ids.items()),
        *(_top(f"issued-at-{name}", issued_at=value) for name, value in times.items()),
        _top("schema-of-another-version", schema="takedown-notice/2"),
        _top("schema-of-a-direction", schema="takedown-direction/1"),
        _top("member-unknown", callback_url="https://evil.example/"),
        _top("member-unknown-in-capitals", Items=[]),
        _top("issuer-in-capitals", issuer="Hotline-A"),
        _top("issuer-a-list", issuer=["hotline-a"]),
        _top("category-empty", category=""),
        _top("category-an-object", category={"csam": True}),
        _top("kind-unknown", kind="request"),
        _top("kind-null", kind=None),
        _top("deadline-without-offset", deadline="2026-11-23T00:00:00"),
        _top("extensions-a-list", extensions=[]),
    ]


def _items() -> list[Case]:
    return [
        _top("items-empty", items=[]),
        _top("items-an-object", items={"1": ITEM}),
        _top("items-and-urls", urls=["https://img.example.net/1.png"]),
        _top("items-over-the-limit", items=[{**ITEM, "item_id": str(n)} for n in range(251)]),
        _top("urls-ten-thousand", items=..., urls=["x"] * 10_000),
        _top("items-with-one-id-twice", items=[ITEM, ITEM]),
        _top("item-a-string", items=["https://img.example.net/1.png"]),
        _top("urls-empty", items=..., urls=[]),
        _top("urls-a-string", items=..., urls="https://img.example.net/1.png"),
        _top("urls-with-a-number", items=..., urls=[1]),
        _item("item-id-left-out", item_id=...),
        _item("item-id-a-number", item_id=1),
        _item("item-id-too-long", item_id="x" * 129),
        _item("item-member-unknown", priority="high"),
        _item("url-left-out", url=...),
        _item("url-null", url=None),
        _item("url-a-list", url=["https://img.example.net/1.png"]),
        _item("url-empty", url=""),
        _item("url-too-long", url="https://img.example.net/" + "a" * 8200),
        _item("url-with-line-end", url="https://img.example.net/\r\nX: y"),
        _item("url-with-control-character", url="https://img.example.net/\x1b[2J"),
        _item("referrer-a-number", referrer=7),
        _item("hash-of-wrong-length", hashes={"sha256": "ab"}),
        _item("hash-not-hexadecimal", hashes={"md5": "z" * 32}),
        _item("hash-a-number", hashes={"md5": 7}),
        _item("hash-name-odd", hashes={"SHA 256": "ab"}),
        _item("hashes-a-list", hashes=["ab"]),
        _item("classification-without-value", classification={"scheme": "uk"}),
        _item("classification-with-more", classification={"scheme": "uk", "value": "A", "note": "x"}),
        _item("hosting-ip-a-name", hosting_ip="img.example.net"),
        _item("hosting-ip-a-number", hosting_ip=3221225991),
        _item("first-seen-without-offset", first_seen="2026-11-22T09:30:00"),
        _item("note-too-long", note="wörd " * 801),
        _item("media-type-an-object", media_type={}),
    ]


def _handlings() -> list[Case]:
    return [
        _top("handling-a-string", handling="remove"),
        _handling("handling-act-unknown", act="delete"),
        _handling("handling-act-null", act=None),
        _handling("handling-priority-unknown", priority="high"),
        _handling("handling-customer-notice-a-flag", customer_notice=True),
        _handling("handling-legal-hold-a-word", legal_hold="true"),
        _handling("handling-legal-hold-one", legal_hold=1),
        _handling("handling-member-unknown", silent=True),
        _handling("handling-hold-until-without-offset", hold_until="2027-01-01T00:00:00"),
        _handling("handling-police-reference-empty", police_reference=""),
        # hotline-a may not ask to keep anything up.
        _top(
            "preserve-only-not-allowed",
            handling={"act": "preserve_only", "police_reference": "P"},
            deadline="2026-11-23T00:00:00Z",
        ),
    ]


def _content() -> list[Case]:
    noise = b64(bytes(range(256)) * 6)
    picture = "iVBORw0KGgo" + "A" * 80
    return [
        _top("content-in-attachments", "content-not-accepted", attachments=[{"name": "a.png"}]),
        _top("content-in-payload", "content-not-accepted", payload="AAAA"),
        _top("content-in-evidence", "content-not-accepted", evidence={"sha256": "x"}),
        _top("content-in-extensions", "content-not-accepted", extensions={"x": {"thumbnail": "AAAA"}}),
        _item("content-in-an-item", "content-not-accepted", screenshot="AAAA"),
        _item("content-in-a-data-url", "content-not-accepted", url="data:image/png;base64,AAAA"),
        _item("content-in-a-data-url-in-capitals", "content-not-accepted", url=" DATA:image/png,AAAA"),
        _item("content-in-a-note", "content-not-accepted", note=noise),
        _item(
            "content-in-a-note-of-lines",
            "content-not-accepted",
            note="\n".join(noise[n : n + 76] for n in range(0, len(noise), 76)),
        ),
        _item("content-a-small-picture-in-a-note", "content-not-accepted", note=picture),
        _top("content-as-base64-in-extensions", "content-not-accepted", extensions={"x": [noise]}),
        _top("content-in-the-urls", "content-not-accepted", items=..., urls=["data:text/html,hello"]),
    ]


def _issuer() -> list[Case]:
    return [
        _top("body-names-another-issuer", "wrong-issuer", issuer="hotline-b"),
        _top("body-names-an-unknown-issuer", "wrong-issuer", issuer="nobody"),
    ]
