"""What tests of every room share. Import it as `from tests.support import need`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

IN_CI = os.environ.get("CI") == "true"
POLL_SECONDS = 0.02


def need(condition: object, what: str) -> None:
    """Skip, by name, where something cannot be installed here. In CI nothing is skipped: there it is a failure."""
    if condition:
        return
    if IN_CI:
        pytest.fail(f"CI must have: {what}", pytrace=False)
    pytest.skip(f"needs {what}")  # the one place that skips


def need_program(name: str) -> str:
    """The path of a program, as root's `sbin` has it too."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin")
    need(found, f"the program {name}")
    assert found is not None
    return found


def need_root() -> None:
    need(os.geteuid() == 0, "root")


@contextmanager
def nobody() -> Iterator[None]:
    """This process as a user who owns nothing."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def end_process(process: subprocess.Popen[Any], *, seconds: float = 60) -> bool:
    """Ask it to end; whether it did so by itself. One that did not is killed, so that nothing is left behind."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def free_port() -> int:
    """A port that nothing listened on a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """For what must end: on the worst input a mistake takes hours, and a test without this would hang that long.

    Counts this process's own work, so a busy machine is not taken for slow code.
    """

    def ended(_signal: int, _frame: object) -> None:
        pytest.fail(f"not through after {seconds:g} s of work")

    before = signal.signal(signal.SIGVTALRM, ended)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def calls_of(act: Callable[[], object]) -> int:
    """How many functions it calls, itself and all it calls in turn: the same on every machine, however busy."""
    count = 0

    def note(_frame: object, event: str, _what: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(before)
    return count


def wait_until(holds: Callable[[], object], what: str, *, seconds: float = 10.0) -> None:
    """Poll until it holds; fail with words when the time is over."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)
