"""The published examples of RFC 9421 appendix B.2, with the keys of appendix B.1."""

from __future__ import annotations

from typing import Any, cast

import http_sf
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from receiver.verification.errors import VerificationError
from receiver.verification.fields import parse_signatures
from receiver.verification.keys import Algorithm, PublicKey
from receiver.verification.mechanics import Lines, RequestMessage, ResponseMessage, check_digest, verify_signature

RSA_PSS_KEY = b"""-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----"""
P256_KEY = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----"""
ED25519_KEY = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----"""
REQUEST_LINES = [
    ("Host", "example.com"),
    ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
    ("Content-Type", "application/json"),
    (
        "Content-Digest",
        "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
    ),
    ("Content-Length", "18"),
]
RESPONSE_LINES = [
    ("Date", "Tue, 20 Apr 2021 02:07:56 GMT"),
    ("Content-Type", "application/json"),
    (
        "Content-Digest",
        "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",
    ),
    ("Content-Length", "23"),
]
B21 = (
    'sig-b21=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
    (
        "sig-b21=:d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXa"
        "JMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZ"
        "sfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8s"
        "sinQ98Xw9Q==:"
    ),
)
B22 = (
    (
        'sig-b22=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss"'
        ';tag="header-example"'
    ),
    (
        "sig-b22=:LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB"
        "4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+"
        "H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4"
        "bXTugEjHSw==:"
    ),
)
B23 = (
    (
        'sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length")'
        ';created=1618884473;keyid="test-key-rsa-pss"'
    ),
    (
        "sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrC"
        "Ub38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1"
        "xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIzts"
        "DZKEgM4cUA==:"
    ),
)
B24 = (
    'sig-b24=("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"',
    "sig-b24=:wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==:",
)
B26 = (
    (
        'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473'
        ';keyid="test-key-ed25519"'
    ),
    "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
)
Example = tuple[tuple[str, str], Algorithm, bytes]
EXAMPLES: dict[str, Example] = {
    "b21": (B21, Algorithm.RSA_PSS_SHA512, RSA_PSS_KEY),
    "b22": (B22, Algorithm.RSA_PSS_SHA512, RSA_PSS_KEY),
    "b23": (B23, Algorithm.RSA_PSS_SHA512, RSA_PSS_KEY),
    "b24": (B24, Algorithm.ECDSA_P256_SHA256, P256_KEY),
    "b26": (B26, Algorithm.ED25519, ED25519_KEY),
}


def _message(example: Example, **changes: Any) -> RequestMessage | ResponseMessage:
    (given, signature), _, _ = example
    made = [("Signature-Input", given), ("Signature", signature)]
    request = RequestMessage(
        method=changes.get("method", "POST"),
        url="https://example.com/foo?param=Value&Pet=dog",
        headers=Lines([*REQUEST_LINES, *made]),
    )
    if "@status" not in given:
        return request
    return ResponseMessage(
        status_code=changes.get("status", 200), headers=Lines([*RESPONSE_LINES, *made]), request=request
    )


def _verify(example: Example, message: RequestMessage | ResponseMessage) -> dict[str, Any]:
    (given, signature), algorithm, key = example
    lines = [("Signature-Input", given), ("Signature", signature)]
    candidate = parse_signatures(lines, max_signatures=4)[0]
    return verify_signature(
        message,
        tag=cast("str", candidate.params.get("tag")),  # our own messages always have one; most examples have none
        label=cast("str", candidate.label if "tag" in candidate.params else None),
        algorithm=algorithm,
        public_key=cast("PublicKey", load_pem_public_key(key)),
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_published_example_verifies(name: str) -> None:
    example = EXAMPLES[name]
    covered = _verify(example, _message(example))
    assert len(covered) == example[0][0].split(")")[0].count('"') // 2 - (name == "b22")


@pytest.mark.parametrize(
    ("name", "changes"), [("b23", {"method": "PUT"}), ("b24", {"status": 404}), ("b26", {"method": "GET"})]
)
def test_changed_example_is_refused(name: str, changes: dict[str, Any]) -> None:
    example = EXAMPLES[name]
    with pytest.raises(VerificationError):
        _verify(example, _message(example, **changes))


def test_published_digests_match_bodies() -> None:
    check_digest(dict(REQUEST_LINES)["Content-Digest"], b'{"hello": "world"}')
    check_digest(dict(RESPONSE_LINES)["Content-Digest"], b'{"message": "good dog"}')


def test_repeated_lines_keep_their_names() -> None:
    lines = Lines([("Signature", "a"), ("signature", "b")])
    assert [name for name, _ in lines.items()] == ["Signature", "signature"]
    assert "SIGNATURE" in lines


def test_reader_without_members_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the library read a header as anything but a dictionary, the request is malformed, and nothing crashes."""
    monkeypatch.setattr(http_sf, "parse", lambda *_args, **_more: ["sig1"])
    with pytest.raises(VerificationError) as caught:
        parse_signatures([("Signature-Input", "sig1=()"), ("Signature", "sig1=:AA==:")], max_signatures=4)
    assert caught.value.reason == "malformed-signature"
