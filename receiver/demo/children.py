"""Starts and stops what a demonstration consists of. Only what was started here is ever stopped."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from receiver.demo.commands import environment
from receiver.demo.errors import DemoError

POLL_SECONDS = 0.02
START_SECONDS = 20.0
STOP_SECONDS = 40.0
PORT_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class Child:
    """One process in a group of its own, so that Ctrl-C reaches the demo alone, which then ends all in order."""

    def __init__(self, name: str, argv: Sequence[str], *, log: Path, pid_file: Path, orphan_signal: int) -> None:
        """`orphan_signal`: what it gets from the kernel should the demo itself be killed."""
        self.name = name
        self._log, self._pid_file = log, pid_file
        parent = os.getpid()
        with log.open("ab") as out:
            self._from = out.tell()
            self._process = subprocess.Popen(
                list(argv),
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=lambda: _die_with(parent, orphan_signal),  # noqa: PLW1509 - no thread of ours runs yet
            )
        pid_file.write_text(f"{self._process.pid}\n", encoding="ascii")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, holds: Callable[[], bool], what: str) -> None:
        """Raises DemoError with its last words when it ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not holds():
            if not self.is_running:
                raise DemoError(f"{self.name} ended with {self._process.returncode}:\n{self._last_words()}")
            if time.monotonic() > deadline:
                raise DemoError(f"{self.name}: {what} not within {START_SECONDS:g} s:\n{self._last_words()}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> int:
        """Ask, wait, and kill only what does not listen. Returns its exit code."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pid_file.unlink(missing_ok=True)
        return int(self._process.returncode)

    def said(self) -> str:
        """All its lines since this start."""
        with self._log.open("rb") as log:
            log.seek(self._from)
            return log.read().decode("utf-8", errors="replace")

    def _last_words(self) -> str:
        return "\n".join(self.said().splitlines()[-10:]) or "it said nothing"


def _die_with(parent: int, number: int) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until_free(ports: Sequence[int]) -> None:
    """What a killed demo left may hold its ports a moment longer. Raises DemoError."""
    deadline = time.monotonic() + PORT_SECONDS
    for port in ports:
        while not _is_free(port):
            if time.monotonic() > deadline:
                raise DemoError(
                    f"port {port} of this demo is taken by another program; end that, or begin anew with another --dir"
                )
            time.sleep(POLL_SECONDS)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
