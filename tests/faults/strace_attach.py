"""Plays scenarios under strace, which is attached to a child that a warm server forked and that waits for it.

A child has one thread and strace follows no children, so `when=N` counts exactly the calls of the receiver. It is
attached, so `--seccomp-bpf` cannot be used; that costs less than a start of Python for each play.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.faults.strace_log import BESIDE, UNKNOWN, WRITES
from tests.support import need, need_program, need_root, wait_until

ROOT = Path(__file__).parents[2]
PLENTY_BYTES = 2 * 1024**3
PLAY_SECONDS = 120.0
ALL = ",".join((*WRITES, *BESIDE, *UNKNOWN))


class Server:
    """A process with everything imported that plays what it is told to. Its plays may run beside each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.scenario_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate(timeout=60)

    def ask(self, **order: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def _ended(self, pid: int) -> int:
        """The status of a play, once it is over; others may be asked for meanwhile."""
        handle = os.pidfd_open(pid)
        try:
            ready, _, _ = select.select([handle], [], [], PLAY_SECONDS)
        finally:
            os.close(handle)
        assert ready, "a play does not end"
        status: int = self.ask(op="wait", pid=pid)
        return status

    def prepare(self, folder: Path, script: str) -> None:
        folder.mkdir(parents=True)
        self.ask(op="prepare", folder=str(folder), script=script)

    def play(self, folder: Path, script: str, *options: str, **more: Any) -> int:
        """Play a script under strace with these options; the answer is the status of `waitpid`."""
        pid = self.ask(op="play", folder=str(folder), script=script, held=True, **more)
        wait_until(lambda: _is_stopped(pid), "the play waits for strace", seconds=PLAY_SECONDS)
        with attached(pid, *options):
            os.kill(pid, signal.SIGCONT)
            return self._ended(pid)

    def check(self, folder: Path, script: str, **more: Any) -> list[str]:
        """Play on from what is there, and hear what is wrong."""
        status = self._ended(self.ask(op="check", folder=str(folder), script=script, **more))
        result = folder / "result"
        if status != 0 or not result.exists():
            return [f"the check itself ended with {status}: {(folder / 'log').read_text()[-3000:]}"]
        problems: list[str] = json.loads(result.read_text())["problems"]
        return problems


@contextmanager
def attached(pid: int, *options: str) -> Iterator[None]:
    """strace holds the process once this begins, and has ended when it is over."""
    command = [need_program("strace"), "-p", str(pid), "-y", "-e", "signal=none", *options]
    strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert strace.stderr is not None
    try:
        said = strace.stderr.readline()
        need("attached" in said, "ptrace, to attach strace to a process")
        yield
    finally:
        strace.stderr.read()
        strace.wait(timeout=60)
        strace.stderr.close()


def recording(log: Path) -> tuple[str, ...]:
    return ("-xx", "-s", str(2**22), "-o", str(log), "-e", f"trace={ALL}")


def injecting(name: str, what: str, when: str) -> tuple[str, ...]:
    return ("-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:{what}:when={when}")


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@contextmanager
def fast_folder() -> Iterator[Path]:
    """In memory where there is room: what is durable is decided by the test, and the disk need not be waited for."""
    need_root()
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free > PLENTY_BYTES
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=shared if roomy else None))
    try:
        yield folder
    finally:
        clear(folder)


def clear(folder: Path) -> None:
    """Held files are immutable."""
    subprocess.run([need_program("chattr"), "-R", "-f", "-i", str(folder)], check=False, stderr=subprocess.DEVNULL)
    shutil.rmtree(folder)
