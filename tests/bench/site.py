"""A whole receiver with nginx, Varnish and an issuer, as the tests start it, with limits that a bench does not meet."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from receiver.client.send import load_key
from receiver.demo.clearing import thaw
from receiver.demo.places import HOST
from tests.bench.figures import BenchError
from tests.bench.issuer import Ear, Line, Post, notice_body, prepare, sha256
from tests.bench.machine import PATH as PROGRAMS
from tests.e2e.stand import Stand

NO_LIMITS = """
[limits]
max_requests_per_minute = 1000000
max_items_per_minute = 100000000

"""
POLICY = """max_acts_per_hour = 100000000
max_customers_per_hour = 100000000
"""
START_SECONDS = 120.0
FILE_BYTES = 20_000
ITEMS = 25


@dataclass(frozen=True, kw_only=True)
class Item:
    path: str
    sha256: str

    @property
    def url(self) -> str:
        return f"http://{HOST}{self.path}"


class BenchStand(Stand):
    def __init__(self, root: Path, *, workers: int = 1) -> None:
        super().__init__(root)
        with self.places.config.open("a", encoding="utf-8") as settings:
            settings.write(f"{NO_LIMITS}[policy]\n{POLICY}\n[worker]\nprocesses = {workers}\n")
        # Its listener verifies and sorts each callback at once, which would take the receiver's processor time.
        self.listener.close()
        self.jwks = (self.places.receiver / "keys" / "public.jwks.json").read_bytes()
        self.ear = Ear(self.facts.callback_port, self.jwks)
        self.key = load_key(self.places.issuer / "key.pem")

    def wait_until_ready(self) -> None:
        """As the tests do it, but patient, and an end of patience is the bench's own error."""
        deadline = time.monotonic() + START_SECONDS
        while not (self.says("agent.started", "worker.started") and self.is_ready()):
            if time.monotonic() > deadline:
                raise BenchError("the receiver did not start")
            time.sleep(0.05)

    @property
    def database(self) -> Path:
        return self.places.receiver / "data" / "receiver.db"

    def put_files(self, count: int, size_bytes: int = FILE_BYTES) -> list[Item]:
        """Distinct noise, each file asked for twice so that the cache holds it."""
        batch = secrets.token_hex(4)
        folder = self.places.docroot / "gallery" / batch
        folder.mkdir(mode=0o755, parents=True)
        items = []
        for number in range(count):
            data = os.urandom(size_bytes)
            (folder / f"{number:06d}.png").write_bytes(data)
            items.append(Item(path=f"/gallery/{batch}/{number:06d}.png", sha256=sha256(data)))
        os.sync()
        line = Line(self.facts.front_port)
        for item in items:
            for _ in range(2):
                if line.send(get_wire(item.path)).status != 200:
                    raise BenchError("a new file does not come through the cache")
        line.close()
        return items

    def posts(self, items: Sequence[Item], items_each: int) -> list[Post]:
        made = []
        for start in range(0, len(items), items_each):
            chosen = items[start : start + items_each]
            notice_id = f"BENCH-{secrets.token_hex(8)}"
            body = notice_body(notice_id, [item.url for item in chosen], [item.sha256 for item in chosen])
            made.append(prepare(self.facts.origin_url, notice_id, body, self.key))
        return made

    def seals(self) -> int:
        return int(read_one(self.database, "SELECT count(*) FROM seal"))

    def wait_for_seals(self, count: int, seconds: float) -> float:
        """Monotonic, when so many were recorded. Raises BenchError."""
        deadline = time.monotonic() + seconds
        while self.seals() < count:
            if time.monotonic() > deadline:
                raise BenchError(f"only {self.seals()} of {count} seals within {seconds:g} s")
            time.sleep(0.05)
        return time.monotonic()


def get_wire(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def read_one(database: Path, query: str) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as link:
        return int(link.execute(query).fetchone()[0])


@contextmanager
def bench_stand(folder: Path, *, start: bool = True, workers: int = 1) -> Iterator[BenchStand]:
    for name in ("nginx", "varnishd"):
        if shutil.which(name, path=PROGRAMS) is None:
            raise BenchError(f"{name} is not installed")
    root = folder / f"stand-{secrets.token_hex(3)}"
    stand = BenchStand(root, workers=workers)
    stand.ear.start()
    try:
        if start:
            stand.start()
            stand.site.start()
        yield stand
    finally:
        if stand.receiver is not None:
            stand.receiver.stop()
        stand.site.stop()
        stand.ear.close()
        thaw(root)
        shutil.rmtree(root, ignore_errors=True)
