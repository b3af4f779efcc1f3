"""Wake-up calls between processes of one machine: an empty datagram to every socket in one folder."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import select
import socket
from pathlib import Path

_SUFFIX = ".wake"
_log = logging.getLogger(__name__)


def call_sockets(folder: Path) -> None:
    """Wake all listeners. A full socket already has its call; one that nobody reads any more is cleared away."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as caller:
            for name in os.listdir(handle):
                if name.endswith(_SUFFIX):
                    _call(caller, handle, name)
    finally:
        os.close(handle)


def _call(caller: socket.socket, folder: int, name: str) -> None:
    try:
        caller.sendto(b"", _address(folder, name))
    except (BlockingIOError, FileNotFoundError):
        return
    except ConnectionRefusedError:
        # Its process died; anything but a socket is none of ours.
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(name, dir_fd=folder)
    except OSError as error:
        # It notices by itself within a second.
        _log.warning("wake.failed", extra={"error": error.strerror})


def _address(folder: int, name: str) -> str:
    # A socket's address has room for 107 bytes; the path of the data folder may be longer.
    return f"/proc/self/fd/{folder}/{name}"


class SocketListener:
    """One socket in the folder, gone when it is closed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o770, parents=True, exist_ok=True)
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(_address(self._folder, self._name))
        os.chmod(self._name, 0o660, dir_fd=self._folder)
        self._closed = False

    def wait(self, timeout_seconds: float) -> bool:
        if self._closed:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(max(0.0, timeout_seconds) * 1000):
            return False
        return self._drain()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder)
        # Whoever waits in another thread returns at once instead of at its timeout.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        os.close(self._folder)

    def _drain(self) -> bool:
        heard = False
        with contextlib.suppress(BlockingIOError, OSError):
            while not self._closed:
                self._socket.recv(16)
                heard = True
        return heard
