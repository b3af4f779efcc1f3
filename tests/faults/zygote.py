"""Forks processes that may die. Everything is imported once, so that a new one costs a fork and not a start.

It has one thread and opens nothing, so what it forks is like a fresh process.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import structlog

from receiver.domain.errors import StoreUnavailableError
from receiver.store import postgres
from tests.faults import points
from tests.faults.points_orders import ORDERS
from tests.faults.points_process import PATIENCE_SECONDS, Process, Setup
from tests.faults.points_wire import Fuse, Line, taken_apart, wire_commits

START_SECONDS = 120.0
IMPORTED_BEFORE = (postgres,)
"""The store imports it late; a forked process should find it."""


def serve(address: str) -> None:
    """Until the test goes away: fork on demand, and say how each ended."""
    with Client(address, "AF_UNIX") as orders:
        while True:
            try:
                order, *args = orders.recv()
            except EOFError:
                return
            if order == "fork":
                orders.send(_fork(orders, *args))
            else:
                orders.send(os.waitstatus_to_exitcode(os.waitpid(args[0], 0)[1]))


def _fork(orders: Connection, setup: Setup, address: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        orders.close()
        live(setup, address)
        code = 0
    except BaseException:  # noqa: BLE001 - a forked process must never return into its parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def live(setup: Setup, address: str) -> None:
    """Take orders until there are none."""
    with Client(address, "AF_UNIX") as connection:
        line = Line(connection)
        wire = Fuse(dies_at=setup.dies_at)
        wire_commits(wire)
        process = patiently(lambda: Process(setup, line, wire))
        answer: Any = ("started", None)
        while True:
            clock, order, args = line.ask("next", answer, process.fuse.take())
            if order is None:
                process.committer.close()
                process.db.close()
                return
            process.clock.at = clock
            try:
                answer = ("done", patiently(partial(ORDERS[order], process, *args)))
            except Exception as exc:  # noqa: BLE001 - it is the test's to judge
                traceback.print_exc()
                answer = ("failed", taken_apart(exc))


def patiently(do: Callable[[], Any]) -> Any:
    """A database that is slow to answer is asked again, as supervisors, issuers and people do."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return do()
        except StoreUnavailableError:
            if time.monotonic() > deadline:
                raise
            traceback.print_exc()
            time.sleep(0.2)


class Zygote:
    """The test's end of it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "processes.log"
        self._lock = threading.Lock()
        began = time.monotonic()
        address = str(folder / "zygote")
        with Listener(address, "AF_UNIX") as listener, self.log.open("wb") as log:
            command = [sys.executable, "-m", "tests.faults.zygote", address]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).parents[2])
            self._line = listener.accept()
        self.start_seconds = time.monotonic() - began
        """What Python and all imports took, which a process started afresh needs too."""

    def fork(self, setup: Setup, address: str) -> int:
        return self._ask("fork", setup, address)

    def end_of(self, pid: int) -> int:
        """Wait for it; minus the signal that ended it, or its exit code."""
        return self._ask("end", pid)

    def _ask(self, *order: Any) -> int:
        with self._lock:
            self._line.send(order)
            return int(self._line.recv())

    def close(self) -> None:
        self._line.close()
        self._process.wait(timeout=START_SECONDS)


if __name__ == "__main__":
    points.decisions()
    # Errors alone, and plainly: a coloured trace of every planted crash takes longer than the crash.
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
    )
    with contextlib.suppress(KeyboardInterrupt):
        serve(sys.argv[1])
