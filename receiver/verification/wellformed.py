"""Steps 1 to 4 of the checklist: is this a request at all, is it for us, and is it JSON? No key is touched."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from receiver.domain.notice import UnverifiedRequest
from receiver.verification.errors import VerificationError
from receiver.verification.fields import Lines, single, values_of

LINE_OVERHEAD_BYTES = 4  # ": " and the line end
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_ORIGIN_FORM = re.compile(rf"/(?!/){_CHARACTER}*(?:\?(?:{_CHARACTER}|\?)*)?", re.ASCII)
_CHARSET = re.compile(r'charset=(?:utf-8|"utf-8")', re.IGNORECASE)
_ONCE = ("host", "content-type", "content-digest", "content-length", "content-encoding", "idempotency-key")
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, kw_only=True)
class VerificationLimits:
    """The protocol's figures; an operator may lower sizes, the rest is fixed."""

    max_body_bytes: int = 1024 * 1024
    max_header_bytes: int = 32 * 1024
    max_signature_header_bytes: int = 8 * 1024
    max_signatures: int = 4
    max_components: int = 24
    clock_skew_seconds: int = 30
    max_lifetime_seconds: int = 300
    min_nonce_characters: int = 16
    max_nonce_characters: int = 128


DEFAULT_LIMITS = VerificationLimits()


def check_sizes(request: UnverifiedRequest, limits: VerificationLimits) -> None:
    """Raises VerificationError 413 or 431."""
    if len(request.body) > limits.max_body_bytes:
        raise VerificationError("body-too-large", 413)
    if len(request.target) + _size(request.headers) > limits.max_header_bytes:
        raise VerificationError("headers-too-large", 431)
    ours = [(name, value) for name, value in request.headers if name.lower() in {"signature", "signature-input"}]
    if _size(ours) > limits.max_signature_header_bytes:
        raise VerificationError("signature-headers-too-large", 431)


def _size(lines: Lines) -> int:
    return sum(len(name) + len(value) + LINE_OVERHEAD_BYTES for name, value in lines)


def check_form(request: UnverifiedRequest) -> None:
    """Raises VerificationError 400 for what two servers could read in two ways."""
    if request.method not in {"GET", "POST"}:
        raise VerificationError("method-not-taken", 400)
    if not _ORIGIN_FORM.fullmatch(request.target):
        raise VerificationError("target-not-origin-form", 400)
    for name, value in request.headers:
        if not _HEADER_NAME.fullmatch(name) or _FORBIDDEN_IN_VALUE.search(value):
            raise VerificationError("malformed-header", 400)
    for name in _ONCE:
        single(request.headers, name)
    _check_framing(request)


def _check_framing(request: UnverifiedRequest) -> None:
    length = single(request.headers, "content-length")
    if any(coding.lower() != "chunked" for coding in values_of(request.headers, "transfer-encoding")):
        # A proxy may undo a coding that our server passes through, and then two bodies were signed for.
        raise VerificationError("transfer-coding", 400)
    if length is not None:
        if values_of(request.headers, "transfer-encoding"):
            raise VerificationError("two-lengths", 400)
        if not re.fullmatch(r"[0-9]{1,12}", length) or int(length) != len(request.body):
            raise VerificationError("wrong-length", 400)
    if request.method == "GET" and request.body:
        raise VerificationError("body-not-expected", 400)


def choose_origin(request: UnverifiedRequest, origins: tuple[str, ...]) -> str:
    """The configured origin that the issuer meant. Raises VerificationError 400 without Host, 421 for a foreign one.

    The URL that is verified is built from this value, never from `Host` or `X-Forwarded-*`: else a request signed for
    another provider could be replayed here.
    """
    host = single(request.headers, "host")
    if not host:
        raise VerificationError("no-host", 400)
    for origin in origins:
        parts = urlsplit(origin)
        port = _DEFAULT_PORTS.get(parts.scheme)
        if _authority(host, port) == _authority(parts.netloc, port):
            return f"{parts.scheme}://{_authority(parts.netloc, port)}"
    raise VerificationError("foreign-authority", 421)


def _authority(text: str, default_port: int | None) -> str:
    return text.lower().removesuffix(f":{default_port}")


def check_content(request: UnverifiedRequest, content_types: Collection[str]) -> None:
    """Raises VerificationError 415 unless the body is plain UTF-8 JSON of an expected type."""
    coding = single(request.headers, "content-encoding")
    if coding is not None and coding.lower() != "identity":
        raise VerificationError("content-encoding", 415)
    if not request.body and request.method == "GET":
        return
    given = single(request.headers, "content-type")
    media_type, *params = (given or "").split(";")
    if media_type.strip(" \t").lower() not in content_types:
        raise VerificationError("content-type", 415)
    if len(params) > 1 or any(not _CHARSET.fullmatch(param.strip(" \t")) for param in params):
        raise VerificationError("charset", 415)
