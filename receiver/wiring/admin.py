"""The staff side's parts: no storage credentials, no vault, none of the signing keys."""

from __future__ import annotations

from receiver.config import Config, policy_of
from receiver.domain.clock import SystemClock
from receiver.engine.committer import Committer
from receiver.services.admin import AdminServices, make_admin_services
from receiver.wiring.counts import read_counts
from receiver.wiring.parts import build_store, identity


def build_admin(config: Config, *, slot: str = "admin-0") -> AdminServices:
    """Call it after the fork."""
    store = build_store(config, create=True)
    committer = Committer(store)
    who = identity(slot, config)
    worker = store.register_worker(who.node, f"{who.slot}-{who.pid}", who.boot, who.pid, who.config_sha256)

    def close() -> None:
        store.retire_worker(worker)
        committer.close()
        store.close()

    return make_admin_services(
        store=store,
        committer=committer,
        policy=policy_of(config),
        clock=SystemClock(),
        # Kept over restarts, so that a page that is open does not lose its form.
        cookie_key=bytes.fromhex(store.sealer.hmac("admin cookie", b"")),
        https=(config.server.admin_origin or "").startswith("https://"),
        write=lambda: store.beat(worker),
        close=close,
        shared_counts=lambda: read_counts(config.server.data_dir),
    )
