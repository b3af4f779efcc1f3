"""The worker's parts: adapters, vault, ledger, callbacks, and the threads that drive them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import structlog

from receiver.config import Config, policy_of
from receiver.domain.clock import SystemClock, from_micros
from receiver.domain.errors import StoreUnavailableError
from receiver.domain.outcome import Outcome, Page, Update
from receiver.domain.rows import MessageRow
from receiver.engine.committer import Committer
from receiver.engine.lanes import plan
from receiver.engine.numbering import Numbering
from receiver.engine.stepped_clock import SteppedClock
from receiver.engine.sweeps import Sweep, Sweeper, sweeps_for
from receiver.engine.worker import Worker
from receiver.net.sender import GuardedSender
from receiver.outside.look import OutsideLooker
from receiver.pipeline import Tools
from receiver.resolution.protection import Protected
from receiver.resolution.routes import Route, RouteTable
from receiver.steps.beside import Beside
from receiver.steps.early import EarlyLooks
from receiver.steps.signed_again import unlike_signed
from receiver.store import SqlStore
from receiver.vault.vault import DirectoryVault
from receiver.verification.errors import VerificationError
from receiver.verification.keys import KeyRegister
from receiver.verification.policy import verify_stored
from receiver.verification.signing import SigningKey, sign_request
from receiver.verification.wellformed import VerificationLimits
from receiver.wiring.alarms import build_alarms
from receiver.wiring.directories import KeyDirectories
from receiver.wiring.enrolment import enter_fetched
from receiver.wiring.parts import build_adapters, build_ledger, build_store, build_vault, identity, signing_key
from receiver.wiring.register import LiveRegister

EARLY_LOOK_THREADS = 4
GATE_THREADS = 32
"""They mostly wait for a reload, which many denies share."""
ORPHAN_SECONDS = 7 * 86_400
"""A seal without a row is younger than this while its outcome may still be on its way."""

log = structlog.get_logger(__name__)


def build_routes(config: Config) -> RouteTable:
    """Raises RoutesRefusedError with every mistake."""
    return RouteTable(Route(**route.model_dump()) for route in config.routes)


def build_tools(config: Config, store: SqlStore) -> Tools:
    """What the steps are given, built anew at each reload."""
    clock = SystemClock()
    adapters = build_adapters(config)
    outside = OutsideLooker(clock=clock)
    register = LiveRegister(config, store)
    executor = ThreadPoolExecutor(max_workers=EARLY_LOOK_THREADS, thread_name_prefix="early-look")
    return Tools(
        reads=store,
        clock=clock,
        policy=policy_of(config),
        routes=build_routes(config),
        protected=tuple(Protected.parse(prefix) for prefix in config.policy.protected),
        stores=adapters.stores,
        gates=adapters.gates,
        caches=adapters.caches,
        vault=build_vault(config),
        outside=outside,
        sender_for=_senders(config),
        sign_callback=_signer(signing_key(config.keys.callback_key_file), clock),
        verify_stored=_verifier(config, register, clock),
        compare_stored=unlike_signed,
        keyed_hash=lambda text: store.sealer.hmac("plain-sha256", text.encode()),
        early=EarlyLooks(outside, executor, clock.monotonic),
        beside=Beside(ThreadPoolExecutor(max_workers=GATE_THREADS, thread_name_prefix="gate")),
    )


def _senders(config: Config) -> Callable[[str], GuardedSender]:
    everybody = GuardedSender()
    own = {i.id: GuardedSender(ca_file=str(i.callback_ca_file)) for i in config.issuers if i.callback_ca_file}
    return lambda issuer: own.get(issuer, everybody)


def _signer(key: SigningKey, clock: SystemClock) -> Callable[[str, Mapping[str, str], bytes], Mapping[str, str]]:
    def sign(url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        return sign_request(
            method="POST", url=url, content_type=headers["Content-Type"], body=body, key=key, now=clock.now()
        )

    return sign


def _verifier(config: Config, register: KeyRegister, clock: SystemClock) -> Callable[[MessageRow], str | None]:
    limits = VerificationLimits(max_body_bytes=config.limits.max_body_bytes)

    def verify(message: MessageRow) -> str | None:
        try:
            verify_stored(
                message,
                origins=config.server.public_origins,
                register=register,
                received_at=from_micros(message.created_at),
                now=clock.now(),
                limits=limits,
            )
        except VerificationError as exc:
            return exc.reason
        return None

    return verify


def _sweep_vault(vault: DirectoryVault, store: SqlStore) -> None:
    """Take away what a crash between sealing and recording left behind."""
    for _ in vault.sweep_orphans(store.knows_vault_ref, ORPHAN_SECONDS):
        log.info("vault.orphan_removed")


@dataclass(frozen=True, kw_only=True)
class BuiltWorker:
    """A worker process's parts. `run` returns after `stop`, when everything has ended in order."""

    store: SqlStore
    committer: Committer
    worker: Worker
    numbering: Numbering
    sweeper: Sweeper
    sweeps_of: Callable[[Config], tuple[Sweep, ...]]
    clock: SteppedClock

    def run(self) -> None:
        self.numbering.start()
        self.sweeper.start()
        self.clock.start()
        try:
            self.worker.run()
        finally:
            self.clock.stop()
            self.sweeper.stop()
            self.numbering.stop()
            self.committer.close()
            self.store.close()

    def stop(self) -> None:
        self.worker.stop()

    def reload(self, config: Config) -> None:
        """All or nothing: whatever cannot be built leaves the old settings in force."""
        tools, sweeps = build_tools(config, self.store), self.sweeps_of(config)
        self.worker.use(tools)
        self.sweeper.use(sweeps)
        try:
            self.store.reconfigured(self.worker.heartbeat.worker, config.sha256())
        except StoreUnavailableError as exc:
            log.warning("reload.unwritten", error=str(exc))


def _build_sweeps(
    config: Config, store: SqlStore, committer: Committer, page: Callable[[str, str, str], None], begun_at: int
) -> tuple[Sweep, ...]:
    vault = build_vault(config)

    def change(update: Update) -> None:
        committer.submit(Outcome(changes=(update,)))

    return sweeps_for(
        store,
        store,
        committer,
        page_again_minutes=config.policy.page_again_minutes,
        issuers=[issuer.id for issuer in config.issuers if issuer.callback_url is not None],
        others=(
            Sweep(name="vault_orphans", every_seconds=3600, job=lambda: _sweep_vault(vault, store)),
            *KeyDirectories(config, partial(enter_fetched, config, store, committer.submit)).sweeps(),
            Sweep(name="alarms", every_seconds=60, job=build_alarms(config, store, page, change, begun_at)),
        ),
    )


def build_worker(config: Config, *, slot: str = "worker-0") -> BuiltWorker:
    """Open everything a worker needs. Raises the errors of the part that cannot be opened."""
    store = build_store(config, create=True)
    committer = Committer(store)
    tools = build_tools(config, store)
    listener = store.wake_listener()
    worker = Worker(
        queue=store,
        committer=committer,
        tools=tools,
        lanes=plan(
            exposure_threads=config.worker.exposure_threads,
            evidence_threads=config.worker.evidence_threads,
            deliver_threads=config.worker.deliver_threads,
        ),
        identity=identity(slot, config),
        wait_for_call=listener.wait,
        drain_seconds=config.worker.drain_seconds,
    )

    def page(kind: str, subject: str, words: str) -> None:
        committer.submit(Outcome(pages=(Page(kind=kind, subject=subject, text=words),)))

    numbering = Numbering(build_ledger(config, store), store.try_lead, lambda kind, words: page(kind, "ledger", words))
    sweeps_of = partial(_build_sweeps, store=store, committer=committer, page=page, begun_at=store.now())
    sweeper = Sweeper(sweeps_of(config), queue=store, lead=store.try_lead)
    return BuiltWorker(
        store=store,
        committer=committer,
        worker=worker,
        numbering=numbering,
        sweeper=sweeper,
        sweeps_of=sweeps_of,
        clock=SteppedClock(store, committer.submit, sweeper.at_once, node=identity(slot, config).node),
    )
