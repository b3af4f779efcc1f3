"""A small world whose notices come in over the real public side: signed, verified, and verified again by the worker."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapters.contract import DenyTarget
from receiver.domain.clock import from_micros
from receiver.domain.outcome import Insert, Outcome, Table, Update
from receiver.domain.policy import IssuerPolicy
from receiver.domain.rows import MessageRow
from receiver.resolution.routes import Route
from receiver.steps.receive import receive_notice
from receiver.steps.receive_direction import receive_direction
from receiver.steps.refusals import RefusedError
from receiver.steps.signed_again import unlike_signed
from receiver.store import SqlStore
from receiver.verification.errors import VerificationError
from receiver.verification.keys import KeyRecord, KeyRing, merge_overlay
from receiver.verification.policy import verify_stored
from tests.doubles.make_world import make_world
from tests.doubles.web_side import CATEGORIES, WebSide, notice_json, to_bytes, web_side_over
from tests.doubles.world import HOST, World

SITE = "site.example.net"
TEST_HOST = "test.example.net"


class Register:
    """Key files with what the database says of them, as `wiring` joins the two."""

    def __init__(self, store: SqlStore, records: list[KeyRecord]) -> None:
        self.store, self.records = store, records

    def find(self, key_id: str) -> KeyRecord | None:
        return KeyRing(merge_overlay(self.records, self.store.key_overlay()).records).find(key_id)


@dataclass(kw_only=True)
class Siege:
    """`hotline`'s key is stolen; `other` is an honest issuer beside it."""

    web: WebSide
    world: World
    register: Register
    ids: Any = field(default_factory=lambda: itertools.count(1))

    # --- what the thief sends

    def send(self, *urls: str, issuer: str = "hotline", **members: Any) -> str:
        """One signed notice over the public side; its notice id."""
        sender = self.web.hotline if issuer == "hotline" else self.web.other
        notice_id = members.pop("notice_id", None) or f"N-{next(self.ids)}"
        issued = self.world.clock.now().isoformat()
        body = notice_json(issuer=issuer, notice_id=notice_id, urls=list(urls), issued_at=issued, **members)
        request = sender.request("POST", "/v1/notices", to_bytes(body), now=self.world.clock.now())
        receive_notice(request, self.web.ports)
        return notice_id

    def answer(self, *urls: str, **members: Any) -> int:
        """The status with which a notice is answered."""
        try:
            self.send(*urls, **members)
        except RefusedError as refusal:
            return refusal.status
        return 202

    def direct(self, notice_id: str, kind: str, *, issuer: str = "hotline", **members: Any) -> None:
        sender = self.web.hotline if issuer == "hotline" else self.web.other
        body = {
            "schema": "takedown-direction/1",
            "direction_id": f"D-{next(self.ids)}",
            "issuer": issuer,
            "issued_at": self.world.clock.now().isoformat(),
            "direction": kind,
            **members,
        }
        path = f"/v1/notices/{notice_id}/directions"
        request = sender.request("POST", path, to_bytes(body), now=self.world.clock.now())
        receive_direction(request, notice_id, self.web.ports)

    # --- what came of it

    def row(self, notice_id: str, issuer: str = "hotline") -> str:
        found = self.world.db.find_notice(issuer, notice_id)
        assert found is not None
        return found.id

    def told(self, notice_id: str, issuer: str = "hotline") -> list[tuple[str, str | None]]:
        items = self.world.notice(self.row(notice_id, issuer)).items
        return [(item.status.value, item.reason) for item in items]

    def denied(self) -> list[DenyTarget]:
        return [rule for rules in self.world.gate._denied.values() for rule in rules]

    def down(self) -> int:
        """How many different things are kept from the public, at the gates or at the store."""
        gates = {(rule.host, rule.path, rule.query) for rule in self.denied()}
        blocked = {name for block in self.world.memory.blocks.values() for name in block.names}
        return max(len(gates), len(blocked))

    def pages(self) -> Mapping[str, str]:
        return {page.kind: page.subject for page in self.world.db.open_pages(1000)}

    # --- what the host does

    def pause(self, scope: str) -> None:
        values = {"scope": scope, "actor": "bob", "since_at": 1}
        self.world.commit(Outcome(changes=(Insert(table=Table.PAUSE, values=values),)))

    def revoke(self, issuer: str = "hotline") -> None:
        """As `issuer revoke` writes it: into the database, read at each request."""
        record = next(record for record in self.register.records if record.issuer == issuer)
        values = {
            "issuer": issuer,
            "kid": record.key_id,
            "thumbprint": record.thumbprint,
            "state": "revoked",
            "not_before": None,
            "not_after": None,
            "revoked_at": 1,
        }
        self.world.commit(Outcome(changes=(Insert(table=Table.ISSUER_KEY, values=values),)))

    def rebuild(self, **issuer: Any) -> None:
        """Other settings for the issuer whose key is stolen, on both sides."""
        issuers = {**self.world.policy.issuers}
        issuers["hotline"] = replace(issuers["hotline"], **issuer)
        self.world.rebuild(issuers=issuers)
        self.web = replace(self.web, ports=replace(self.web.ports, policy=self.world.policy))

    def make_due(self) -> None:
        """As `db.retry` or a wake-up does: every row of the reading of notices is due at once."""
        for notice in self.world.db.list_items("received", after=None, limit=1000):
            where = {"track": "resolve", "subject": notice.notice.id}
            self.world.commit(Outcome(changes=(Update(table=Table.WORK, where=where, values={"due_at": 1}),)))


def make_siege(folder: Path, store: SqlStore, *, acts: int = 20, customers: int = 10, **policy: Any) -> Siege:
    """Forty customers with a host each, one big shop, one program, one host that has a gate only."""
    issuers = {
        name: IssuerPolicy(
            id=name,
            categories=CATEGORIES,
            callback_url="https://hotline.example/cb",
            max_acts_per_hour=acts,
            max_customers_per_hour=customers,
        )
        for name in ("hotline", "other")
    }
    world = make_world(folder, store, issuers=issuers, **policy)
    shared = {"storage": "www", "gates": ("edge",), "caches": ("cache",)}
    world.routes += [
        Route(host=f"c{n}.example.net", customer=f"c{n}", key=f"c{n}{{path}}", **shared)  # type: ignore[arg-type]
        for n in range(40)
    ]
    world.routes.append(Route(host=SITE, customer="shop", key="shop{path}", **shared))  # type: ignore[arg-type]
    world.routes.append(Route(host=TEST_HOST, customer="test", key="test{path}", **shared))  # type: ignore[arg-type]
    web = web_side_over(store)
    register = Register(store, [web.hotline.record(), web.other.record()])
    world.verify = _verifier(world, web, register)
    world.compare = unlike_signed
    world.rebuild()
    ports = replace(web.ports, register=register, clock=world.clock, policy=world.policy)
    return Siege(web=replace(web, ports=ports), world=world, register=register)


def _verifier(world: World, web: WebSide, register: Register) -> Any:
    def verify(message: MessageRow) -> str | None:
        try:
            verify_stored(
                message,
                origins=web.ports.origins,
                register=register,
                received_at=from_micros(message.created_at),
                now=world.clock.now(),
            )
        except VerificationError as error:
            return error.reason
        return None

    return verify


def put(siege: Siege, host: str, path: str, body: bytes = b"noise") -> str:
    """Store something at this address; returns the URL."""
    customer = {HOST: "acme", SITE: "shop", TEST_HOST: "test"}.get(host) or host.partition(".")[0]
    siege.world.memory.write_as_customer(f"{customer}{path}".encode(), body)
    return f"https://{host}{path}"
