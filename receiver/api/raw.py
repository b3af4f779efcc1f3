"""A request as it came in, before anything reads it: raw target, header lines, body bytes within their limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from receiver.domain.notice import UnverifiedRequest
from receiver.services.errors import cut_short, too_large

CHUNK_BYTES = 64 * 1024
Environ = dict[str, Any]


def read_request(environ: Environ, *, max_body_bytes: int) -> UnverifiedRequest:
    """Never decodes, joins or repairs. Raises RefusedError 400 or 413."""
    return UnverifiedRequest(
        method=environ["REQUEST_METHOD"],
        target=environ["RAW_URI"],
        headers=tuple(_header_lines(environ)),
        body=_read_body(environ, max_body_bytes),
    )


def _header_lines(environ: Environ) -> Iterator[tuple[str, str]]:
    """In the order in which the server put them; it joins repeated lines, which no signature then covers."""
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield _name(key.removeprefix("HTTP_")), value
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            yield _name(key), value


def _name(key: str) -> str:
    return key.replace("_", "-").title()


def _read_body(environ: Environ, max_body_bytes: int) -> bytes:
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared and not (declared.isascii() and declared.isdigit()):
        raise cut_short()
    if declared and int(declared) > max_body_bytes:
        raise too_large(max_body_bytes)
    if not declared and "HTTP_TRANSFER_ENCODING" not in environ:
        return b""
    stream, parts, size = environ["wsgi.input"], [], 0
    try:
        while chunk := stream.read(min(CHUNK_BYTES, max_body_bytes + 1 - size)):
            parts.append(chunk)
            size += len(chunk)
            if size > max_body_bytes:
                raise too_large(max_body_bytes)
    except OSError as error:
        raise cut_short() from error
    if declared and size != int(declared):
        raise cut_short()
    return b"".join(parts)
