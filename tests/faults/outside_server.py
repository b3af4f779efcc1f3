"""The outside of several workers, in a process that outlives them all: store, gate, cache, vault and the issuer.

It is reached by a unix socket, which crosses network namespaces, so a worker cut off from its database still reaches
it. Every call is noted with the lease it was made under, and whether it changed anything; one call may be held before
or after its effect, so that a test can freeze a worker at that very place.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from adapters.contract import AdapterError, Unsupported
from adapters.memory.cache import MemoryCache
from adapters.memory.gate import MemoryGate
from adapters.memory.storage import MemoryStorage
from receiver.resolution.urls import canonical_url

BEFORE, AFTER = "before", "after"
SLOW_SECONDS = {"look": 0.25, "post": 0.05, "step": 0.0}


@dataclass(frozen=True, kw_only=True)
class Lease:
    """Under which a call was made; without a track it was not part of a step."""

    worker: str
    track: str = ""
    subject: str = ""
    epoch: int = 0


@dataclass(frozen=True, kw_only=True)
class Call:
    lease: Lease
    what: str
    op_id: str
    at: float
    changed: bool
    error: str = ""


@dataclass(kw_only=True)
class Hold:
    """The next call like this one stops here. `fed` counts those that were asked for and not met yet."""

    worker: str
    what: str
    when: str
    subject: str
    met: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


class Outside:
    def __init__(self) -> None:
        self.store, self.gate = MemoryStorage(), MemoryGate()
        self.cache = MemoryCache(self._origin)
        self.kept: dict[str, bytes] = {}
        self.letters: list[tuple[float, list[tuple[str, str, int]]]] = []
        self._heard: set[str] = set()
        self.calls: list[Call] = []
        self._holds: list[Hold] = []
        self._lock = threading.Lock()

    # --- the workers' side

    def serve(self, lease: Lease, what: str, args: tuple[Any, ...]) -> tuple[str, Any]:
        """`ok`, `error`, or `again` where the act was held before its effect: send it once more."""
        if self._held(lease, what, BEFORE):
            return "again", None
        time.sleep(SLOW_SECONDS.get(what, 0.01))
        answer: tuple[str, Any]
        changed, error = False, ""
        try:
            with self._lock:
                before = self._mark(what, args)
                answer = "ok", getattr(self, f"do_{what}")(*args)
                changed = self._mark(what, args) != before
        except AdapterError as exc:
            # An exception that needs more than its words to be made anew cannot cross as it is.
            answer, error = ("error", AdapterError(str(exc)) if isinstance(exc, Unsupported) else exc), exc.kind
        call = Call(lease=lease, what=what, op_id=_op_id(args), at=time.monotonic(), changed=changed, error=error)
        self.calls.append(call)
        self._held(lease, what, AFTER)
        return answer

    def _held(self, lease: Lease, what: str, when: str) -> bool:
        with self._lock:
            found = next(
                (
                    h
                    for h in self._holds
                    # The early look belongs to no step, and nobody waits for it.
                    if not h.met.is_set()
                    and lease.track
                    and (h.worker, h.what, h.when) == (lease.worker, what, when)
                    and h.subject in ("", lease.subject)
                ),
                None,
            )
            if found is None:
                return False
            found.met.set()
        found.go.wait()
        return True

    def _mark(self, what: str, args: tuple[Any, ...]) -> object:
        """What an act may change, to be compared before and after it."""
        op_id = _op_id(args)
        store = self.store.store
        match what:
            case "deny" | "allow":
                return op_id in self.gate._denied
            case "block" | "unblock":
                return op_id in store.blocks
            case "freeze":
                block = store.blocks.get(op_id)
                return block is not None and block.taken.frozen
            case "post":
                return len(self._heard)
        return None

    def do_step(self) -> None:
        """Only noted: so that steps are counted."""

    def do_observe(self, *args: Any) -> Any:
        return self.store.observe(*args)

    def do_block(self, *args: Any) -> Any:
        return self.store.block(*args)

    def do_freeze(self, *args: Any) -> Any:
        return self.store.freeze(*args)

    def do_origin_state(self, *args: Any) -> Any:
        return self.store.origin_state(*args)

    def do_unblock(self, *args: Any) -> Any:
        return self.store.unblock(*args)

    def do_context(self, *args: Any) -> Any:
        return self.store.context(*args)

    def do_read(self, *args: Any) -> bytes:
        with self.store.open(*args) as reader:
            return b"".join(iter(lambda: reader.read(65536), b""))

    def do_deny(self, *args: Any) -> Any:
        return self.gate.deny(*args)

    def do_allow(self, *args: Any) -> Any:
        return self.gate.allow(*args)

    def do_purge(self, *args: Any) -> Any:
        return self.cache.purge(*args)

    def do_keep(self, name: str, body: bytes) -> None:
        self.kept[name] = body

    def do_look(self, url: str) -> bool:
        return self.public_get(url) is not None

    def do_post(self, body: bytes) -> int:
        letter = json.loads(body)
        events = letter if isinstance(letter, list) else [letter]
        told = [(e["id"], str(e["subject"]).partition("/")[0], int(e["data"]["sequence"])) for e in events]
        self.letters.append((time.monotonic(), told))
        self._heard |= {event for event, _, _ in told}
        return 204

    # --- the test's side

    def put(self, path: bytes, body: bytes) -> None:
        self.store.store.write_as_customer(b"acme" + path, body)

    def public_get(self, raw: str) -> bytes | None:
        url = canonical_url(raw)
        if self.gate.refuses(url.host, url.request_target.encode()):
            return None
        return self.cache.fetch(url.url)

    def _origin(self, raw: str) -> bytes | None:
        return self.store.store.fetch_as_public(b"acme" + canonical_url(raw).path)

    def hold(self, worker: str, what: str, when: str, subject: str = "") -> None:
        with self._lock:
            self._holds.append(Hold(worker=worker, what=what, when=when, subject=subject))

    def waiting(self) -> list[tuple[str, str]]:
        """Calls that are held now."""
        with self._lock:
            return [(h.what, h.when) for h in self._holds if h.met.is_set() and not h.go.is_set()]

    def let_go(self) -> None:
        with self._lock:
            for hold in self._holds:
                hold.met.set()
                hold.go.set()

    def seen(self) -> tuple[list[Call], list[tuple[float, list[tuple[str, str, int]]]]]:
        return list(self.calls), list(self.letters)


def _op_id(args: tuple[Any, ...]) -> str:
    """Acts carry it as text, or in the receipt of what they take back."""
    for value in args:
        found = getattr(value, "op_id", None)
        if isinstance(found, str):
            return found
    return args[-1] if args and isinstance(args[-1], str) else ""


def ask(link: Connection, *request: Any) -> Any:
    """One question, one answer; what the outside raises is raised here."""
    while True:
        link.send(request)
        kind, value = link.recv()
        if kind == "error":
            raise value
        if kind == "ok":
            return value


def connect(path: str) -> Connection:
    return Client(path, "AF_UNIX")


def _converse(link: Connection, outside: Outside) -> None:
    with contextlib.suppress(EOFError, OSError), link:
        while True:
            name, *rest = link.recv()
            if name == "worker":
                link.send(outside.serve(*rest))
            else:
                method: Callable[..., Any] = getattr(outside, name)
                link.send(("ok", method(*rest)))


def main(path: str) -> None:
    outside = Outside()
    # Without a key there is no handshake: a worker that is killed or frozen in one would keep all others out.
    with Listener(path, "AF_UNIX", backlog=64) as listener:
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        while True:
            link = listener.accept()
            threading.Thread(target=_converse, args=(link, outside), daemon=True).start()
