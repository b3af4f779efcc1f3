"""Child processes that cannot outlive their parent, and what their failing says about them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
FAILURES_ALLOWED = 5
WINDOW_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    name: str
    argv: Sequence[str]


@dataclass(kw_only=True)
class Failures:
    """Every end that nobody asked for is a failure, whatever its code: these processes run for ever."""

    allowed: int = FAILURES_ALLOWED
    window_seconds: float = WINDOW_SECONDS
    first_pause_seconds: float = FIRST_PAUSE_SECONDS
    times: deque[float] = field(default_factory=deque)

    def record(self, now: float) -> float | None:
        """Seconds until the next start, or None: too many within the window, so a person is needed."""
        self.times.append(now)
        while self.times and now - self.times[0] > self.window_seconds:
            self.times.popleft()
        if len(self.times) >= self.allowed:
            return None
        return min(self.first_pause_seconds * 2.0 ** (len(self.times) - 1), LONGEST_PAUSE_SECONDS)


def spawn(spec: ChildSpec) -> subprocess.Popen[bytes]:
    """Start it with both outputs in one pipe, in a group of its own so that a terminal's Ctrl-C reaches us alone."""
    parent = os.getpid()
    return subprocess.Popen(
        list(spec.argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
        preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509 - the supervisor has one thread
    )


def _die_with(parent: int) -> None:
    """The kernel kills this child when the parent ends in any way; all of them are made to survive that."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
