"""What tests of every room share. Import it as `from tests.support import need`."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable

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


def free_port() -> int:
    """A port that nothing listened on a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def wait_until(holds: Callable[[], object], what: str, *, seconds: float = 10.0) -> None:
    """Poll until it holds; fail with words when the time is over."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)
