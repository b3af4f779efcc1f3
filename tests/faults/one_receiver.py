"""The web side and a worker in one process, over any database: real engine, real store, a world in memory around."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from receiver.api.app import create_public_app
from receiver.domain.clock import SystemClock
from receiver.engine.committer import Committer
from receiver.engine.heartbeat import Identity
from receiver.engine.lanes import plan
from receiver.engine.worker import Worker
from receiver.services.web import make_web_services
from receiver.steps.admission import WebPorts
from receiver.steps.signed_answers import AnswerSigner
from receiver.store import SqlStore
from receiver.verification.keys import KeyRing
from receiver.verification.signing import SigningKey
from tests.doubles.databases import Database
from tests.doubles.make_world import make_world
from tests.doubles.web_side import ORIGIN, Sender, notice_json, to_bytes
from tests.doubles.world import HOST, World

ISSUER = "iwf"


@dataclass(frozen=True, kw_only=True)
class Answered:
    status: int
    retry_after: str | None


@dataclass(kw_only=True)
class OneReceiver:
    world: World
    client: Any
    sender: Sender
    worker: Worker

    def put(self, number: int) -> str:
        return self.world.put(f"/public/{number}.jpg", b"colour field %d" % number)

    def send(self, number: int) -> Answered:
        """One notice about one picture; sent again it is the same notice under a new signature."""
        url = f"https://{HOST}/public/{number}.jpg"
        body = to_bytes(notice_json(issuer=ISSUER, notice_id=f"N-{number}", urls=[url]))
        request = self.sender.request("POST", "/v1/notices", body)
        answer = self.client.post("/v1/notices", data=body, headers=list(request.headers), base_url=ORIGIN)
        return Answered(status=answer.status_code, retry_after=answer.headers.get("Retry-After"))

    def send_until_taken(self, number: int, turned_away: list[Answered], *, seconds: float) -> None:
        """As issuers do. What was answered before comes into `turned_away` at once."""
        deadline = time.monotonic() + seconds
        while (answer := self.send(number)).status != 202:
            turned_away.append(answer)
            assert time.monotonic() < deadline, f"not taken within {seconds:g} s: {answer}"
            time.sleep(0.05)

    def told(self, status: str) -> int:
        """How many letters with this status the issuer has taken."""
        return sum(body.count(b'"status":"%s"' % status.encode()) for _, _, body in list(self.world.mailbox.letters))


@contextmanager
def one_receiver(database: Database, folder: Path, **parts: Any) -> Iterator[OneReceiver]:
    """`parts` of the world are put in the place of its own: `cache`, `gate`, `store`, …"""
    with ExitStack() as closing:
        work, web = _opened(closing, database), _opened(closing, database)
        world = _world(folder, work, parts)
        sender = Sender(issuer=ISSUER, key_id="iwf-1")
        worker = _worker(closing, work, world)
        yield OneReceiver(world=world, client=_client(closing, web, world, sender), sender=sender, worker=worker)


def _opened(closing: ExitStack, database: Database) -> SqlStore:
    store = database.open()
    closing.callback(store.close)
    return store


def _world(folder: Path, store: SqlStore, parts: dict[str, Any]) -> World:
    backend: Any = store._db.backend
    now = backend.now
    world = make_world(folder, store)
    backend.now, world.clock = now, SystemClock()  # type: ignore[assignment]  # real threads need real time
    for name, part in parts.items():
        setattr(world, name, part)
    world.rebuild()
    return world


def _worker(closing: ExitStack, store: SqlStore, world: World) -> Worker:
    listener, committer = store.wake_listener(), Committer(store)
    worker = Worker(
        queue=store,
        committer=committer,
        tools=world.tools,
        lanes=plan(exposure_threads=4, evidence_threads=2, deliver_threads=3),
        identity=Identity(node="n", slot="a", boot="1", pid=1, config_sha256=""),
        wait_for_call=listener.wait,
        drain_seconds=5,
    )
    thread = threading.Thread(target=worker.run)
    thread.start()

    def end() -> None:
        worker.stop()
        thread.join(30)
        assert not thread.is_alive()
        committer.close()
        listener.close()

    closing.callback(end)
    return worker


def _client(closing: ExitStack, store: SqlStore, world: World, sender: Sender) -> Any:
    committer = Committer(store)
    closing.callback(committer.close)
    ports = WebPorts(
        reads=store,
        committer=committer,
        register=KeyRing([sender.record()]),
        policy=replace(world.policy, source=ORIGIN),
        origins=(ORIGIN,),
        clock=SystemClock(),
    )
    key = SigningKey.named_by_thumbprint(Ed25519PrivateKey.generate())
    services = make_web_services(
        ports=ports,
        signer=AnswerSigner(key=key, clock=ports.clock),
        public_jwks={"keys": [key.public_jwk()]},
        close=lambda: None,
        write=lambda: None,
        max_unsigned_per_minute=10**6,
    )
    return create_public_app(services).test_client()
