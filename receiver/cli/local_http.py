"""One small request to our own faces on this machine: no proxy, no redirect, bounded in time and size."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from receiver.cli.base import UnreachableError

SECONDS = 10.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    status: int
    body: Any
    """Parsed where it is JSON, else None."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def base_url(bind: str, *, tls: bool = False) -> str:
    """Where something that is bound so can be reached from this machine."""
    if bind.startswith("unix:"):
        return bind
    host, _, port = bind.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    bare = _EVERYWHERE.get(bare, bare)
    shown = f"[{bare}]" if ":" in bare else bare
    return f"{'https' if tls else 'http'}://{shown}:{port}"


def ask(
    base: str,
    method: str,
    path: str,
    *,
    token: str | None = None,
    body: Mapping[str, Any] | None = None,
    seconds: float = SECONDS,
    own_certificate: bool = False,
) -> Asked:
    """Raises UnreachableError. `own_certificate`: it is ourselves here, whatever name the certificate has."""
    headers = {"Accept": "application/json"}
    data = None
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    try:
        with contextlib.closing(_connection(base, seconds=seconds, own_certificate=own_certificate)) as connection:
            connection.request(method, path, body=data, headers=headers)
            answer = connection.getresponse()
            text = answer.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(
            f"nothing answered at {base} ({type(error).__name__}); is it running, and is this its address?"
        ) from error
    return Asked(status=answer.status, body=_parsed(text))


def _connection(base: str, *, seconds: float, own_certificate: bool) -> http.client.HTTPConnection:
    if base.startswith("unix:"):
        return _UnixConnection(base.removeprefix("unix:"), timeout=seconds)
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address must be an http or https address")
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
    context = ssl.create_default_context()
    if own_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=seconds, context=context)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
