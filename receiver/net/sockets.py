"""Sockets whose timeout is a budget for everything until it is set again, not for each single read.

With ordinary sockets a peer that sends one byte a second is never too slow. Here all reads and writes after a
`settimeout` share its seconds, and all reads share a limit of bytes where one is set.
"""

from __future__ import annotations

import ctypes
import errno
import io
import math
import os
import select
import socket
import ssl
import time
from typing import Any

from receiver.net.guard import Address

__all__ = ["BudgetSSLSocket", "BudgetSocket", "HeadFile", "TooManyBytesError", "connect", "tls_context", "wrap_tls"]


# The system's own call, without giving up the interpreter for it: where nothing has come it does not wait, and a head
# is hundreds of small pieces, between each two of which another thread would take its turn.
_recv_now = ctypes.PyDLL(None, use_errno=True).recv
_recv_now.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_recv_now.restype = ctypes.c_ssize_t


class TooManyBytesError(OSError):
    """The peer sent more than the limit."""


class BudgetSocket(socket.socket):
    """A TCP socket with a budget."""

    _deadline: float | None = None
    limit_bytes: int | None = None
    """How many bytes may be read in all; None for no limit."""
    got_bytes: int = 0
    _piece: ctypes.Array[ctypes.c_char] = ctypes.create_string_buffer(0)
    heads_only = False
    """Files made of it read heads, so that nothing past one is ever in our memory."""

    def settimeout(self, value: float | None, /) -> None:
        self._deadline = None if value is None else time.monotonic() + value
        super().settimeout(value)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._arm()
        return self._count(super().recv_into(*args, **kwargs))

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        self._arm()
        data = super().recv(*args, **kwargs)
        self._count(len(data))
        return data

    def send(self, *args: Any, **kwargs: Any) -> int:
        self._arm()
        return super().send(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self._arm()
        super().sendall(*args, **kwargs)

    def take(self, size: int) -> bytes:
        """As `recv`, for many small pieces: the system is asked to wait only where nothing has come."""
        if self._deadline is None:
            return self.recv(size)
        if len(self._piece) < size:
            self._piece = ctypes.create_string_buffer(size)
        while True:
            left = self._left()
            got = _recv_now(self.fileno(), self._piece, size, socket.MSG_DONTWAIT)
            if got >= 0:
                self._count(got)
                return self._piece.raw[:got]
            _wait_for_more(self, ctypes.get_errno(), left)

    def makefile(self, mode: Any = "r", buffering: int | None = None, **kwargs: Any) -> Any:
        if self.heads_only and mode == "rb":
            return HeadFile(self)
        return super().makefile(mode, buffering, **kwargs)

    def _arm(self) -> None:
        if self._deadline is not None:
            super().settimeout(self._left())

    def _left(self) -> float:
        """Seconds of the budget. Raises TimeoutError where none is left."""
        left = math.inf if self._deadline is None else self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for this exchange is used up")
        return left

    def _count(self, got: int) -> int:
        self.got_bytes += got
        if self.limit_bytes is not None and self.got_bytes > self.limit_bytes:
            raise TooManyBytesError("the peer sent more bytes than are read")
        return got


def _wait_for_more(sock: socket.socket, number: int, seconds: float) -> None:
    """Until there is something to read, or the seconds are over. Raises OSError for any other error number."""
    if number == errno.EINTR:
        return
    if number not in (errno.EAGAIN, errno.EWOULDBLOCK):
        raise OSError(number, os.strerror(number))
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    waiting.poll(seconds * 1000)


class BudgetSSLSocket(ssl.SSLSocket, BudgetSocket):
    """The same over TLS. SSLSocket receives through `read`, and OpenSSL keeps each call to the time that is left."""

    def do_handshake(self, block: bool = False) -> None:
        self._arm()
        super().do_handshake(block)

    def read(self, *args: Any, **kwargs: Any) -> Any:
        self._arm()
        got: Any = super().read(*args, **kwargs)
        self._count(got if isinstance(got, int) else len(got))
        return got

    def send(self, *args: Any, **kwargs: Any) -> int:
        self._arm()
        return super().send(*args, **kwargs)

    def take(self, size: int) -> bytes:
        """What OpenSSL has deciphered already needs no wait, and so no time to be set for one."""
        if not self.pending():
            return self.recv(size)
        self._left()
        data: bytes = super().read(size)
        self._count(len(data))
        return data


_LF, _CR = 10, 13


class HeadFile(io.RawIOBase):
    """The lines of an answer's head, or of several; not one byte is taken from beyond the blank line of the last."""

    def __init__(self, sock: BudgetSocket) -> None:
        self._sock = sock
        self._held = b""
        self._last = self._before = _LF

    def readable(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> bytes:
        limit = -1 if size is None else size
        held = [self._held]
        length, piece = len(self._held), self._held
        while b"\n" not in piece and not 0 <= limit <= length:
            piece = self._take()
            if not piece:
                break
            held.append(piece)
            length += len(piece)
        joined = b"".join(held)
        end = joined.find(b"\n") + 1 or length
        end = end if limit < 0 else min(end, limit)
        self._held = joined[end:]
        return joined[:end]

    def _take(self) -> bytes:
        """At the start of a line one byte may end the head; within one it takes two, as some servers leave out CR."""
        starts = self._last == _LF or (self._last == _CR and self._before == _LF)
        piece = self._sock.take(1 if starts else 2)
        for byte in piece:
            self._before, self._last = self._last, byte
        return piece


def connect(address: Address, *, seconds: float) -> BudgetSocket:
    """Connect to exactly this address. Raises OSError; TimeoutError is one."""
    sock = BudgetSocket(address.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.settimeout(seconds)
        sock.connect((address.ip, address.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        raise
    return sock


def tls_context(ca_file: str | None, default_ca_file: str) -> ssl.SSLContext:
    """Verifies names and chains; `ca_file` adds the operator's own authorities to the usual ones."""
    context = ssl.create_default_context(cafile=default_ca_file)
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = BudgetSSLSocket
    return context


def wrap_tls(sock: BudgetSocket, context: ssl.SSLContext, *, server_name: str, seconds: float) -> BudgetSSLSocket:
    """Shake hands within the seconds, for this name. Raises ssl.SSLError or OSError and closes the socket."""
    try:
        sock.settimeout(seconds)
        wrapped = context.wrap_socket(sock, server_hostname=server_name)
    except (OSError, ValueError):
        sock.close()
        raise
    assert isinstance(wrapped, BudgetSSLSocket)
    return wrapped
