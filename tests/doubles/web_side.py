"""The web side over a real SQLite store, with an issuer that signs."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from receiver.client.signing import sign_notice
from receiver.domain.clock import SystemClock
from receiver.domain.errors import StoreUnavailableError
from receiver.domain.notice import UnverifiedRequest
from receiver.domain.outcome import CommitResult, Outcome
from receiver.domain.policy import IssuerPolicy, Policy
from receiver.services.web import WebServices, make_web_services
from receiver.steps.admission import WebPorts
from receiver.steps.signed_answers import AnswerSigner
from receiver.store.store import SqlStore, open_store
from receiver.verification.jwk import thumbprint
from receiver.verification.keys import Algorithm, KeyRecord, KeyRing
from receiver.verification.signing import SigningKey

ORIGIN = "https://notices.host.example"
CATEGORIES = {"csam": "act", "npi": "review", "ncii": "shadow", "terrorism": "refuse", "test": "act"}


class DirectCommitter:
    """One outcome, one transaction. `away` makes the database unreachable."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.away = False

    def submit(self, outcome: Outcome) -> CommitResult:
        if self.away:
            raise StoreUnavailableError("switched off by the test")
        (result,) = self._store.commit([outcome])
        if result.error is not None:
            raise result.error
        return result


@dataclass(frozen=True, kw_only=True)
class Sender:
    """An issuer's software."""

    issuer: str
    key_id: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate, repr=False)
    origin: str = ORIGIN

    def record(self) -> KeyRecord:
        public = self.key.public_key()
        return KeyRecord(
            issuer=self.issuer,
            key_id=self.key_id,
            algorithm=Algorithm.ED25519,
            public_key=public,
            thumbprint=thumbprint(public),
        )

    def request(self, method: str, path: str, body: bytes = b"", **signing: Any) -> UnverifiedRequest:
        """A request as the server hands it in; `signing` as for `sign_notice`."""
        now = signing.pop("now", None) or dt.datetime.now(dt.UTC)
        headers = sign_notice(method, self.origin + path, body, self.key, self.key_id, now=now, **signing)
        lines = [("Host", urlsplit(self.origin).netloc), *headers.items()]
        if body:
            lines.append(("Content-Length", str(len(body))))
        return UnverifiedRequest(method=method, target=path, headers=tuple(lines), body=body)

    def notice(self, **members: Any) -> UnverifiedRequest:
        return self.request("POST", "/v1/notices", to_bytes(notice_json(issuer=self.issuer, **members)))

    def direction(self, notice_id: str, **members: Any) -> UnverifiedRequest:
        body = to_bytes(direction_json(issuer=self.issuer, **members))
        return self.request("POST", f"/v1/notices/{notice_id}/directions", body)


def to_bytes(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()


def notice_json(**members: Any) -> dict[str, Any]:
    return {
        "schema": "takedown-notice/1",
        "notice_id": "N-1",
        "issuer": "hotline",
        "issued_at": "2026-11-22T09:30:00Z",
        "category": "csam",
        "urls": ["https://img.example.net/a/b.jpg"],
        **members,
    }


def direction_json(**members: Any) -> dict[str, Any]:
    return {
        "schema": "takedown-direction/1",
        "direction_id": "D-1",
        "issuer": "hotline",
        "issued_at": "2026-11-22T10:30:00Z",
        "direction": "withdraw",
        **members,
    }


@dataclass(frozen=True, kw_only=True)
class WebSide:
    store: SqlStore
    committer: DirectCommitter
    ports: WebPorts
    hotline: Sender
    other: Sender
    response_key: SigningKey

    def services(self, **changes: Any) -> WebServices:
        given = {"max_unsigned_per_minute": 1000, "write": lambda: None, **changes}
        signer = AnswerSigner(key=self.response_key, clock=self.ports.clock)
        jwks = {"keys": [self.response_key.public_jwk()]}
        return make_web_services(ports=self.ports, signer=signer, public_jwks=jwks, close=self.store.close, **given)

    def answer_keys(self) -> KeyRing:
        """What an issuer knows of us."""
        public = self.response_key.private_key.public_key()
        record = KeyRecord(
            issuer="receiver",
            key_id=self.response_key.key_id,
            algorithm=Algorithm.ED25519,
            public_key=public,
            thumbprint=thumbprint(public),
        )
        return KeyRing([record])

    def rows(self, table: str) -> int:
        with self.store._db.read() as conn:
            return int(conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())

    def total_rows(self) -> int:
        return sum(self.rows(table) for table in ("message", "nonce", "notice", "item", "event", "entry", "work"))


def make_web_side(folder: Path, *, origin: str = ORIGIN) -> WebSide:
    store = open_store(f"sqlite:///{folder}/t.db", data_key=secrets.token_bytes(32), data_dir=folder, create=True)
    return web_side_over(store, origin=origin)


def web_side_over(store: SqlStore, *, origin: str = ORIGIN) -> WebSide:
    hotline = Sender(issuer="hotline", key_id="hotline-1", origin=origin)
    other = Sender(issuer="other", key_id="other-1", origin=origin)
    policy = Policy(
        issuers={name: IssuerPolicy(id=name, categories=CATEGORIES) for name in ("hotline", "other")}, source=origin
    )
    committer = DirectCommitter(store)
    ports = WebPorts(
        reads=store,
        committer=committer,
        register=KeyRing([hotline.record(), other.record()]),
        policy=policy,
        origins=(origin,),
        clock=SystemClock(),
    )
    return WebSide(
        store=store,
        committer=committer,
        ports=ports,
        hotline=hotline,
        other=other,
        response_key=SigningKey.named_by_thumbprint(Ed25519PrivateKey.generate()),
    )


def with_issuer(web: WebSide, **changes: Any) -> WebPorts:
    """The ports with other settings for the hotline."""
    policy = web.ports.policy
    issuer = replace(policy.issuers["hotline"], **changes)
    return replace(web.ports, policy=replace(policy, issuers={**policy.issuers, "hotline": issuer}))
