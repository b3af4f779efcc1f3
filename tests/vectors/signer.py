"""Signs requests by hand, right or wrong on purpose. It shares no code with the receiver, so that both cannot agree on
the same mistake."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils

ORIGIN = "https://notices.host.example"
HOST = "notices.host.example"
NOW = 1795339800  # 2026-11-22T09:30:00Z
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
COMPONENTS = ("@method", "@target-uri", "content-type", "content-digest")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def digest(body: bytes, name: str = "sha-256") -> str:
    return f"{name}=:{b64(hashlib.new(name.replace('-', ''), body).digest())}:"


def pss_sign(key: rsa.RSAPrivateKey, message: bytes, *, name: str = "sha512", salt_bytes: int = 64) -> bytes:
    """RSASSA-PSS with a salt made of the message, so that making the vectors again changes nothing."""
    numbers = key.private_numbers()
    n, d = numbers.public_numbers.n, numbers.d
    size = hashlib.new(name).digest_size
    length = (n.bit_length() - 1 + 7) // 8
    salt = hashlib.shake_256(b"salt" + message).digest(salt_bytes)
    inner = hashlib.new(name, bytes(8) + hashlib.new(name, message).digest() + salt).digest()
    block = bytes(length - salt_bytes - size - 2) + b"\x01" + salt
    mask = b"".join(
        hashlib.new(name, inner + counter.to_bytes(4)).digest() for counter in range(-(-len(block) // size))
    )
    masked = bytearray(one ^ other for one, other in zip(block, mask, strict=False))
    masked[0] &= 0xFF >> (8 * length - (n.bit_length() - 1))
    signature: int = pow(int.from_bytes(bytes(masked) + inner + b"\xbc"), d, n)
    return signature.to_bytes(-(-n.bit_length() // 8))


def sign(key: PrivateKey, base: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(base)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = utils.decode_dss_signature(key.sign(base, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        return r.to_bytes(32) + s.to_bytes(32)
    return pss_sign(key, base)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A request before it is signed. Every field can be made wrong on its own."""

    key: Any
    keyid: str = "a-ed25519"
    method: str = "POST"
    target: str = "/v1/notices"
    host: str | None = HOST
    body: bytes = b""
    content_type: str | None = "application/json"
    content_digest: str | None = "auto"
    extra: tuple[tuple[str, str], ...] = ()
    components: tuple[str, ...] = COMPONENTS
    """Names, or serialised items when they start with a quote or a bracket."""
    params: tuple[tuple[str, str | None], ...] = ()
    """Changes to the default parameters, as written; None leaves one out."""
    label: str = "sig1"
    signed: dict[str, str] = field(default_factory=dict)
    """Values to sign instead of the true ones."""
    signer: Callable[[Any, bytes], bytes] = sign
    origin: str = ORIGIN

    def but(self, **changes: Any) -> Draft:
        return replace(self, **changes)

    def lines(self) -> list[tuple[str, str]]:
        lines = [] if self.host is None else [("Host", self.host)]
        if self.content_type is not None and self.body:
            lines.append(("Content-Type", self.content_type))
        if self.content_digest is not None and self.body:
            lines.append(
                ("Content-Digest", digest(self.body) if self.content_digest == "auto" else self.content_digest)
            )
        return [*lines, *self.extra]

    def params_text(self) -> str:
        known: dict[str, str | None] = {
            "created": str(NOW - 2),
            "expires": str(NOW + 298),
            "keyid": f'"{self.keyid}"',
            "nonce": '"nonce-0123456789abcdef"',
            "tag": '"takedown-notice"',
        }
        known.update(dict(self.params))
        items = " ".join(_quoted(name) for name in self.components)
        return f"({items})" + "".join(f";{name}={value}" for name, value in known.items() if value is not None)

    def base(self) -> bytes:
        lines = [f"{_quoted(name)}: {self.value(name)}" for name in self.components]
        return "\n".join([*lines, f'"@signature-params": {self.params_text()}']).encode("latin-1")

    def value(self, name: str) -> str:
        if name in self.signed:
            return self.signed[name]
        path, mark, query = self.target.partition("?")
        derived = {
            "@method": self.method,
            "@target-uri": self.origin + self.target,
            "@authority": self.origin.partition("://")[2],
            "@scheme": self.origin.partition("://")[0],
            "@request-target": self.target,
            "@path": path,
            "@query": "?" + query if mark else "?",
        }
        values = [value.strip(" \t") for known, value in self.lines() if known.lower() == name]
        return derived.get(name, ", ".join(values))

    def signature(self) -> bytes:
        return self.signer(self.key, self.base())

    def finish(self) -> dict[str, Any]:
        """The request as it goes out."""
        made = [
            ("Signature-Input", f"{self.label}={self.params_text()}"),
            ("Signature", f"{self.label}=:{b64(self.signature())}:"),
        ]
        return request(self.method, self.target, [*self.lines(), *made], self.body)


def _quoted(name: str) -> str:
    """Names with a quote, a colon or a digit in front are written as they stand."""
    return name if name[:1] in '":0123456789' else f'"{name}"'


def request(method: str, target: str, lines: Sequence[tuple[str, str]], body: bytes) -> dict[str, Any]:
    return {"method": method, "target": target, "headers": [list(line) for line in lines], "body": b64(body)}


def with_header(made: dict[str, Any], name: str, value: str | None) -> dict[str, Any]:
    """The finished request with one header replaced, added, or (None) left out."""
    lines = [line for line in made["headers"] if line[0].lower() != name.lower()]
    return {**made, "headers": lines if value is None else [*lines, [name, value]]}


def header(made: dict[str, Any], name: str) -> str:
    value: str = next(value for known, value in made["headers"] if known.lower() == name.lower())
    return value


def with_line(made: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    return {**made, "headers": [*made["headers"], [name, value]]}
