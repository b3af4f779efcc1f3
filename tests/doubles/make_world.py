"""A world with its stores, gate, cache, routes and tools put together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import literal

from receiver.domain.clock import to_micros
from receiver.domain.policy import IssuerPolicy, Policy
from receiver.resolution.routes import Route
from receiver.store import SqlStore, open_store
from tests.doubles.failing import FailingCache, FailingGate, FailingStore, Failures
from tests.doubles.world import HOST, World
from tests.doubles.world_parts import Mailbox, MemoryVault, SteeredClock


def make_world(folder: Path, db: SqlStore | None = None, **policy: Any) -> World:
    """IWF may order down csam at once, npi after review, and shadow notices; `acme` owns everything under its host."""
    failures = Failures()
    clock = SteeredClock()
    issuer = IssuerPolicy(
        id="iwf",
        categories={"csam": "act", "npi": "review", "ncii": "shadow", "test": "act"},
        callback_url="https://hotline.example/cb",
        may_keep_up=True,
    )
    base: dict[str, Any] = {
        "issuers": {"iwf": issuer, "ncmec": replace(issuer, id="ncmec")},
        "source": "https://notices.host.example",
        "protected": ("https://www.host.example/",),
        "remove_after_days": 30,
    }
    world_routes = [
        Route(host=HOST, customer="acme", storage="www", key="acme{path}", caches=("cache",), gates=("edge",)),
        Route(host="gate.example.net", customer="beta", gates=("edge",)),
        Route(host="www.host.example", customer="us", storage="www", key="us{path}", gates=("edge",)),
    ]
    if db is None:
        db = open_store(f"sqlite:///{folder / 'world.db'}", data_key=b"k" * 32, data_dir=folder, create=True)
    backend: Any = db._db.backend
    backend.now = lambda: literal(to_micros(clock.now()))
    cache = FailingCache(failures, lambda url: world.origin(url))  # noqa: PLW0108 - the world is made below
    world = World(
        db=db,
        clock=clock,
        store=FailingStore(failures),
        gate=FailingGate(failures),
        cache=cache,
        failures=failures,
        vault=MemoryVault(),
        mailbox=Mailbox(),
        policy=Policy(**{**base, **policy}),
        routes=world_routes,
    )
    return world
