"""The whole chain on real files, in one process and one thread: what a scenario of faults is played with."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import literal

from adapters.filesystem.adapter import FilesystemAdapter
from adapters.nginx.gate import NginxGate
from receiver.domain.clock import from_micros, to_micros
from receiver.domain.errors import StoreBrokenError
from receiver.domain.ids import new_id
from receiver.domain.outcome import CommitResult, Outcome
from receiver.domain.policy import IssuerPolicy, Policy
from receiver.domain.rows import MessageRow, WorkRow
from receiver.engine.committer import BROKEN_EXIT
from receiver.engine.lanes import plan
from receiver.engine.runner import Runner
from receiver.ledger.checkpoint import Signer
from receiver.ledger.copies import CopySet, DirectoryCopy
from receiver.ledger.sequencer import Sequencer
from receiver.pipeline import Tools
from receiver.resolution.routes import Route, RouteTable
from receiver.steps.admission import WebPorts
from receiver.steps.beside import Beside
from receiver.steps.early import EarlyLooks
from receiver.steps.signed_again import unlike_signed
from receiver.store import SqlStore, open_store
from receiver.vault import age
from receiver.vault.vault import DirectoryVault
from receiver.verification.keys import KeyRing
from receiver.verification.policy import verify_stored
from receiver.verification.signing import SigningKey, sign_request
from tests.doubles.leases import Leases
from tests.doubles.web_side import ORIGIN, Sender
from tests.faults.scenario_host import HOST, Inline, Mailbox, Places, SteeredClock, Visitor


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Made once; every process of a test is forked from the one that made them."""

    issuer: Sender = field(default_factory=lambda: Sender(issuer="hotline", key_id="hotline-1"))
    ours: SigningKey = field(default_factory=lambda: SigningKey.named_by_thumbprint(Ed25519PrivateKey.generate()))
    ledger: Signer = field(default_factory=lambda: Signer("host.example/ledger", Ed25519PrivateKey.generate()))
    data: bytes = b"k" * 32
    custodians: tuple[tuple[str, str], ...] = field(default_factory=lambda: (age.new_identity(), age.new_identity()))


class OneThread:
    """Commits in the caller's thread, and ends the process where the real committer does."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def submit(self, outcome: Outcome) -> CommitResult:
        try:
            (result,) = self._store.commit([outcome])
        except StoreBrokenError:
            os._exit(BROKEN_EXIT)
        if result.error is not None:
            raise result.error
        return result


class GaveUp(BaseException):
    """The process would wait for better times now."""


class NoPatience(threading.Event):
    """Waiting for a database that is away ends the process at last."""

    waited = 0

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        self.waited += 1
        if self.waited > 5:
            raise GaveUp
        return False


class Chain:
    """Web side, worker, sequencer and adapters over the folders of one scenario."""

    def __init__(self, places: Places, keys: Keys, clock: SteeredClock) -> None:
        self.places, self.keys, self.clock = places, keys, clock
        url = f"sqlite:///{places.database}"
        self.store = open_store(url, data_key=keys.data, data_dir=places.disk / "data", create=True)
        backend: Any = self.store._db.backend
        backend.now = lambda: literal(to_micros(clock.now()))
        self.committer = OneThread(self.store)
        self.gate = NginxGate("edge", str(places.map_file), ["/bin/true"])
        self.storage = FilesystemAdapter("www", str(places.docroot), str(places.quarantine))
        self.vault = make_vault(places, keys, clock)
        self.sequencer = Sequencer(self.store, keys.ledger, copies_of(places), clock)
        self.register = KeyRing([keys.issuer.record()])
        self.policy = _policy()
        self.tools = self._tools()
        self.web = WebPorts(
            reads=self.store,
            committer=self.committer,
            register=self.register,
            policy=self.policy,
            origins=(ORIGIN,),
            clock=clock,
        )
        self.worker = self.store.register_worker("node", "slot", new_id(), 1, "")

    def _tools(self) -> Tools:
        visitor = Visitor(self.places, self.clock)
        mailbox = Mailbox(self.places)
        return Tools(
            reads=self.store,
            clock=self.clock,
            policy=self.policy,
            routes=RouteTable(
                [Route(host=HOST, customer="acme", storage="www", key="acme{path}", gates=("edge",))],
            ),
            protected=(),
            stores={"www": self.storage},
            gates={"edge": self.gate},
            caches={},
            vault=self.vault,
            outside=visitor,
            sender_for=lambda _issuer: mailbox,
            sign_callback=self._sign,
            verify_stored=self._verify,
            compare_stored=unlike_signed,
            keyed_hash=lambda text: self.store.sealer.hmac("plain-sha256", text.encode()),
            early=EarlyLooks(visitor, Inline(), self.clock.monotonic),
            beside=Beside(Inline()),
        )

    def _sign(self, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        return sign_request(
            method="POST",
            url=url,
            content_type=headers["Content-Type"],
            body=body,
            key=self.keys.ours,
            now=self.clock.now(),
        )

    def _verify(self, message: MessageRow) -> None:
        received_at = from_micros(message.created_at)
        verify_stored(message, origins=(ORIGIN,), register=self.register, received_at=received_at, now=self.clock.now())

    def run(self) -> None:
        """Work until nothing is due."""
        waiting: list[WorkRow] = []
        runner = Runner(
            committer=self.committer,
            tools=lambda: self.tools,
            leases=Leases(),
            stopping=NoPatience(),
            dispatch=lambda row, _term: waiting.append(row),
        )
        while True:
            waiting += [row for track, level in _classes() for row in self.store.claim(self.worker, track, level, 10)]
            if not waiting:
                return
            while waiting:
                runner.run(waiting.pop(0), 0)

    def later(self, **delta: float) -> None:
        """Let time pass, for us and for the database."""
        self.clock.at += dt.timedelta(**delta)
        self.places.say(f"CLOCK {to_micros(self.clock.at)}")
        self.store.beat(self.worker)

    def number(self) -> None:
        """What the sequencer's thread does in a real worker."""
        while self.sequencer.run_once():
            pass
        self.sequencer.checkpoint()


def make_vault(places: Places, keys: Keys, clock: SteeredClock) -> DirectoryVault:
    recipients = [age.parse_recipient(recipient) for _, recipient in keys.custodians]
    second = str(places.disk / "second")
    return DirectoryVault(str(places.vault), recipients, second_headers_path=second, min_free_bytes=0, clock=clock)


def copies_of(places: Places) -> CopySet:
    return CopySet([DirectoryCopy(str(places.disk / "copy"), name="copy")])


def _classes() -> list[tuple[Any, int]]:
    return [one for lane in plan() for one in lane.classes]


def _policy() -> Policy:
    issuer = IssuerPolicy(
        id="hotline", categories={"csam": "act"}, callback_url="https://hotline.example/cb", may_keep_up=True
    )
    return Policy(issuers={"hotline": issuer}, source=ORIGIN, remove_after_days=30, on_withdrawal="auto")
