"""One real worker over an outside in another process. `python -m tests.faults.lease_worker '{…}'`.

Everything of the engine and the store is the product's; only the adapters, the vault, the looks and the sender go to
the outside. `unfenced` takes the commit's guard out, which a test must notice.
"""

from __future__ import annotations

import datetime as dt
import faulthandler
import hashlib
import json
import logging
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import and_, or_

from receiver.domain.errors import StoreUnavailableError
from receiver.domain.ids import new_id
from receiver.domain.policy import IssuerPolicy, Policy
from receiver.engine import runner
from receiver.engine.committer import Committer
from receiver.engine.heartbeat import Identity
from receiver.engine.lanes import plan
from receiver.engine.numbering import Numbering
from receiver.engine.sweeps import Sweeper, sweeps_for
from receiver.engine.worker import Worker
from receiver.ledger.checkpoint import Signer
from receiver.ledger.copies import CopySet
from receiver.ledger.sequencer import Sequencer
from receiver.pipeline import Tools, advance
from receiver.resolution.routes import Route, RouteTable
from receiver.steps.beside import Beside
from receiver.steps.early import EarlyLooks
from receiver.store import SqlStore, open_store, tables, upserts
from tests.doubles.world import HOST
from tests.faults.lease_wires import Wire, WiredCache, WiredEyes, WiredGate, WiredSender, WiredStore, WiredVault

ISSUER = "iwf"
LEDGER_KEY = bytes(range(32))


@dataclass(frozen=True, kw_only=True)
class Settings:
    socket: str
    url: str
    data_dir: str
    data_key: str
    slot: str
    shift_seconds: int = 0
    unfenced: bool = False

    def __repr__(self) -> str:
        return f"Settings(slot={self.slot!r})"


class ShiftedClock:
    """This machine's clock, wrong by some seconds. The monotonic one stays as it is, as on a real machine."""

    def __init__(self, seconds: int) -> None:
        self._by = dt.timedelta(seconds=seconds)

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self._by

    def monotonic(self) -> float:
        return time.monotonic()


def shift_time(seconds: int) -> None:
    """For ids and whatever else asks the module."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + seconds * 1_000_000_000


def tools_for(store: SqlStore, wire: Wire, clock: ShiftedClock) -> Tools:
    eyes, sender = WiredEyes(wire), WiredSender(wire)
    issuer = IssuerPolicy(
        id=ISSUER,
        categories={"csam": "act"},
        callback_url="https://hotline.example/cb",
        max_acts_per_hour=1_000_000,
        max_customers_per_hour=1_000_000,
    )
    return Tools(
        reads=store,
        clock=clock,
        policy=Policy(issuers={ISSUER: issuer}, source="https://notices.host.example", on_withdrawal="auto"),
        routes=RouteTable(
            [Route(host=HOST, customer="acme", storage="www", key="acme{path}", caches=("cache",), gates=("edge",))]
        ),
        protected=(),
        stores={"www": WiredStore(wire)},
        gates={"edge": WiredGate(wire)},
        caches={"cache": WiredCache(wire)},
        vault=WiredVault(wire),
        outside=eyes,
        sender_for=lambda _issuer: sender,
        sign_callback=lambda _url, headers, _body: headers,
        verify_stored=lambda _message: None,
        compare_stored=lambda _view, _messages: None,
        keyed_hash=lambda text: hashlib.sha256(b"key" + text.encode()).hexdigest(),
        early=EarlyLooks(eyes, ThreadPoolExecutor(max_workers=2), clock.monotonic),
        beside=Beside(wire.executor(8)),
    )


def take_the_guard_out() -> None:
    """A late commit is then written over its successor's, as it would be without an epoch."""
    guarded = upserts.move

    def unguarded() -> Any:
        made: Any = guarded()
        track, subject, *lease = made._where_criteria
        made._where_criteria = (track, subject, or_(and_(*lease), tables.work.c.epoch >= 0))
        return made

    upserts.move = unguarded


def main(settings: Settings) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    # So that a test that waits in vain can say where every thread stands.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    if settings.shift_seconds:
        shift_time(settings.shift_seconds)
    if settings.unfenced:
        take_the_guard_out()
    wire, clock = Wire(settings.socket, settings.slot), ShiftedClock(settings.shift_seconds)
    hooked: Any = runner
    hooked.advance = wire.step(advance)
    store = open_store(settings.url, data_key=bytes.fromhex(settings.data_key), data_dir=Path(settings.data_dir))
    committer, listener = Committer(store), store.wake_listener()
    worker = Worker(
        queue=store,
        committer=committer,
        tools=tools_for(store, wire, clock),
        lanes=plan(),
        identity=Identity(node="n", slot=settings.slot, boot=new_id(), pid=os.getpid(), config_sha256=""),
        wait_for_call=listener.wait,
        drain_seconds=2.0,
    )
    signer = Signer("leases.example/ledger", Ed25519PrivateKey.from_private_bytes(LEDGER_KEY))
    numbering = Numbering(Sequencer(store, signer, CopySet([]), clock), store.try_lead, lambda *_words: None)
    sweeps = sweeps_for(store, store, committer, page_again_minutes=(5,), issuers=(ISSUER,))
    sweeper = Sweeper(sweeps, queue=store, lead=store.try_lead)
    signal.signal(signal.SIGTERM, lambda *_signal: worker.stop())
    numbering.start()
    sweeper.start()
    sys.stdout.write("started\n")
    sys.stdout.flush()
    worker.run()
    os._exit(0)


if __name__ == "__main__":
    try:
        main(Settings(**json.loads(sys.argv[1])))
    except StoreUnavailableError:
        # The database is away as it starts: the supervisor starts it anew.
        time.sleep(0.5)
        os.execv(sys.executable, [sys.executable, "-m", "tests.faults.lease_worker", *sys.argv[1:]])
