"""`serve`: web, admin, worker and agent as child processes of one parent, for a single host.

The parent does nothing but start, prefix logs, forward signals and start again; it has one thread and no state.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from receiver.config import Config
from receiver.processes.children import FIRST_PAUSE_SECONDS, ChildSpec, Failures, spawn

DRAIN_SECONDS = 30.0
POLL_SECONDS = 0.2
MAX_LINE_BYTES = 64 * 1024
READ_BYTES = 64 * 1024
ENDED_BY_US = 0
GAVE_UP = 1


def serve(config: Config) -> int:
    """Run all of them until SIGTERM. Returns 1 when one of them failed five times in a minute."""
    supervisor = Supervisor(
        children_of(config),
        out=sys.stdout.buffer,
        drain_seconds=float(config.worker.drain_seconds),
    )
    return supervisor.run()


def needs_agent(config: Config) -> bool:
    """Whether a store, gate or cache is reached through an agent whose settings are on this machine."""
    tables = [*config.adapters.values(), *config.gates.values(), *config.caches.values()]
    return os.path.exists(config.agent.settings_file) and any("agent" in table for table in tables)


def children_of(config: Config) -> list[ChildSpec]:
    """In the order in which they are started."""
    agent = [child_of(config.source, "agent")] if needs_agent(config) else []
    faces = [child_of(config.source, name) for name in ("web", "admin")]
    more = range(1, config.worker.processes)
    others = [child_of(config.source, "worker", "--slot", f"worker-{number}") for number in more]
    return [*agent, *faces, child_of(config.source, "worker"), *others]


def child_of(config_path: Path, name: str, *words: str) -> ChildSpec:
    """A process of that name; where it is one of several its own words say which, and name its lines."""
    argv = [sys.executable, "-m", "receiver", "--config", str(config_path), name, *words]
    return ChildSpec(name=words[-1] if words else name, argv=argv)


@dataclass(kw_only=True)
class _Running:
    spec: ChildSpec
    failures: Failures
    process: subprocess.Popen[bytes] | None = None
    line: bytes = b""
    start_at: float = 0.0
    """On the monotonic clock; when to start (again)."""


class Supervisor:
    """Keeps children running. `run` returns only when all of them have ended."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        out: BinaryIO,
        drain_seconds: float = DRAIN_SECONDS,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._children = [
            _Running(spec=spec, failures=Failures(first_pause_seconds=first_pause_seconds)) for spec in specs
        ]
        self._width = max((len(spec.name) for spec in specs), default=0)
        self._out, self._drain_seconds = out, drain_seconds
        self._selector = selectors.DefaultSelector()
        self._asked: list[int] = []
        self._stop_by: float | None = None
        self._code = ENDED_BY_US

    def run(self) -> int:
        before = {number: signal.signal(number, self._on_signal) for number in _FORWARDED}
        try:
            while self._step():
                pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.close()
        return self._code

    def say(self, text: str) -> None:
        self._write("serve", text.encode())

    def _on_signal(self, number: int, _frame: object) -> None:
        self._asked.append(number)

    def _step(self) -> bool:
        """One round: signals, starts, output, ends. False when stopping and nothing runs any more."""
        while self._asked:
            self._obey(self._asked.pop(0))
        now = time.monotonic()
        for child in self._children:
            if child.process is None and self._stop_by is None and now >= child.start_at:
                self._start(child)
        self._read(POLL_SECONDS)
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._ended(child)
        if self._stop_by is None:
            return True
        if time.monotonic() > self._stop_by:
            self._send(signal.SIGKILL)
        return any(child.process is not None for child in self._children)

    def _obey(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._send(signal.SIGHUP)
            return
        if self._stop_by is not None:
            self.say("asked a second time: killing what still runs")
            self._send(signal.SIGKILL)
            return
        self._stop(ENDED_BY_US, "stopping")

    def _stop(self, code: int, why: str) -> None:
        self.say(f"{why}; running steps get {self._drain_seconds:g} s")
        self._code = code
        self._stop_by = time.monotonic() + self._drain_seconds
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.process is not None and child.process.poll() is None:
                child.process.send_signal(number)

    def _start(self, child: _Running) -> None:
        child.process = spawn(child.spec)
        assert child.process.stdout is not None
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _read(self, seconds: float) -> None:
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._selector.select(seconds):
            if self._copy(key.data) == b"":
                self._selector.unregister(key.fileobj)

    def _copy(self, child: _Running) -> bytes | None:
        """Print whole lines as they come. None: nothing to read now; empty: the output has ended."""
        assert child.process is not None
        assert child.process.stdout is not None
        try:
            data = os.read(child.process.stdout.fileno(), READ_BYTES)
        except BlockingIOError:
            return None
        *lines, child.line = (child.line + data).split(b"\n")
        if len(child.line) > MAX_LINE_BYTES:
            lines, child.line = [*lines, child.line], b""
        for line in lines:
            self._write(child.spec.name, line)
        return data

    def _ended(self, child: _Running) -> None:
        """Take what it said last. A grandchild may hold the pipe open; what that says is not waited for."""
        process = child.process
        assert process is not None
        assert process.stdout is not None
        while self._copy(child):
            pass
        if child.line:
            self._write(child.spec.name, child.line)
        if process.stdout.fileno() in self._selector.get_map():
            self._selector.unregister(process.stdout)
        process.stdout.close()
        child.process, child.line = None, b""
        if self._stop_by is None:
            self._start_again(child, process.returncode)

    def _start_again(self, child: _Running, code: int) -> None:
        now = time.monotonic()
        pause_seconds = child.failures.record(now)
        if pause_seconds is None:
            count = child.failures.allowed
            self._stop(GAVE_UP, f"{child.spec.name} failed {count} times in a minute; its lines above say why")
            return
        self.say(f"{child.spec.name} ended with {code}; starting it again in {pause_seconds:g} s")
        child.start_at = now + pause_seconds

    def _write(self, name: str, line: bytes) -> None:
        self._out.write(f"{name:<{max(self._width, 5)}} | ".encode() + line + b"\n")
        self._out.flush()


_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
