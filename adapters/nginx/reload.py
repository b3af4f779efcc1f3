"""Testing and reloading nginx, and seeing that the old configuration answers nobody any more."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Optional
from urllib.parse import urlsplit

from adapters.contract import Denied, Retryable
from adapters.nginx.workers import title_of, workers_of

COMMAND_SECONDS = 60.0
SAME_ANSWERS = 5


class Reloader:
    """How this nginx is told to read its configuration again.

    Args:
        command: what to run; empty to send SIGHUP to the process in `pid_file` instead.
        test: what to run before, or None: nginx then keeps its old configuration when the new one is bad.
        pid_file: nginx's own; with it the reload is seen through by watching its worker processes.
        generation_url: a page that answers with the generation, for an nginx in another container.
        wait_seconds: how long a reload may take.
    """

    def __init__(
        self,
        command: Sequence[str],
        test: Optional[Sequence[str]] = None,
        pid_file: str = "",
        generation_url: str = "",
        wait_seconds: float = 20.0,
    ) -> None:
        if not command and not pid_file:
            raise ValueError("nginx needs reload_command, or pid_file to send the signal itself")
        if generation_url and urlsplit(generation_url).scheme != "http":
            raise ValueError("generation_url must be an http:// address on this machine")
        self._command, self._test = tuple(command), tuple(test or ())
        self._pid_file, self._generation_url = pid_file, generation_url
        self._wait_seconds = wait_seconds
        self._count, self._running = threading.Lock(), threading.Lock()
        self._asked = self._done = 0

    @property
    def sees_effect(self) -> bool:
        return bool(self._pid_file or self._generation_url)

    def check_configuration(self) -> None:
        """Raises Retryable when nginx refuses its configuration."""
        if self._test and _run(self._test) != 0:
            raise Retryable("nginx refuses its configuration; run its test command by hand to see", after_seconds=60)

    def reload(self, generation: str = "") -> None:
        """Return once no worker with the old configuration takes connections. Waiting callers share one reload."""
        with self._count:
            self._asked += 1
            mine = self._asked
        with self._running:
            if self._done >= mine and not generation:
                return
            with self._count:
                upto = self._asked
            self._reload_now(generation)
            self._done = upto

    def _reload_now(self, generation: str) -> None:
        master = self._master()
        before = workers_of(master) if master else set()
        if self._command:
            if _run(self._command) != 0:
                raise Retryable("nginx could not be told to reload; run its reload command by hand to see why")
        elif master:
            self._signal(master)
        if master:
            self._await(lambda: _taken_over(master, before))
        if self._generation_url and generation:
            self._await(lambda: self._answers(generation))

    def _master(self) -> int:
        if not self._pid_file:
            return 0
        try:
            with open(self._pid_file, encoding="ascii") as file:
                master = int(file.read().strip())
        except (FileNotFoundError, ValueError) as exc:
            raise Retryable("nginx does not seem to run: its pid file names no process") from exc
        if not title_of(master):
            raise Retryable("nginx does not run")
        return master

    def _signal(self, master: int) -> None:
        try:
            os.kill(master, signal.SIGHUP)
        except ProcessLookupError as exc:
            raise Retryable("nginx does not run") from exc
        except PermissionError as exc:
            raise Denied("the agent may not signal nginx: run it as the user of nginx's master process") from exc

    def _await(self, reached: Callable[[], bool]) -> None:
        until = time.monotonic() + self._wait_seconds
        while not reached():
            if time.monotonic() > until:
                raise Retryable("nginx did not take over the new configuration in time; see its error log")
            time.sleep(0.01)

    def _answers(self, generation: str) -> bool:
        return all(self._answer() == generation.encode("ascii") for _ in range(SAME_ANSWERS))

    def _answer(self) -> bytes:
        where = urlsplit(self._generation_url)
        link = http.client.HTTPConnection(where.hostname or "127.0.0.1", where.port or 80, timeout=2)
        try:
            link.request("GET", where.path or "/", headers={"Connection": "close"})
            return link.getresponse().read(200).strip()
        except (OSError, http.client.HTTPException):
            return b""
        finally:
            link.close()


def _run(command: Sequence[str]) -> int:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError as exc:
        raise Denied("a configured nginx command does not exist; give its full path") from exc
    except subprocess.TimeoutExpired as exc:
        raise Retryable("an nginx command did not end in time") from exc
    return done.returncode


def _taken_over(master: int, before: set[int]) -> bool:
    """Every old worker has stopped taking connections, and a new one takes them."""
    if not title_of(master):
        raise Retryable("nginx does not run")
    now = workers_of(master)
    return not before & now and bool(now)
