"""Requests refused with the one uniform 401: signature headers, coverage, parameters, time, key, signature, digest."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, utils

from tests.vectors.base import BODY, GOOD, GOOD_P256, GOOD_RSA, STATUS, Case, bad
from tests.vectors.keys import P256_ORDER, ed25519_key, p256_key
from tests.vectors.signer import (
    NOW,
    Draft,
    PrivateKey,
    b64,
    digest,
    header,
    pss_sign,
    request,
    sign,
    with_header,
    with_line,
)

ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
PARTS = ("@method", "@authority", "@path", "content-type", "content-digest")


def cases() -> list[Case]:
    return [*_headers(), *_coverage(), *_params(), *_times(), *_keys(), *_crypto(), *_changed(), *_digests()]


def _raw(name: str, reason: str, *, given: str | None = None, signature: str | None = None) -> Case:
    made = GOOD.finish()
    if given is not None:
        made = with_header(made, "Signature-Input", given)
    if signature is not None:
        made = with_header(made, "Signature", signature)
    return bad(name, 401, reason, made)


def _headers() -> list[Case]:
    made = GOOD.finish()
    inputs, sig = header(made, "Signature-Input"), header(made, "Signature")
    filler = "".join(f', p{n}=("@method");keyid="p"' for n in range(4))
    signed = "".join(f", p{n}=:AAAA:" for n in range(4))
    value = sig.removeprefix("sig1=")
    return [
        bad("unsigned", 401, "no-signature", request("POST", "/v1/notices", GOOD.lines(), BODY)),
        bad("unsigned-status-question", 401, "no-signature", request("GET", STATUS.target, STATUS.lines(), b"")),
        bad("signature-missing", 401, "no-signature", with_header(made, "Signature", None)),
        bad("signature-input-missing", 401, "no-signature", with_header(made, "Signature-Input", None)),
        bad("old-draft-signature-only", 401, "no-signature", _draft_cavage()),
        _raw("signature-input-empty", "labels-differ", given=""),
        _raw("signature-empty", "labels-differ", signature=""),
        _raw("input-list-not-closed", "malformed-signature", given=inputs.replace(")", "")),
        _raw("input-with-trailing-comma", "malformed-signature", given=inputs + ","),
        _raw("input-label-in-capitals", "malformed-signature", given=inputs.replace("sig1", "SIG1")),
        _raw("input-beyond-ascii", "malformed-signature", given=inputs.replace("a-ed", "\u00e4-ed")),
        _raw("input-is-an-item", "malformed-signature", given='sig1="@method"'),
        _raw("input-is-a-flag", "malformed-signature", given="sig1"),
        _raw("input-with-text-behind", "malformed-signature", given=inputs + " x"),
        _raw("signature-not-closed", "malformed-signature", signature=sig[:-1]),
        _raw("signature-is-text", "malformed-signature", signature='sig1="abc"'),
        _raw("signature-is-a-number", "malformed-signature", signature="sig1=1"),
        _raw("signature-is-a-list", "malformed-signature", signature=f"sig1=({value})"),
        _raw("signature-bare", "malformed-signature", signature=value),
        _raw("signature-base64-broken", "malformed-signature", signature="sig1=:****:"),
        _raw("label-twice-in-input", "duplicate-key", given=f"{inputs}, {inputs}"),
        _raw("label-twice-in-signature", "duplicate-key", signature=f"{sig}, {sig}"),
        _raw("parameter-twice", "duplicate-key", given=f"{inputs};created={NOW}"),
        _raw("labels-that-differ", "labels-differ", given=inputs.replace("sig1=", "sig2=")),
        _raw("one-label-more-in-input", "labels-differ", given=f'{inputs}, p=("@method")'),
        _raw("one-label-more-in-signature", "labels-differ", signature=f"{sig}, p=:AAAA:"),
        _raw("five-signatures", "too-many-signatures", given=inputs + filler, signature=sig + signed),
        _raw(
            "two-signatures-with-our-tag",
            "two-signatures-with-tag",
            given=f"{inputs}, {inputs.replace('sig1=', 'sig2=')}",
            signature=f"{sig}, sig2={value}",
        ),
        bad("second-line-repeats-the-label", 401, "duplicate-key", with_line(made, "Signature-Input", inputs)),
    ]


def _draft_cavage() -> dict[str, Any]:
    made = request("POST", "/v1/notices", GOOD.lines(), BODY)
    return with_line(made, "Authorization", 'Signature keyId="a-ed25519",algorithm="ed25519",signature="AAAA"')


def _coverage() -> list[Case]:
    def covering(name: str, reason: str, *components: str, draft: Draft = GOOD) -> Case:
        return bad(name, 401, reason, draft.but(components=components))

    def without(left_out: str) -> tuple[str, ...]:
        return tuple(name for name in GOOD.components if name != left_out)

    query = GOOD.but(target="/v1/notices?trace=1")
    keyed = GOOD.but(extra=(("Idempotency-Key", '"k"'),))
    many = tuple((f"X-H{n}", str(n)) for n in range(21))
    odd = {
        "component-with-req": '"@method";req',
        "component-with-key": '"content-digest";key="sha-256"',
        "component-with-sf": '"content-digest";sf',
        "component-with-bs": '"content-type";bs',
        "component-with-tr": '"content-type";tr',
        "component-query-param": '"@query-param";name="trace"',
    }
    unknown = {
        "component-status": "@status",
        "component-invented": "@invented",
        "component-params": "@signature-params",
    }
    return [
        covering("nothing-covered", "not-covered"),
        *(covering(f"{name.strip('@')}-not-covered", "not-covered", *without(name)) for name in GOOD.components),
        covering("authority-without-path", "not-covered", *(p for p in PARTS if p != "@path")),
        covering("path-without-authority", "not-covered", *(p for p in PARTS if p != "@authority")),
        covering("query-not-covered", "not-covered", *PARTS, draft=query),
        covering("empty-query-not-covered", "not-covered", *PARTS, draft=GOOD.but(target="/v1/notices?")),
        covering("request-target-instead-of-uri", "not-covered", "@method", "@request-target", *PARTS[3:]),
        covering("idempotency-key-not-covered", "not-covered", *GOOD.components, draft=keyed),
        covering("status-method-not-covered", "not-covered", "@target-uri", draft=STATUS),
        covering("status-target-not-covered", "not-covered", "@method", draft=STATUS),
        covering("component-twice", "component-twice", *GOOD.components, "@method"),
        covering("component-header-twice", "component-twice", *GOOD.components, "content-type"),
        *(covering(name, "component-parameter", *GOOD.components, item) for name, item in odd.items()),
        *(covering(name, "unknown-component", *GOOD.components, item) for name, item in unknown.items()),
        covering("component-in-capitals", "bad-signature", *GOOD.components, "Host"),
        covering("component-in-capitals-instead", "unknown-component", "@Method", *GOOD.components[1:]),
        covering("component-is-a-number", "malformed-component", *GOOD.components, "7"),
        covering("component-is-bytes", "malformed-component", *GOOD.components, ":AAAA:"),
        covering("component-not-in-message", "bad-signature", *GOOD.components, "x-absent"),
        covering("component-signature", "signature-covered", *GOOD.components, "signature"),
        covering("component-signature-input", "signature-covered", *GOOD.components, "signature-input"),
        covering(
            "component-with-odd-letters",
            "bad-signature",
            *GOOD.components,
            "x-a",
            draft=GOOD.but(extra=(("X-A", "\u00e4"),)),
        ),
        covering(
            "twenty-five-components",
            "too-many-components",
            *GOOD.components,
            *(name.lower() for name, _ in many),
            draft=GOOD.but(extra=many),
        ),
    ]


def _params() -> list[Case]:
    def param(name: str, reason: str, *changes: tuple[str, str | None]) -> Case:
        return bad(name, 401, reason, GOOD.but(params=changes))

    missing = [param(f"{n}-missing", "parameter-missing", (n, None)) for n in ("created", "expires", "keyid", "nonce")]
    types = {
        "created-is-text": ("created", f'"{NOW}"'),
        "created-is-decimal": ("created", f"{NOW}.0"),
        "created-is-a-date": ("created", f"@{NOW}"),
        "created-is-a-flag": ("created", "?1"),
        "expires-is-text": ("expires", f'"{NOW + 200}"'),
        "expires-is-decimal": ("expires", f"{NOW + 200}.5"),
        "nonce-is-a-token": ("nonce", "nonce-0123456789abcdef"),
        "nonce-is-bytes": ("nonce", ":bm9uY2UtMDEyMzQ1Njc4OWFiY2RlZg==:"),
        "nonce-is-a-number": ("nonce", "123456789012345"),
        "keyid-is-a-token": ("keyid", "a-ed25519"),
        "keyid-is-bytes": ("keyid", ":YS1lZDI1NTE5:"),
        "alg-is-a-token": ("alg", "ed25519"),
    }
    algorithms = {
        "alg-of-another-kind": '"rsa-pss-sha512"',
        "alg-hmac": '"hmac-sha256"',
        "alg-none": '"none"',
        "alg-empty": '""',
        "alg-in-capitals": '"ED25519"',
        "alg-joses-name": '"EdDSA"',
    }
    return [
        *missing,
        param("tag-missing", "no-signature-with-tag", ("tag", None)),
        param("tag-of-callbacks", "no-signature-with-tag", ("tag", '"takedown-callback"')),
        param("tag-of-receipts", "no-signature-with-tag", ("tag", '"takedown-receipt"')),
        param("tag-in-capitals", "no-signature-with-tag", ("tag", '"Takedown-Notice"')),
        param("tag-is-a-token", "parameter-type", ("tag", "takedown-notice")),
        param("tag-empty", "no-signature-with-tag", ("tag", '""')),
        param("parameter-unknown", "parameter-unknown", ("audience", '"us"')),
        param("parameter-critical-unknown", "parameter-unknown", ("crit", "?1")),
        *(param(name, "parameter-type", change) for name, change in types.items()),
        param("nonce-empty", "nonce-length", ("nonce", '""')),
        param("nonce-of-fifteen", "nonce-length", ("nonce", '"' + "n" * 15 + '"')),
        param("nonce-of-one-hundred-twenty-nine", "nonce-length", ("nonce", '"' + "n" * 129 + '"')),
        *(param(name, "algorithm-differs", ("alg", alg)) for name, alg in algorithms.items()),
        bad("alg-of-rsa-but-pkcs1", 401, "algorithm-differs", GOOD_RSA.but(params=(("alg", '"rsa-v1_5-sha256"'),))),
    ]


def _times() -> list[Case]:
    def times(name: str, reason: str, created: int, expires: int) -> Case:
        return bad(name, 401, reason, GOOD.but(params=(("created", str(created)), ("expires", str(expires)))))

    return [
        times("created-beyond-the-skew", "from-the-future", NOW + 31, NOW + 200),
        times("created-tomorrow", "from-the-future", NOW + 86_400, NOW + 86_500),
        times("created-in-the-year-9999", "from-the-future", 253_402_300_000, 253_402_300_100),
        times("created-beyond-any-calendar", "from-the-future", 999_999_999_999_000, 999_999_999_999_100),
        times("expired-beyond-the-skew", "expired", NOW - 331, NOW - 31),
        times("expired-yesterday", "expired", NOW - 86_400, NOW - 86_100),
        times("created-at-the-epoch", "expired", 0, 300),
        times("created-before-the-epoch", "expired", -200, -100),
        times("lifetime-one-second-too-long", "lifetime", NOW - 2, NOW + 299),
        times("lifetime-a-year", "lifetime", NOW, NOW + 31_536_000),
        times("lifetime-none", "lifetime", NOW, NOW),
        times("expires-before-created", "lifetime", NOW, NOW - 1),
    ]


def _keys() -> list[Case]:
    def keyed(name: str, reason: str, keyid: str, seed: str) -> Case:
        return bad(name, 401, reason, GOOD.but(key=ed25519_key(seed), keyid=keyid))

    return [
        keyed("key-unknown", "key-unknown", "nobody", "nobody"),
        keyed("key-id-empty", "key-unknown", "", "a"),
        keyed("key-id-in-capitals", "key-unknown", "A-ED25519", "a"),
        keyed("key-id-like-a-path", "key-unknown", "../a-ed25519", "a"),
        keyed("key-id-like-a-url", "key-unknown", "https://evil.example/jwks.json#a", "a"),
        keyed("key-id-with-blank", "key-unknown", "a-ed25519 ", "a"),
        keyed("key-pending", "key-pending", "a-pending", "a pending"),
        keyed("key-retired", "key-retired", "a-retired", "a retired"),
        keyed("key-revoked", "key-revoked", "a-revoked", "a revoked"),
        keyed("key-revoked-by-date", "key-revoked", "a-revoked-by-date", "a revoked by date"),
        keyed("key-not-yet-valid", "key-not-yet-valid", "a-future", "a future"),
        keyed("key-no-longer-valid", "key-expired", "a-past", "a past"),
        keyed("key-id-of-another-issuer", "bad-signature", "b-ed25519", "a"),
        keyed("signed-with-another-issuers-key", "bad-signature", "a-ed25519", "b"),
        keyed("signed-with-a-stranger-key", "bad-signature", "a-ed25519", "stranger"),
        keyed("key-id-of-another-kind", "bad-signature", "a-p256", "a"),
        bad("p256-signed-with-a-stranger-key", 401, "bad-signature", GOOD_P256.but(key=p256_key("stranger"))),
    ]


def _crypto() -> list[Case]:
    def signed(name: str, draft: Draft, signer: Callable[[Any, bytes], bytes]) -> Case:
        return bad(name, 401, "bad-signature", draft.but(signer=signer))

    def flipped(key: PrivateKey, base: bytes) -> bytes:
        made = bytearray(sign(key, base))
        made[7] ^= 1
        return bytes(made)

    def plus_order(key: ed25519.Ed25519PrivateKey, base: bytes) -> bytes:
        made = sign(key, base)
        return made[:32] + (int.from_bytes(made[32:], "little") + ED25519_ORDER).to_bytes(32, "little")

    def s_plus_order(key: ec.EllipticCurvePrivateKey, base: bytes) -> bytes:
        made = sign(key, base)
        return made[:32] + min(int.from_bytes(made[32:]) + P256_ORDER, 2**256 - 1).to_bytes(32)

    def public_as_secret(key: ed25519.Ed25519PrivateKey, base: bytes) -> bytes:
        return hmac.new(key.public_key().public_bytes_raw(), base, hashlib.sha256).digest()

    return [
        signed("signature-one-bit-flipped", GOOD, flipped),
        signed("signature-one-bit-flipped-p256", GOOD_P256, flipped),
        signed("signature-one-bit-flipped-rsa", GOOD_RSA, flipped),
        signed("signature-cut-short", GOOD, lambda key, base: sign(key, base)[:-1]),
        signed("signature-too-long", GOOD, lambda key, base: sign(key, base) + b"\x00"),
        signed("signature-of-no-bytes", GOOD, lambda _key, _base: b""),
        signed("signature-all-zero", GOOD, lambda _key, _base: bytes(64)),
        signed("signature-identity-point", GOOD, lambda _key, _base: b"\x01" + bytes(63)),
        signed("signature-s-plus-order", GOOD, plus_order),
        signed("signature-over-hashed-base", GOOD, lambda key, base: sign(key, hashlib.sha512(base).digest())),
        signed("signature-hmac-with-public-key", GOOD, public_as_secret),
        signed("p256-signature-all-zero", GOOD_P256, lambda _key, _base: bytes(64)),
        signed("p256-signature-of-r-and-s-one", GOOD_P256, lambda _key, _base: (bytes(31) + b"\x01") * 2),
        signed("p256-signature-s-plus-order", GOOD_P256, s_plus_order),
        signed("p256-signature-in-der", GOOD_P256, _der),
        signed("p256-signature-over-sha-512", GOOD_P256, _p256_sha512),
        signed("p256-signature-cut-short", GOOD_P256, lambda key, base: sign(key, base)[:63]),
        signed("rsa-signature-salt-of-other-length", GOOD_RSA, lambda k, b: pss_sign(k, b, salt_bytes=32)),
        signed("rsa-signature-salt-as-long-as-possible", GOOD_RSA, lambda k, b: pss_sign(k, b, salt_bytes=190)),
        signed("rsa-signature-without-salt", GOOD_RSA, lambda k, b: pss_sign(k, b, salt_bytes=0)),
        signed("rsa-signature-with-sha-256", GOOD_RSA, lambda k, b: pss_sign(k, b, name="sha256", salt_bytes=32)),
        signed("rsa-signature-pkcs1", GOOD_RSA, lambda k, b: k.sign(b, padding.PKCS1v15(), hashes.SHA512())),
        signed("rsa-signature-all-zero", GOOD_RSA, lambda _key, _base: bytes(256)),
        signed("rsa-signature-of-one", GOOD_RSA, lambda _key, _base: bytes(255) + b"\x01"),
        signed("base-with-final-line-end", GOOD, lambda key, base: sign(key, base + b"\n")),
        signed("base-with-crlf", GOOD, lambda key, base: sign(key, base.replace(b"\n", b"\r\n"))),
    ]


def _der(key: ec.EllipticCurvePrivateKey, base: bytes) -> bytes:
    return key.sign(base, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def _p256_sha512(key: ec.EllipticCurvePrivateKey, base: bytes) -> bytes:
    from_der = key.sign(base, ec.ECDSA(hashes.SHA512(), deterministic_signing=True))
    r, s = utils.decode_dss_signature(from_der)
    return r.to_bytes(32) + s.to_bytes(32)


def _changed() -> list[Case]:
    made, status = GOOD.finish(), STATUS.finish()
    parts = GOOD.but(components=PARTS).finish()
    query = GOOD.but(target="/v1/notices?a=1&b=2").finish()
    given = header(made, "Signature-Input")

    def changed(name: str, request_: dict[str, Any]) -> Case:
        return bad(name, 401, "bad-signature", request_)

    def resigned(name: str, old: str, new: str) -> Case:
        return changed(name, with_header(made, "Signature-Input", given.replace(old, new)))

    return [
        changed(
            "changed-method",
            {**status, "method": "POST", "headers": [*status["headers"], ["Content-Type", "application/json"]]},
        ),
        changed("changed-target", {**made, "target": "/v1/xarf"}),
        changed("changed-path", {**parts, "target": "/v1/xarf"}),
        changed("changed-path-case", {**made, "target": "/V1/notices"}),
        changed("changed-path-escaping", {**made, "target": "/v1/%6Eotices"}),
        changed("changed-path-with-dots", {**made, "target": "/v1/x/../notices"}),
        changed("changed-query-order", {**query, "target": "/v1/notices?b=2&a=1"}),
        changed("changed-query-dropped", {**query, "target": "/v1/notices"}),
        changed("changed-query-added", {**made, "target": "/v1/notices?a=1"}),
        changed("changed-status-target", {**status, "target": "/v1/notices/A-2026-000124"}),
        changed("signed-for-another-provider", GOOD.but(origin="https://notices.other.example").finish()),
        changed(
            "signed-authority-of-another-provider",
            GOOD.but(components=PARTS, origin="https://notices.other.example").finish(),
        ),
        changed("signed-for-plain-http", GOOD.but(origin="http://notices.host.example").finish()),
        changed("signed-with-explicit-port", GOOD.but(origin="https://notices.host.example:443").finish()),
        changed("signed-for-our-other-origin", GOOD.but(origin="https://second.host.example:8443").finish()),
        changed(
            "signed-authority-in-capitals",
            GOOD.but(components=PARTS, signed={"@authority": "NOTICES.host.example"}).finish(),
        ),
        changed(
            "signed-decoded-path",
            GOOD.but(target="/v1/a%2Fb", signed={"@target-uri": "https://notices.host.example/v1/a/b"}).finish(),
        ),
        changed(
            "signed-query-without-mark",
            GOOD.but(target="/v1/notices?a=1", components=(*PARTS, "@query"), signed={"@query": "a=1"}).finish(),
        ),
        changed("changed-content-type", with_header(made, "Content-Type", "application/json; charset=utf-8")),
        changed("changed-digest-header", with_header(made, "Content-Digest", digest(BODY, "sha-512"))),
        changed("changed-idempotency-key", with_header(_idempotent(), "Idempotency-Key", '"other"')),
        resigned("changed-created", str(NOW - 2), str(NOW - 1)),
        resigned("changed-expires", str(NOW + 298), str(NOW + 297)),
        resigned("changed-nonce", "nonce-0", "nonce-1"),
        resigned("changed-keyid", "a-ed25519", "b-ed25519"),
        resigned(
            "changed-parameter-order",
            f";created={NOW - 2};expires={NOW + 298}",
            f";expires={NOW + 298};created={NOW - 2}",
        ),
        resigned("changed-component-order", '"@method" "@target-uri"', '"@target-uri" "@method"'),
        resigned("component-added-afterwards", '"content-digest")', '"content-digest" "host")'),
        resigned("algorithm-added-afterwards", ";tag=", ';alg="ed25519";tag='),
        changed("component-taken-out-afterwards", _without_host()),
        changed(
            "signature-of-another-request",
            with_header(made, "Signature", header(GOOD.but(body=BODY + b" ").finish(), "Signature")),
        ),
    ]


def _idempotent() -> dict[str, Any]:
    draft = GOOD.but(extra=(("Idempotency-Key", '"k"'),), components=(*GOOD.components, "idempotency-key"))
    return draft.finish()


def _without_host() -> dict[str, Any]:
    made = GOOD.but(components=(*GOOD.components, "host")).finish()
    return with_header(made, "Signature-Input", header(made, "Signature-Input").replace(' "host")', ")"))


def _digests() -> list[Case]:
    def digested(name: str, value: str) -> Case:
        return bad(name, 401, "bad-digest", GOOD.but(content_digest=value))

    made = GOOD.finish()
    right, wrong = digest(BODY), digest(b"other")
    bodies = {
        "body-changed": BODY.replace(b"000123", b"000124"),
        "body-with-final-line-end": BODY + b"\n",
        "body-cut-short": BODY[:-1],
        "body-laid-out-anew": BODY.replace(b",", b", "),
    }
    return [
        *(bad(name, 401, "bad-digest", {**made, "body": b64(body)}) for name, body in bodies.items()),
        bad("body-taken-away", 401, "bad-digest", {**made, "body": ""}),
        digested("digest-of-another-body", wrong),
        digested("digest-sha-512-of-another-body", digest(b"other", "sha-512")),
        digested("digest-md5-only", f"md5=:{b64(hashlib.md5(BODY).digest())}:"),
        digested("digest-sha-1-only", f"sha=:{b64(hashlib.sha1(BODY).digest())}:"),
        digested("digest-with-unknown-beside", f"{right}, md5=:{b64(hashlib.md5(BODY).digest())}:"),
        digested("digest-one-of-two-wrong", f"{right}, {digest(b'other', 'sha-512')}"),
        digested("digest-other-of-two-wrong", f"{wrong}, {digest(BODY, 'sha-512')}"),
        digested("digest-twice-last-right", f"{wrong}, {right}"),
        digested("digest-twice-both-right", f"{right}, {right}"),
        digested("digest-in-hexadecimal", f'sha-256="{hashlib.sha256(BODY).hexdigest()}"'),
        digested("digest-cut-short", f"sha-256=:{b64(hashlib.sha256(BODY).digest()[:16])}:"),
        digested("digest-of-no-bytes", "sha-256=::"),
        digested("digest-empty", ""),
        digested("digest-without-value", "sha-256"),
        digested("digest-not-a-dictionary", f":{b64(hashlib.sha256(BODY).digest())}:"),
        digested("digest-name-in-capitals", f"SHA-256=:{b64(hashlib.sha256(BODY).digest())}:"),
        digested("digest-old-style", f"SHA-256={b64(hashlib.sha256(BODY).digest())}"),
    ]
