"""One request to one address, head only: the body stays in the kernel and goes with the connection."""

from __future__ import annotations

import errno
import http.client
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

from receiver.domain.errors import ReceiverError
from receiver.domain.web import NO_ROUTE
from receiver.net.guard import Address
from receiver.net.sockets import BudgetSocket, TooManyBytesError, connect, wrap_tls
from receiver.outside.judge import Answer, read_answer

__all__ = ["CONNECT_SECONDS", "TOTAL_SECONDS", "Question", "UnansweredError", "ask"]

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 10.0
MAX_HEAD_BYTES = 32_768
_NO_IPV6 = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class UnansweredError(ReceiverError):
    """No answer that could be read. `note` is the slug that the look keeps."""

    def __init__(self, note: str) -> None:
        super().__init__(f"the look got no answer: {note}")
        self.note = note


@dataclass(frozen=True, kw_only=True, repr=False)
class Question:
    """What is asked: the request target goes out byte for byte."""

    scheme: str
    host: str
    authority: str
    request_target: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return "Question(<url>)"


class _HeadOnly(http.client.HTTPConnection):
    """Talks over a socket that was connected before; never connects by itself."""

    auto_open = 0


def ask(
    question: Question,
    address: Address,
    context: ssl.SSLContext,
    *,
    connect_seconds: float = CONNECT_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
) -> Answer:
    """Ask and hang up. Raises UnansweredError, never anything else for what the other side does."""
    until = time.monotonic() + total_seconds
    sock = _connect(address, connect_seconds)
    try:
        if question.scheme == "https":
            sock = wrap_tls(sock, context, server_name=question.host, seconds=connect_seconds)
        sock.heads_only, sock.limit_bytes = True, MAX_HEAD_BYTES
        sock.settimeout(max(until - time.monotonic(), 0.001))
        return _exchange(question, sock)
    except TimeoutError as exc:
        raise UnansweredError("timeout") from exc
    except TooManyBytesError as exc:
        raise UnansweredError("long_head") from exc
    except ssl.SSLError as exc:
        raise UnansweredError("tls") from exc
    except (OSError, ValueError, http.client.HTTPException):
        # The cause may quote what the server sent.
        raise UnansweredError("protocol") from None
    finally:
        sock.close()


def _connect(address: Address, seconds: float) -> BudgetSocket:
    try:
        return connect(address, seconds=seconds)
    except TimeoutError as exc:
        raise UnansweredError("connect_timeout") from exc
    except OSError as exc:
        missing = ":" in address.ip and exc.errno in _NO_IPV6
        raise UnansweredError(NO_ROUTE if missing else "connect") from exc


def _exchange(question: Question, sock: BudgetSocket) -> Answer:
    conn = _HeadOnly(question.authority)
    conn.sock = sock
    conn.putrequest("GET", question.request_target, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": question.authority, **question.headers, "Connection": "close"}.items():
        conn.putheader(name, value)
    conn.endheaders()
    with conn.getresponse() as response:
        headers: dict[str, str] = {}
        for name, value in response.getheaders():
            headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
        return read_answer(response.status, headers)
