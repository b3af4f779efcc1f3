"""A whole small world in one process: memory store, gate and cache, a real SQLite store, a steered clock, no threads.

`run` does what a worker does, one leased row after the other, until nothing is due. Everything a test says about the
outside goes through `public_get`, which asks gate, cache and store as a visitor would.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.contract import StorageAdapter
from adapters.memory.cache import MemoryCache
from adapters.memory.gate import MemoryGate
from adapters.memory.storage import MemoryStorage
from adapters.memory.store import MemoryStore
from receiver.domain.clock import to_micros
from receiver.domain.errors import ConflictError
from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, NewEvent, Outcome, Table, Wake
from receiver.domain.policy import Policy
from receiver.domain.rows import CaseView, EventRow, NoticeView, WorkRow
from receiver.domain.status import ItemStatus, Track
from receiver.domain.web import Look, LookTarget, Seen
from receiver.engine.lanes import plan
from receiver.pipeline import Tools, advance
from receiver.resolution.protection import Protected
from receiver.resolution.routes import Route, RouteTable
from receiver.resolution.urls import canonical_url
from receiver.steps.beside import Beside
from receiver.steps.early import EarlyLooks
from receiver.store import SqlStore
from tests.doubles.failing import Failures
from tests.doubles.world_parts import Inline, Mailbox, MemoryVault, SteeredClock, item_row, message_row

HOST = "img.example.net"


class Visitor:
    """The outside: asks as the public does. `blind` makes every look unclear."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.blind = False

    def look(self, target: LookTarget) -> tuple[Look, ...]:
        status, seen = (503, Seen.INCONCLUSIVE)
        if not self.blind:
            up = self._world.public_get(target.url) is not None
            status, seen = (200, Seen.UP) if up else (404, Seen.GONE)
        at = to_micros(self._world.clock.now())
        return (Look(address="127.0.0.1:80", status=status, at=at, vantage="here", verdict=seen),)


@dataclass(kw_only=True)
class World:
    db: SqlStore
    clock: SteeredClock
    store: StorageAdapter
    gate: MemoryGate
    cache: MemoryCache
    vault: MemoryVault
    mailbox: Mailbox
    policy: Policy
    routes: list[Route]
    failures: Failures = field(default_factory=Failures)
    """What its store, gate and cache raise, where they are such as fail."""
    verify: Callable[[Any], str | None] = lambda message_row: None
    compare: Callable[[Any, Any], str | None] = lambda _view, _messages: None
    """Its notices are written without signed bytes; a world fed by the public side compares them."""
    worker: str = ""
    visitor: Visitor = field(init=False)
    tools: Tools = field(init=False)
    counter: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.visitor = Visitor(self)
        self.worker = self.db.register_worker("node", "slot", new_id(), 1, "")
        self.rebuild()

    def rebuild(self, **policy: Any) -> None:
        """After a change of policy or routes, as a reload does."""
        self.policy = replace(self.policy, **policy)
        self.tools = Tools(
            reads=self.db,
            clock=self.clock,
            policy=self.policy,
            routes=RouteTable(self.routes),
            protected=tuple(Protected.parse(p) for p in self.policy.protected),
            stores={"www": self.store},
            gates={"edge": self.gate},
            caches={"cache": self.cache},
            vault=self.vault,
            outside=self.visitor,
            sender_for=lambda _issuer: self.mailbox,
            sign_callback=lambda _url, headers, _body: headers,
            verify_stored=self.verify,
            compare_stored=self.compare,
            keyed_hash=lambda text: hashlib.sha256(b"key" + text.encode()).hexdigest(),
            early=EarlyLooks(self.visitor, Inline(), self.clock.monotonic),
            beside=Beside(Inline()),
        )

    # --- the customer's and the public's side

    def put(self, path: str, body: bytes) -> str:
        """Store an object and return its public URL."""
        self.memory.write_as_customer(f"acme{path}".encode(), body)
        return f"https://{HOST}{path}"

    @property
    def memory(self) -> MemoryStore:
        """The customers' store itself."""
        assert isinstance(self.store, MemoryStorage)
        return self.store.store

    def public_get(self, raw: str) -> bytes | None:
        url = canonical_url(raw)
        if self.gate.refuses(url.host, url.request_target.encode()):
            return None
        found: bytes | None = self.cache.fetch(url.url)
        return found

    def origin(self, raw: str) -> bytes | None:
        url = canonical_url(raw)
        found: bytes | None = self.memory.fetch_as_public(b"acme" + url.path)
        return found

    # --- the issuer's and the worker's side

    def notify(self, *urls: str, issuer: str = "iwf", **changes: Any) -> str:
        """Record a notice as the web side does, and return its row id."""
        now = to_micros(self.clock.now())
        notice, message = new_id(), new_id()
        handling = {"act": "remove", "priority": "normal", "customer_notice": "withhold", **changes.pop("handling", {})}
        details = changes.pop("details", {})
        items = [(new_id(), str(n), url) for n, url in enumerate(urls, 1)]
        values = {
            "id": notice,
            "notice_id": f"N-{next(self.counter)}",
            "issuer": issuer,
            "message_id": message,
            "body_sha256": "00" * 32,
            "issued_at": now - 2_000_000,
            "category": "csam",
            "kind": "takedown",
            "handling": handling,
            "deadline_at": None,
            "receipt": {},
            "last_sequence": 0,
            "created_at": now,
            **changes,
        }
        self.commit(
            Outcome(
                changes=(
                    Insert(table=Table.MESSAGE, values=message_row(message, issuer, now)),
                    Insert(table=Table.NOTICE, values=values),
                    *(Insert(table=Table.ITEM, values=item_row(i, notice, n, u, now, details)) for i, n, u in items),
                ),
                events=tuple(
                    NewEvent(notice=notice, item=i, item_id=n, status=ItemStatus.RECEIVED, data={}, delivered=True)
                    for i, n, _ in items
                ),
                wakes=(Wake(track=Track.RESOLVE, subject=notice, state="resolve", priority=0),),
            )
        )
        return notice

    def direct(self, notice: str, kind: str, items: list[str] | None = None, **more: Any) -> None:
        """Record a direction as the web side does."""
        row = self.db.load_notice(notice).notice
        now, message = to_micros(self.clock.now()), new_id()
        values = {
            "id": new_id(),
            "direction_id": new_id(),
            "notice": notice,
            "message_id": message,
            "kind": kind,
            "items": items,
            "reason": "",
            "until_at": None,
            "reference": None,
            "issued_at": now,
            "applied_at": None,
            **more,
        }
        self.commit(
            Outcome(
                changes=(
                    Insert(table=Table.MESSAGE, values=message_row(message, row.issuer, now)),
                    Insert(table=Table.DIRECTION, values=values),
                ),
                wakes=(Wake(track=Track.RESOLVE, subject=notice, state="resolve", from_state="resolved"),),
            )
        )

    def decide(self, kind: str, *, case: str | None = None, item: str | None = None, state: str = "approved") -> None:
        """Record people's decision as the admin side does."""
        values = {
            "id": new_id(),
            "case": case,
            "item": item,
            "kind": kind,
            "actor": "ann",
            "reason": "because",
            "request_sha256": "",
            "state": state,
            "needs": 2,
            "approvals": ["ann", "bob"],
            "expires_at": None,
            "created_at": to_micros(self.clock.now()),
        }
        if case is not None:
            wake = Wake(track=Track.EXPOSURE, subject=case)
        else:
            line = self.db.find_item(item or "")
            assert line is not None
            wake = Wake(track=Track.RESOLVE, subject=line.notice.id, state="resolve", from_state="resolved")
        self.commit(
            Outcome(
                changes=(Insert(table=Table.DECISION, values=values),), bumps=(case,) if case else (), wakes=(wake,)
            )
        )

    def commit(self, outcome: Outcome) -> None:
        (result,) = self.db.commit([outcome])
        if result.error is not None:
            raise result.error

    def run(self, *, steps: int = 200) -> int:
        """Work until nothing is due on the database's clock; returns the number of steps taken."""
        taken = 0
        while taken < steps:
            rows = [
                row
                for lane in plan()
                for track, priority in lane.classes
                for row in self.db.claim(self.worker, track, priority, 10)
            ]
            if not rows:
                return taken
            while rows:
                taken += 1
                rows = [*self.step(rows[0]), *rows[1:]]
        raise AssertionError(f"still not at rest after {steps} steps")

    def step(self, work: WorkRow) -> list[WorkRow]:
        """One step and its commit; what goes on at once."""
        step = advance(work, self.tools)
        move = step.outcome.work
        assert move is not None
        try:
            self.commit(step.outcome)
        except ConflictError:
            return [work]
        more = list(step.then)
        if move.keep:
            more.insert(0, replace(work, state=move.state))
        return more

    def reboot(self) -> None:
        """A new process in the same place, as after a crash: nothing that was in memory only is left."""
        self.worker = self.db.register_worker("node", "slot", new_id(), 1, "")
        self.rebuild()

    def later(self, **delta: float) -> None:
        """Let time pass, for us and for the database."""
        self.clock.move(**delta)
        self.db.beat(self.worker)

    # --- what came of it

    def notice(self, notice: str) -> NoticeView:
        return self.db.load_notice(notice)

    def statuses(self, notice: str) -> list[str]:
        return [item.status.value for item in self.notice(notice).items]

    def reasons(self, notice: str) -> list[str | None]:
        return [item.reason for item in self.notice(notice).items]

    def case_of(self, notice: str, item: int = 0) -> CaseView:
        view = self.notice(notice)
        (case,) = view.claims[view.items[item].id]
        return self.db.load_case(case)

    def cases_of(self, notice: str, item: int = 0) -> list[CaseView]:
        view = self.notice(notice)
        return [self.db.load_case(case) for case in view.claims[view.items[item].id]]

    def told(self, notice: str) -> list[tuple[int, str]]:
        """Sequence and status of every event, `received` ones left out."""
        return [(e.sequence, e.status.value) for e in self.events(notice) if e.status != "received"]

    def events(self, notice: str) -> tuple[EventRow, ...]:
        return self.db.events_of(notice)
