"""The public side's parts: no storage credentials, no vault, no callback key."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from receiver.config import Config, policy_of
from receiver.domain.clock import Clock, SystemClock
from receiver.engine.committer import Committer
from receiver.intake.limits import Limits
from receiver.services.limits import SharedLimit
from receiver.services.metrics import WebMetrics
from receiver.services.web import WebServices, make_web_services
from receiver.steps.admission import WebPorts
from receiver.steps.signed_answers import AnswerSigner, read_public_jwks
from receiver.store import SqlStore
from receiver.verification.wellformed import VerificationLimits
from receiver.wiring.counts import CountsFile
from receiver.wiring.parts import build_store, identity, signing_key
from receiver.wiring.register import LiveRegister

log = structlog.get_logger(__name__)


def _counted(config: Config) -> tuple[WebMetrics, Callable[[], None]]:
    """Notices are taken even where nobody can count them."""
    try:
        file = CountsFile(config.server.data_dir)
    except OSError as error:
        log.warning("figures.not_shared", error=error.strerror)
        return WebMetrics(), lambda: None
    return WebMetrics(share=file.add), file.close


def _ports(config: Config, store: SqlStore, committer: Committer, clock: Clock) -> WebPorts:
    limits = config.limits
    return WebPorts(
        reads=store,
        committer=committer,
        register=LiveRegister(config, store),
        policy=policy_of(config),
        origins=config.server.public_origins,
        clock=clock,
        limits=Limits(
            max_items=limits.max_items,
            max_body_bytes=limits.max_body_bytes,
            max_depth=limits.max_depth,
            keep_up_max_hours=config.policy.keep_up_max_hours,
        ),
        verification_limits=VerificationLimits(max_body_bytes=limits.max_body_bytes),
        budget=SharedLimit(store.take, limits.max_requests_per_minute, items_per_minute=limits.max_items_per_minute),
    )


def build_web(config: Config, *, slot: str = "web-0") -> WebServices:
    """Call it after the fork: the database's connections belong to one process."""
    store = build_store(config, create=True)
    committer = Committer(store)
    clock = SystemClock()
    who = identity(slot, config)
    worker = store.register_worker(who.node, f"{who.slot}-{who.pid}", who.boot, who.pid, who.config_sha256)
    metrics, close_counts = _counted(config)

    def close() -> None:
        store.retire_worker(worker)
        committer.close()
        store.close()
        close_counts()

    return make_web_services(
        ports=_ports(config, store, committer, clock),
        signer=AnswerSigner(key=signing_key(config.keys.response_key_file), clock=clock),
        public_jwks=read_public_jwks(config.keys.public_jwks_file.read_bytes()),
        write=lambda: store.beat(worker),
        max_unsigned_per_minute=config.limits.max_unsigned_per_minute,
        metrics=metrics,
        close=close,
    )
