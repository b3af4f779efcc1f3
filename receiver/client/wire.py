"""One HTTP exchange from the issuer's side: no redirects, no proxies, nothing added to what was signed."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from receiver.client.errors import ClientError

MAX_ANSWER_BYTES = 8 * 1024 * 1024
TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Got:
    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        return next((value for given, value in self.headers if given.lower() == name), None)


def origin_of(address: str) -> str:
    """`https://notices.host.example` from any address there, as receivers write their origin. Raises ClientError."""
    parts = _split(address)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    usual = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, usual) else f":{parts.port}")


def exchange(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    ca_file: Path | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Got:
    """Send exactly these headers beside `Host` and `Content-Length`. Raises ClientError."""
    parts = _split(url)
    conn = _connection(parts, ca_file, timeout_seconds)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        conn.request(method, target, body=body or None, headers=dict(headers))
        response = conn.getresponse()
        data = response.read(MAX_ANSWER_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise ClientError(
            f"no answer from the receiver ({type(error).__name__}); check the address and try again"
        ) from error
    finally:
        conn.close()
    if len(data) > MAX_ANSWER_BYTES:
        raise ClientError("the answer is larger than a receiver's answer can be; check the address")
    return Got(status=response.status, headers=tuple(response.getheaders()), body=data)


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        if parts.scheme in ("https", "http") and parts.hostname and parts.port != 0 and not parts.username:
            return parts
    except ValueError:
        pass
    raise ClientError("the receiver's address must look like https://notices.host.example")


def _connection(parts: SplitResult, ca_file: Path | None, timeout_seconds: float) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=timeout_seconds)
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        raise ClientError("the file of certificate authorities cannot be read; give a PEM file") from error
    return http.client.HTTPSConnection(host, parts.port, timeout=timeout_seconds, context=context)
