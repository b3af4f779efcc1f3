"""The stage of a story: the outside, which outlives every process, and the processes that die and are followed."""

from __future__ import annotations

import datetime as dt
import itertools
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from adapters.contract import PurgeStatus, PurgeTicket, Reader
from adapters.memory.cache import MemoryCache
from adapters.memory.gate import MemoryGate
from adapters.memory.storage import MemoryStorage
from receiver.domain.clock import rfc3339
from receiver.domain.web import Look, Seen
from receiver.resolution.urls import canonical_url
from tests.doubles.web_side import direction_json, notice_json, to_bytes
from tests.doubles.world import HOST, Visitor
from tests.doubles.world_parts import Mailbox, MemoryVault, SteeredClock
from tests.faults.points_process import SENDERS, Setup
from tests.faults.points_wire import rebuilt, taken_apart
from tests.faults.zygote import Zygote

Kill = tuple[str, int]


class Vault(MemoryVault):
    def seal_bytes(self, seal_id: str, body: bytes, **kwargs: Any) -> Any:
        parts = iter((body, b""))
        return self.seal(seal_id, lambda _size: next(parts), **kwargs)


@dataclass(kw_only=True)
class Surroundings:
    """Stores, servers and people that know nothing of our processes."""

    clock: SteeredClock = field(default_factory=SteeredClock)
    store: MemoryStorage = field(default_factory=MemoryStorage)
    gate: MemoryGate = field(default_factory=MemoryGate)
    vault: Vault = field(default_factory=Vault)
    mailbox: Mailbox = field(default_factory=Mailbox)
    away: set[str] = field(default_factory=set)
    raises: dict[str, Exception] = field(default_factory=dict)
    """What answers with an error, by the name of the act, until it is mended."""
    sees: Seen | None = None
    """What visitors see whatever stands there."""
    slow_cache: bool = False
    acts: Counter[str] = field(default_factory=Counter)
    operations: set[tuple[str, str]] = field(default_factory=set)
    readers: dict[int, Reader] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.cache = MemoryCache(origin=self.origin)
        self.visitor = Visitor(self)  # type: ignore[arg-type]  # it needs the public's side and the clock alone

    def origin(self, raw: str) -> bytes | None:
        url = canonical_url(raw)
        found: bytes | None = self.store.store.fetch_as_public(b"acme" + url.path)
        return found

    def public_get(self, raw: str) -> bytes | None:
        url = canonical_url(raw)
        if self.gate.refuses(url.host, url.request_target.encode()):
            return None
        return self.cache.fetch(url.url)

    def call(self, part: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        what = f"{part}.{name.lstrip('_')}"
        self.acts[what] += 1
        if part in self.away:
            raise ConnectionError
        if what in self.raises:
            raise self.raises[what]
        if part == "body":
            return getattr(self.readers[args[0]], name)(*args[1:])
        things = {"outside": self.visitor, "sender": self.mailbox}
        result = self._seen(getattr(things.get(part) or getattr(self, part), name)(*args, **kwargs))
        if part != "vault" and name in ("_block", "_deny", "_remove", "_purge"):
            self.operations.add((what, str(args[-1])))
        if isinstance(result, Reader):
            handle = next(self.numbers)
            self.readers[handle] = result
            return handle
        return result

    def _seen(self, result: Any) -> Any:
        if isinstance(result, PurgeTicket | PurgeStatus) and self.slow_cache:
            pending = PurgeStatus.PENDING
            return pending if isinstance(result, PurgeStatus) else replace(result, status=pending)
        if isinstance(result, PurgeStatus):
            return PurgeStatus.DONE
        if self.sees is not None and isinstance(result, tuple):
            return tuple(replace(look, verdict=self.sees) if isinstance(look, Look) else look for look in result)
        return result


class DeadError(Exception):
    """The process ended before it had done what it was ordered to."""


@dataclass(kw_only=True)
class Stage:
    """One telling of a story. `kills` are for the first process, the second and so on."""

    zygote: Zygote
    setup: Setup
    folder: Path
    kills: list[Kill] = field(default_factory=list)
    takeover: bool = False
    """Another worker takes over what the dead one held, instead of the same one started again."""
    world: Surroundings = field(default_factory=Surroundings)
    passed: list[str] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    died: int = 0

    def __post_init__(self) -> None:
        self._listener = Listener(str(self.folder / f"stage-{next(_STAGES)}"), "AF_UNIX")
        self._line: Connection | None = None
        self._pid = 0
        self._bodies: dict[str, bytes] = {}

    # --- the processes

    def order(self, what: str, *args: Callable[[], Any] | Any) -> Any:
        """Have it done, by as many processes as it takes. An argument that can be called is made anew each time."""
        while True:
            try:
                if self._line is None:
                    self._start()
                given = tuple(arg() if callable(arg) else arg for arg in args)
                return self._serve((self.world.clock.at, what, given))
            except DeadError:
                self._bury()

    def _start(self) -> None:
        kill = self.kills[self.died] if self.died < len(self.kills) else None
        slot = f"slot-{self.died}" if self.takeover else "slot"
        if self.takeover and self.died:
            # The dead one is missed after ten seconds.
            self.world.clock.move(seconds=11)
        setup = replace(self.setup, at=self.world.clock.at, dies_at=kill, slot=slot)
        started = time.monotonic()
        self._pid = self.zygote.fork(setup, str(self._listener.address))
        self._line = self._listener.accept()
        self._serve(None)
        if self.died:
            self.restarts.append(time.monotonic() - started)

    def _serve(self, order: Any) -> Any:
        """Give the order, and answer for the outside until it is done. None: wait for the process to start."""
        line = self._line
        assert line is not None
        try:
            if order is not None:
                line.send(("value", order))
            while True:
                kind, *question = line.recv()
                if kind == "next":
                    (outcome, value), passed = question
                    self.passed += passed
                    if outcome == "failed":
                        raise rebuilt(*value)
                    return value
                line.send(self._answer(*question))
        except (EOFError, ConnectionResetError, BrokenPipeError):
            raise DeadError from None

    def _answer(self, *question: Any) -> tuple[str, Any]:
        try:
            return "value", self.world.call(*question)
        except Exception as exc:  # noqa: BLE001 - it is the caller's, at the other end of the line
            return "raise", taken_apart(exc)

    def _bury(self) -> None:
        assert self._line is not None
        self._line.close()
        self._line = None
        code = self.zygote.end_of(self._pid)
        words = self.zygote.log.read_text()[-3000:]
        assert code == -signal.SIGKILL, f"the process ended by itself with {code}:\n{words}"
        assert self.died < len(self.kills), "nobody ordered this death"
        self.died += 1

    def _end(self) -> None:
        if self._line is not None:
            self._line.send(("value", (None, None, ())))
            self._line.close()
            self._line = None
            self.zygote.end_of(self._pid)

    def close(self) -> None:
        self._end()
        self._listener.close()

    # --- what issuers, customers, people and time do

    def put(self, path: str, body: bytes) -> str:
        self.world.store.store.write_as_customer(f"acme{path}".encode(), body)
        return f"https://{HOST}{path}"

    def hand_in(self, notice_id: str, *urls: str, issuer: str = "iwf", **members: Any) -> Any:
        now = rfc3339(self.world.clock.now())
        values = {"notice_id": notice_id, "issuer": issuer, "issued_at": now, "urls": list(urls), **members}
        body = self._bodies.setdefault(notice_id, to_bytes(notice_json(**values)))
        answer = self.order("hand_in", lambda: self._request(issuer, "POST", "/v1/notices", body))
        self.answers.append(answer)
        return answer

    def direct(self, notice_id: str, kind: str, issuer: str = "iwf", **members: Any) -> Any:
        now = rfc3339(self.world.clock.now())
        name = f"{kind}-{len(self._bodies)}"
        values = {"direction_id": name, "issuer": issuer, "issued_at": now, "direction": kind, **members}
        return self.direct_again(notice_id, self._bodies.setdefault(name, to_bytes(direction_json(**values))), issuer)

    def direct_again(self, notice_id: str, body: bytes | None = None, issuer: str = "iwf") -> Any:
        """The same bytes as the last time, unless others are given."""
        sent = body if body is not None else list(self._bodies.values())[-1]
        path = f"/v1/notices/{notice_id}/directions"
        answer = self.order("direct", lambda: self._request(issuer, "POST", path, sent), notice_id)
        self.answers.append(answer)
        return answer

    def ask(self, notice_id: str, issuer: str = "iwf") -> None:
        self.order("ask_status", lambda: self._request(issuer, "GET", f"/v1/notices/{notice_id}", b""))

    def _request(self, issuer: str, method: str, path: str, body: bytes) -> Any:
        return SENDERS[issuer].request(method, path, body, now=self.world.clock.now())

    def work(self) -> None:
        self.order("work")

    def account(self, what: str, *args: Any) -> None:
        self.order("account", what, *args)

    def restart(self, **changes: Any) -> None:
        """In order, and with other settings."""
        self._end()
        self.setup = replace(self.setup, **changes)

    def person(self, name: str, what: str, *args: Any) -> None:
        self.order("person", name, what, *args)

    def later(self, **delta: float) -> None:
        self.world.clock.move(**delta)

    def in_time(self, **delta: float) -> str:
        return rfc3339(self.world.clock.now() + dt.timedelta(**delta))


_STAGES = itertools.count(1)
