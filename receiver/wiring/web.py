"""The public side's parts: no storage credentials, no vault, no callback key."""

from __future__ import annotations

from receiver.config import Config, policy_of
from receiver.domain.clock import SystemClock
from receiver.engine.committer import Committer
from receiver.intake.limits import Limits
from receiver.services.limits import SharedLimit
from receiver.services.web import WebServices, make_web_services
from receiver.steps.admission import WebPorts
from receiver.steps.signed_answers import AnswerSigner, read_public_jwks
from receiver.verification.wellformed import VerificationLimits
from receiver.wiring.parts import build_store, identity, signing_key
from receiver.wiring.register import LiveRegister


def build_web(config: Config, *, slot: str = "web-0") -> WebServices:
    """Call it after the fork: the committer's thread and the database's connections belong to one process."""
    store = build_store(config, create=True)
    committer = Committer(store)
    clock = SystemClock()
    who = identity(slot, config)
    worker = store.register_worker(who.node, f"{who.slot}-{who.pid}", who.boot, who.pid, who.config_sha256)
    ports = WebPorts(
        reads=store,
        committer=committer,
        register=LiveRegister(config, store),
        policy=policy_of(config),
        origins=config.server.public_origins,
        clock=clock,
        limits=Limits(
            max_items=config.limits.max_items,
            max_body_bytes=config.limits.max_body_bytes,
            max_depth=config.limits.max_depth,
            keep_up_max_hours=config.policy.keep_up_max_hours,
        ),
        verification_limits=VerificationLimits(max_body_bytes=config.limits.max_body_bytes),
        budget=SharedLimit(
            store.take,
            config.limits.max_requests_per_minute,
            items_per_minute=config.limits.max_items_per_minute,
        ),
    )

    def close() -> None:
        store.retire_worker(worker)
        committer.close()
        store.close()

    return make_web_services(
        ports=ports,
        signer=AnswerSigner(key=signing_key(config.keys.response_key_file), clock=clock),
        public_jwks=read_public_jwks(config.keys.public_jwks_file.read_bytes()),
        write=lambda: store.beat(worker),
        max_unsigned_per_minute=config.limits.max_unsigned_per_minute,
        close=close,
    )
