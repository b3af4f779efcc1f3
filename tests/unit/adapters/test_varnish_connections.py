"""A purge uses the connection of the one before, and does not mind when Varnish closed it meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from adapters.contract import CacheKey, PurgeStatus, Retryable
from adapters.varnish.adapter import VarnishCache
from adapters.varnish.connections import KEEP_SECONDS, MAX_IDLE, Connections
from adapters.varnish.settings import VarnishSettings
from tests.support import wait_until

KEYS = (CacheKey(value="/a.jpg", headers=(("Host", "a.example"),)),)


class Front(http.server.ThreadingHTTPServer):
    """Speaks as Varnish does, and counts who came and who went."""

    closes_silently = answers_nothing = False
    request_queue_size = 64

    def __init__(self) -> None:
        self.came = self.went = self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def version_string(self) -> str:
        return "Varnish"

    def setup(self) -> None:
        super().setup()
        self.server.came += 1

    def finish(self) -> None:
        super().finish()
        self.server.went += 1

    def do_PURGE(self) -> None:
        self.server.asked += 1
        assert self.server.may_answer.wait(60)
        if not self.server.answers_nothing:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
        self.close_connection = self.server.closes_silently or self.server.answers_nothing

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def front() -> Iterator[Front]:
    server = Front()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def settings(front: Front) -> VarnishSettings:
    return VarnishSettings(url=f"http://127.0.0.1:{front.server_port}")


@pytest.fixture
def cache(settings: VarnishSettings) -> Iterator[VarnishCache]:
    with contextlib.closing(VarnishCache(settings)) as made:
        yield made


def test_purges_share_one_connection(front: Front, cache: VarnishCache) -> None:
    for number in range(3):
        assert cache.purge(KEYS, f"op-{number}").status is PurgeStatus.DONE
    assert (front.asked, front.came) == (3, 1)


def test_connection_closed_meanwhile_is_replaced(front: Front, cache: VarnishCache) -> None:
    front.closes_silently = True
    for number in range(3):
        cache.purge(KEYS, f"op-{number}")
        wait_until(lambda: front.went == front.came, "the connection is closed")
    assert (front.asked, front.came) == (3, 3)


def test_fresh_connection_is_tried_once(front: Front, cache: VarnishCache) -> None:
    front.answers_nothing = True
    with pytest.raises(Retryable):
        cache.purge(KEYS, "op-1")
    assert (front.asked, front.came) == (1, 1)


def test_late_answer_is_nobody_elses(front: Front, settings: VarnishSettings) -> None:
    with contextlib.closing(VarnishCache(replace(settings, timeout_seconds=0.5))) as cache:
        front.may_answer.clear()
        with pytest.raises(Retryable):
            cache.purge(KEYS, "op-1")
        front.may_answer.set()
        wait_until(lambda: front.went == 1, "the connection is closed")


def test_closed_cache_keeps_no_connection(front: Front, cache: VarnishCache) -> None:
    cache.purge(KEYS, "op-1")
    assert front.went == 0
    cache.close()
    wait_until(lambda: front.went == 1, "the connection is closed")


def connected(connections: Connections) -> http.client.HTTPConnection:
    made = connections.fresh()
    made.connect()
    return made


def test_long_idle_connections_are_closed(settings: VarnishSettings) -> None:
    now = [0.0]
    connections = Connections(settings, lambda: now[0])
    first, second = connected(connections), connected(connections)
    connections.keep(first)
    connections.keep(second)
    now[0] = KEEP_SECONDS
    assert connections.kept() is second
    connections.keep(second)
    now[0] += KEEP_SECONDS + 0.1
    assert connections.kept() is None
    assert first.sock is second.sock is None


def test_idle_connections_are_few(settings: VarnishSettings) -> None:
    connections = Connections(settings)
    made = [connected(connections) for _ in range(MAX_IDLE + 1)]
    for one in made:
        connections.keep(one)
    assert [one for one in made if one.sock is None] == made[MAX_IDLE:]
    connections.close()
    assert all(one.sock is None for one in made)
