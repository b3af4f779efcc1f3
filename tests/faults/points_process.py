"""A process of the receiver that may die at a chosen point: it does what it is ordered to, over a real database.

Web side, worker, sequencer, sweeps and the staff's desk run in it by the code that runs in production. Stores, gates,
caches, vault, issuers and visitors are at the other end of the line.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import literal

from receiver.domain.clock import from_micros, to_micros
from receiver.domain.ids import new_id
from receiver.domain.policy import IssuerPolicy, Policy
from receiver.domain.rows import MessageRow, WorkRow
from receiver.domain.status import Track
from receiver.engine.committer import Committer
from receiver.engine.lanes import plan
from receiver.engine.numbering import Lead
from receiver.engine.runner import Runner
from receiver.engine.sweeps import Sweeper, sweeps_for
from receiver.ledger.checkpoint import Signer
from receiver.ledger.copies import CopySet, DirectoryCopy
from receiver.ledger.sequencer import Sequencer
from receiver.ledger.verify import verify_ledger
from receiver.pipeline import Tools
from receiver.resolution.protection import Protected
from receiver.resolution.routes import Route, RouteTable
from receiver.services.admin import AdminServices, make_admin_services
from receiver.steps.admission import WebPorts
from receiver.steps.beside import Beside
from receiver.steps.early import EarlyLooks
from receiver.steps.signed_again import unlike_signed
from receiver.store import open_store
from receiver.verification.errors import VerificationError
from receiver.verification.keys import KeyRing
from receiver.verification.policy import verify_stored
from tests.doubles.leases import Leases
from tests.doubles.web_side import ORIGIN, Sender
from tests.doubles.world import HOST
from tests.doubles.world_parts import Inline, SteeredClock
from tests.faults import points
from tests.faults.points_wire import Fuse, Line, remote, remote_store, remote_vault

ISSUERS = ("iwf", "ncmec")
SENDERS = {
    name: Sender(
        issuer=name,
        key_id=f"{name}-1",
        key=Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest()),
    )
    for name in ISSUERS
}
LEDGER_KEY = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
LEDGER_NAME = "host.example/ledger"
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a process is started with; a process after it gets the same, but for `dies_at` and `slot`."""

    url: str
    data_dir: Path
    data_key: bytes
    at: dt.datetime
    policy: Mapping[str, Any]
    callback_url: str | None = "https://hotline.example/cb"
    revoked: tuple[str, ...] = ()
    gates: bool = True
    slot: str = "slot"
    dies_at: tuple[str, int] | None = None


class Process:
    """Everything is built at once, as at the start of a worker, a web process and a desk."""

    def __init__(self, setup: Setup, line: Line, fuse: Fuse) -> None:
        self.setup, self.line, self.fuse = setup, line, fuse
        self.clock = SteeredClock()
        self.clock.at = setup.at
        self.db = open_store(setup.url, data_key=setup.data_key, data_dir=setup.data_dir)
        backend: Any = self.db._db.backend
        backend.now = lambda: literal(to_micros(self.clock.now()))
        self.committer = Committer(self.db)
        self.policy = policy_of(setup)
        self.keys = KeyRing([sender.record() for name, sender in SENDERS.items() if name not in setup.revoked])
        self.tools = self._tools()
        self.web = WebPorts(
            reads=self.db,
            committer=self.committer,
            register=self.keys,
            policy=self.policy,
            origins=(ORIGIN,),
            clock=self.clock,
        )
        copy = DirectoryCopy(str(setup.data_dir / "copy"), name="copy")
        self.copies = CopySet([self.fuse.wire(copy, "copies")])
        self.sequencer = Sequencer(self.db, Signer(LEDGER_NAME, LEDGER_KEY), self.copies, self.clock)
        self.worker = self.db.register_worker("node", setup.slot, new_id(), 1, "")

    def _tools(self) -> Tools:
        line, fuse = self.line, self.fuse
        visitor, sender = fuse.wire(remote("outside", line), "outside"), fuse.wire(remote("sender", line), "sender")
        return Tools(
            reads=self.db,
            clock=self.clock,
            policy=self.policy,
            routes=RouteTable(_routes(gates=self.setup.gates)),
            protected=tuple(Protected.parse(p) for p in self.policy.protected),
            stores={"www": remote_store(line, fuse)},
            gates={"edge": fuse.wire(remote("gate", line), "gate")},
            caches={"cache": fuse.wire(remote("cache", line), "cache")},
            vault=remote_vault(line, fuse),
            outside=visitor,
            sender_for=lambda _issuer: sender,
            sign_callback=lambda _url, headers, _body: headers,
            verify_stored=self._verify,
            compare_stored=unlike_signed,
            keyed_hash=lambda text: hashlib.sha256(b"key" + text.encode()).hexdigest(),
            early=EarlyLooks(visitor, Inline(), self.clock.monotonic),
            beside=Beside(Inline()),
        )

    def _verify(self, message: MessageRow) -> str | None:
        received_at = from_micros(message.created_at)
        try:
            verify_stored(message, origins=(ORIGIN,), register=self.keys, received_at=received_at, now=self.clock.now())
        except VerificationError as error:
            return str(error)
        return None

    def staff(self) -> AdminServices:
        return make_admin_services(
            store=self.db,
            committer=self.committer,
            policy=self.policy,
            clock=self.clock,
            cookie_key=b"c" * 32,
            https=False,
            write=lambda: None,
            close=lambda: None,
            hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
        )

    def sweeper(self, name: str) -> Callable[[], None]:
        sweeps = sweeps_for(self.db, self.db, self.committer, page_again_minutes=(30, 120), issuers=self._hearing())
        (sweep,) = (one for one in sweeps if one.name == name)
        runs = Sweeper((), queue=self.db, lead=self.lead)
        return lambda: runs._run(sweep)

    def _hearing(self) -> list[str]:
        return [name for name, issuer in self.policy.issuers.items() if issuer.callback_url is not None]

    def work(self, only: Track | None = None) -> int:
        """What a worker does, one row after the other, until nothing is due; the number of rows."""
        waiting: list[WorkRow] = []
        runner = Runner(
            committer=self.committer,
            tools=lambda: self.tools,
            leases=Leases(),
            stopping=threading.Event(),
            dispatch=lambda row, _term: waiting.append(row) if only is None else None,
        )
        taken, deadline = 0, time.monotonic() + PATIENCE_SECONDS
        self.db.beat(self.worker)
        while taken < 500 and time.monotonic() < deadline:
            now, dues = self.db.due_by_class([one for lane in plan() for one in lane.classes if only in (None, one[0])])
            due = [one for one, due_at in dues.items() if due_at <= now]
            # As the worker does: a claim that is not worth it would be a point that comes and goes with the clock.
            waiting += [row for track, level in due for row in self.db.claim(self.worker, track, level, 10)]
            if not due or (only is not None and not waiting):
                return taken
            if not waiting:
                # Rows that the dead one had locked are passed over until the server sees its end.
                time.sleep(0.01)
            while waiting:
                taken += 1
                runner.run(waiting.pop(0), 0)
        raise AssertionError("the work never comes to rest")

    def lead(self, name: str) -> Lead:
        """A server may need a moment to see that the one who led is dead."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            lead = self.db.try_lead(name)
            if lead is not None:
                return lead
            assert time.monotonic() < deadline, "the dead process still leads"
            time.sleep(0.01)

    def number(self) -> None:
        """A round of the sequencer's thread, under its lead."""
        lead = self.lead("sequencer")
        try:
            while self.sequencer.run_once():
                pass
            self.sequencer.checkpoint()
        finally:
            lead.release()

    def verify(self) -> list[str]:
        report = verify_ledger(self.db, Signer(LEDGER_NAME, LEDGER_KEY).vkey, self.copies)
        return list(report.problems)


def policy_of(setup: Setup) -> Policy:
    """IWF and NCMEC may order csam down at once, npi after review, and shadow notices."""
    categories = {"csam": "act", "npi": "review", "ncii": "shadow", "test": "act"}
    issuers = {
        name: IssuerPolicy(id=name, categories=categories, callback_url=setup.callback_url, may_keep_up=True)
        for name in ISSUERS
    }
    base = {"issuers": issuers, "source": ORIGIN, "protected": ("https://www.host.example/",), "remove_after_days": 30}
    return Policy(**{**base, **setup.policy})


def _routes(*, gates: bool) -> list[Route]:
    routes = [
        Route(host=HOST, customer="acme", storage="www", key="acme{path}", caches=("cache",), gates=("edge",)),
        Route(host="gate.example.net", customer="beta", gates=("edge",)),
        Route(host="www.host.example", customer="us", storage="www", key="us{path}", gates=("edge",)),
    ]
    return routes if gates else [replace(routes[0], gates=())]


__all__ = ["HOST", "Process", "Setup", "points"]
