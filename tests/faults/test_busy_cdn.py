"""A cache that says "not now": it is asked again when it said, not before, and people hear of a deadline meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.contract import CacheAdapter, CacheHints, CacheKey, Capabilities, PurgeStatus, PurgeTicket, Retryable
from adapters.http import HttpLimits, HttpSession, Patience
from adapters.varnish.adapter import VarnishCache
from adapters.varnish.settings import VarnishSettings
from receiver.domain.clock import to_micros
from receiver.engine.sweeps import sweeps_for
from tests.doubles.calling import call_people
from tests.doubles.databases import Database, sqlite_database, sqlite_template  # noqa: F401 - fixtures
from tests.doubles.failing import SayingGate
from tests.doubles.make_world import make_world
from tests.doubles.world import HOST, World

URL = f"https://{HOST}/public/a.jpg"
BODY = b"colour field"
WAIT_SECONDS = 120


class Cdn(ThreadingHTTPServer):
    """Keeps pages, and answers purges as `answer` says: a status, and seconds for Retry-After."""

    daemon_threads = True

    def __init__(self, origin: Callable[[str], bytes | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.origin, self.kept = origin, {}  # type: ignore[var-annotated]  # path to body
        self.answer: tuple[int, str | None] = (200, None)
        self.asked: list[str] = []
        self.drip = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fetch(self, url: str) -> bytes | None:
        path = url.partition(HOST)[2]
        found = self.kept[path] if path in self.kept else self.origin(url)
        if found is not None:
            self.kept[path] = found
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Varnish", ""
    server: Cdn

    def version_string(self) -> str:
        return "Varnish"

    def _purge(self) -> None:
        self.server.asked.append(self.command)
        status, wait = self.server.answer
        if status == 200:
            self.server.kept.pop(self.path, None)
        body = b"x" * 40
        self.send_response(status)
        if wait is not None:
            self.send_header("Retry-After", wait)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for at in range(len(body)):
            self.wfile.write(body[at : at + 1])
            if self.server.drip:
                time.sleep(0.1)

    do_PURGE = do_BAN = do_POST = _purge  # noqa: N815 - the names the library looks for

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # whoever waited too long hung up
            super().handle()

    def log_message(self, *_: object) -> None:
        """A test is quiet."""


class HttpCdn(CacheAdapter):
    """A vendor's API by the client that all such adapters use."""

    def __init__(self, url: str, patience: Patience | None = None, **limits: float) -> None:
        self._url = url
        self._http = HttpSession(limits=HttpLimits(**limits), patience=patience)  # type: ignore[arg-type]

    def _probe(self) -> Capabilities:
        return Capabilities(name="http", can=("purge",))

    def _variants(self, url: str, hints: CacheHints) -> tuple[CacheKey, ...]:
        del hints
        return (CacheKey(value=url.partition(HOST)[2]),)

    def _purge(self, keys: Sequence[CacheKey], op_id: str) -> PurgeTicket:
        for key in keys:
            self._http.request("POST", self._url + key.value)
        return PurgeTicket(op_id=op_id, status=PurgeStatus.DONE)

    def close(self) -> None:
        self._http.close()


MAKE: dict[str, Callable[[str, Patience | None], CacheAdapter]] = {
    "varnish": lambda url, patience: VarnishCache(VarnishSettings(url=url), patience=patience),
    "http": HttpCdn,
}


@contextmanager
def running(cdn: Cdn) -> Iterator[Cdn]:
    thread = threading.Thread(target=cdn.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield cdn
    finally:
        cdn.shutdown()
        thread.join()
        cdn.server_close()


@pytest.fixture
def cdn() -> Iterator[Cdn]:
    with running(Cdn(lambda _url: None)) as made:
        yield made


@pytest.fixture(params=list(MAKE))
def world(
    request: pytest.FixtureRequest,
    cdn: Cdn,
    sqlite_database: Database,  # noqa: F811 - fixtures
    tmp_path: Path,
) -> Iterator[World]:
    """The gate denies nothing here, so that the cache alone decides what the public gets."""
    with closing(sqlite_database.open()) as db:
        made = make_world(tmp_path, db)
        cdn.origin = made.origin
        cache: Any = MAKE[request.param](cdn.url, Patience(made.clock.monotonic))
        cache.fetch = cdn.fetch
        made.cache = cache
        made.gate = SayingGate()
        made.rebuild()
        yield made
        cache.close()


def begin(world: World, cdn: Cdn, **changes: Any) -> str:
    """Held by the cache, notified, and the cache too busy to purge."""
    world.put("/public/a.jpg", BODY)
    assert world.public_get(URL) == BODY
    cdn.answer = (429, str(WAIT_SECONDS))
    notice = world.notify(URL, **changes)
    world.run()
    return notice


def test_busy_cache_is_left_in_peace(world: World, cdn: Cdn) -> None:
    notice = begin(world, cdn)
    assert (world.statuses(notice), world.public_get(URL), len(cdn.asked)) == (["received"], BODY, 1)
    for _ in range(10):
        world.later(seconds=WAIT_SECONDS / 11)
        world.run()
    assert len(cdn.asked) == 1
    work = world.case_of(notice).exposure
    assert "429" in (work.last_error or "")
    assert work.due_at is not None
    assert work.due_at > to_micros(world.clock.now())
    assert HOST not in (work.last_error or "")


def test_purge_goes_through_afterwards(world: World, cdn: Cdn) -> None:
    notice = begin(world, cdn)
    for _ in range(3):
        world.later(seconds=WAIT_SECONDS * 1.3)
        world.run()
        assert world.statuses(notice) == ["received"], "told while the cache served it"
    assert 2 <= len(cdn.asked) <= 4
    cdn.answer = (200, None)
    world.later(seconds=WAIT_SECONDS * 1.3)
    world.run()
    assert (world.statuses(notice), world.public_get(URL)) == (["disabled"], None)


def test_deadline_calls_a_person(world: World, cdn: Cdn) -> None:
    notice = begin(world, cdn, deadline_at=to_micros(world.clock.now()) + 60_000_000)
    world.later(seconds=WAIT_SECONDS / 2 + 10)
    world.run()
    sweep = deadline_sweep(world)
    sweep()
    sweep()
    assert [page.kind for page in world.db.open_pages(20)].count("deadline.passed") == 1
    assert world.statuses(notice) == ["received"]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_failing_cache_is_never_told_as_done(world: World, cdn: Cdn, status: int) -> None:
    world.put("/public/a.jpg", BODY)
    assert world.public_get(URL) == BODY
    cdn.answer = (status, None)
    notice = world.notify(URL)
    for _ in range(12):
        world.run()
        world.later(minutes=11)
    assert world.public_get(URL) == BODY
    assert set(world.statuses(notice)) <= {"received", "failed"}
    # Ever longer pauses: no more than one try in each of our looks.
    assert len(cdn.asked) <= 2 * 12 + 2
    assert [page.subject for page in call_people(world) if page.kind == "place.failing"] == ["cache cache"]


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("86400", 3600.0), ("soon", 2.0), (None, 2.0)])
@pytest.mark.parametrize("kind", list(MAKE))
def test_wait_is_as_told(cdn: Cdn, kind: str, said: str | None, seconds: float) -> None:
    cdn.answer = (429, said)
    with closing(MAKE[kind](cdn.url, None)) as cache, pytest.raises(Retryable) as caught:
        cache.purge(cache.variants(URL, CacheHints()), "op-1")
    assert caught.value.after_seconds == seconds
    assert len(cdn.asked) == 1


def test_dripping_answer_has_an_end(cdn: Cdn) -> None:
    cdn.drip = True
    with closing(HttpCdn(cdn.url, total_seconds=0.5)) as cache, pytest.raises(Retryable):
        cache.purge([CacheKey(value="/a.jpg")], "op-1")


def deadline_sweep(world: World) -> Callable[[], None]:
    """As the worker runs it."""
    direct: Any = SimpleNamespace(submit=world.commit)
    sweeps = sweeps_for(world.db, world.db, direct, page_again_minutes=(), issuers=())
    return next(sweep.job for sweep in sweeps if sweep.name == "deadlines")
