"""The inside of a process that is to die: every point it passes is counted, and at the chosen one it kills itself.

What it does outside goes over a socket to the process of the test, which outlives it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from adapters.contract import Reader
from receiver.domain.outcome import Outcome, WorkMove
from receiver.domain.seals import SealedTogether, ToSeal
from receiver.engine.committer import Committer
from receiver.store.commit import Commits
from receiver.store.database import Database
from receiver.store.ready import Ready
from tests.faults import points

_MINE = ("receiver.domain.moves", "dataclasses", __name__)
_READ_BYTES = 65536


@dataclass(kw_only=True)
class Fuse:
    """Counts the points that are passed; at the chosen one the process is gone."""

    dies_at: tuple[str, int] | None
    passed: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    muted: bool = False
    """Set while it is only looked at."""
    label: threading.local = field(default_factory=threading.local)

    def pass_by(self, name: str) -> None:
        if self.muted:
            return
        self.passed.append(name)
        self.counts[name] += 1
        if self.dies_at == (name, self.counts[name]):
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wired(*args: Any, **kwargs: Any) -> Any:
            self.pass_by(f"before {name}")
            result = call(*args, **kwargs)
            self.pass_by(f"after {name}")
            return result

        return wired

    def wire(self, thing: Any, part: str) -> Any:
        """Every public method of this part of the outside becomes two points."""
        for name in points.public(points.OUTSIDE[part]):
            setattr(thing, name, self.around(f"{part}.{name}", getattr(thing, name)))
        return thing

    def take(self) -> list[str]:
        taken, self.passed[:] = list(self.passed), []
        return taken


class Line:
    """The way out of the process: one question, one answer."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def ask(self, *question: Any) -> Any:
        with self._lock:
            self._connection.send(question)
            kind, value = self._connection.recv()
        if kind == "raise":
            raise rebuilt(*value)
        return value


def taken_apart(error: BaseException) -> tuple[type, tuple[Any, ...], dict[str, Any]]:
    """So that it survives being sent, whatever its constructor wants."""
    return type(error), error.args, dict(error.__dict__)


def rebuilt(kind: type[BaseException], args: tuple[Any, ...], members: dict[str, Any]) -> BaseException:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(members)
    return error


# --- the outside, seen from the process


def remote(part: str, line: Line) -> Any:
    """The whole contract, with what plug-ins fill in left to the other end."""
    kind = points.OUTSIDE[part]
    filled = list(getattr(kind, "__abstractmethods__", ())) or points.public(kind)
    more = [name for name in ("_status", "_context", "_derivatives") if name in vars(kind)]
    members = {name: _forward(part, name, line) for name in (*filled, *more)}
    return type(f"Remote{kind.__name__}", (kind,), members)()


def _forward(part: str, name: str, line: Line) -> Callable[..., Any]:
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        del self
        return line.ask("call", part, name, args, kwargs)

    return forward


class RemoteReader(Reader):
    def __init__(self, handle: int, line: Line) -> None:
        self._handle, self._line = handle, line

    def _read(self, size: int) -> bytes:
        return bytes(self._line.ask("call", "body", "read", (self._handle, size), {}))

    def _close(self) -> None:
        self._line.ask("call", "body", "close", (self._handle,), {})


def remote_store(line: Line, fuse: Fuse) -> Any:
    store = remote("store", line)
    opened = type(store)._open

    def _open(self: Any, *args: Any) -> Reader:
        reader: Reader = fuse.wire(RemoteReader(opened(self, *args), line), "body")
        return reader

    type(store)._open = _open
    return fuse.wire(store, "store")


def remote_vault(line: Line, fuse: Fuse) -> Any:
    vault = remote("vault", line)

    def seal(one: ToSeal) -> Any:
        with one.open() as read:
            body = b"".join(iter(lambda: read(_READ_BYTES), b""))
            return line.ask("call", "vault", "seal_bytes", (one.seal_id, body), {})

    def seal_all(self: Any, objects: Sequence[ToSeal], name: str, manifest: Callable[..., bytes]) -> SealedTogether:
        del self
        seals = tuple(seal(one) for one in objects)
        document = line.ask("call", "vault", "seal_document", (name, manifest(seals)), {})
        return SealedTogether(seals=seals, manifest=document)

    type(vault).seal_all = seal_all
    return fuse.wire(vault, "vault")


# --- the commits


def wire_commits(fuse: Fuse) -> None:
    """Every transaction of this process becomes two points, named by what is decided in it."""
    _name_moves(points.decisions())
    _name_submitters()
    written = Commits.commit_ready

    def commit_ready(self: Any, ready: Sequence[Ready]) -> Any:
        fuse.label.names = [_name_of(one.outcome) for one in ready]
        return written(self, ready)

    Commits.commit_ready = commit_ready  # type: ignore[method-assign]
    _wire_transactions(fuse)


def _wire_transactions(fuse: Fuse) -> None:
    real = Database.write

    def write(self: Database, *, durable: bool = True) -> Any:
        caller = sys._getframe(1).f_code.co_name
        names = fuse.label.names if caller == "_write" else [f"db.{caller}"]
        return _watched(self, durable=durable, names=names)

    @contextmanager
    def _watched(self: Database, *, durable: bool, names: list[str]) -> Iterator[Any]:
        with real(self, durable=durable) as conn:
            yield conn
            for name in names:
                fuse.pass_by(f"before {name}")
        for name in names:
            fuse.pass_by(f"after {name}")

    Database.write = write  # type: ignore[method-assign]


def _name_moves(sites: list[points.Site]) -> None:
    made = WorkMove.__init__

    def init(self: WorkMove, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        object.__setattr__(self, "_site", _site(sites, sys._getframe(1)))

    WorkMove.__init__ = init  # type: ignore[method-assign]


def _site(sites: list[points.Site], frame: FrameType | None) -> str:
    while frame is not None and frame.f_globals.get("__name__") in _MINE:
        frame = frame.f_back
    assert frame is not None
    module, line = frame.f_globals["__name__"], frame.f_lineno
    near = [s for s in sites if s.module == module and s.first <= line <= s.last]
    if not near:
        return f"commit {module}:{line} has no name"
    return min(near, key=lambda s: s.last - s.first).name


def _name_submitters() -> None:
    submitted = Committer.submit

    def submit(self: Committer, outcome: Outcome) -> Any:
        frame = sys._getframe(1)
        while frame.f_code.co_name in points.PASSED_ON and frame.f_back is not None:
            frame = frame.f_back
        name = f"commit {points.short(frame.f_globals['__name__'])}.{frame.f_code.co_name}"
        object.__setattr__(outcome, "_submitter", name)
        return submitted(self, outcome)

    Committer.submit = submit  # type: ignore[method-assign]


def _name_of(outcome: Outcome) -> str:
    if outcome.work is not None:
        return str(outcome.work._site)  # type: ignore[attr-defined]  # set when it was made
    return str(outcome._submitter)  # type: ignore[attr-defined]  # set when it was submitted
