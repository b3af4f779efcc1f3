"""The Varnish adapter passes the kit in front of a real varnishd, and says what is wrong when it cannot purge."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import http.server
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from adapters.conformance.cache import CacheConformance, CacheEnvironment
from adapters.contract import CacheHints, Denied, PurgeStatus, PurgeTicket, Retryable, Unsupported
from adapters.varnish.adapter import NO_BAN, VarnishCache
from adapters.varnish.settings import VarnishSettings
from tests.support import free_port, need_program, wait_until

SNIPPET = Path(__file__).parents[2] / "adapters/varnish/takedown.vcl"


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    pages: ClassVar[dict[str, bytes]]

    def do_GET(self) -> None:
        target = self.requestline.split()[1]  # self.path has its first slashes merged
        body = self.pages.get(target.partition("?")[0])
        self.send_response(404 if body is None else 200)
        self.send_header("Cache-Control", "no-store" if body is None else "max-age=600")
        self.send_header("Vary", "Accept-Encoding")
        body = body or b""
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PURGE(self) -> None:
        """A careless application that answers 200 to everything."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_BAN = do_PURGE  # noqa: N815  # the base class names handlers so

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def origin() -> Iterator[tuple[int, dict[str, bytes]]]:
    class Handler(Origin):
        pages: ClassVar[dict[str, bytes]] = {}

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port, Handler.pages
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def varnish(folder: Path, vcl: str) -> Iterator[str]:
    port = free_port()
    (folder / "test.vcl").write_text(vcl)
    process = subprocess.Popen(
        [
            need_program("varnishd"), "-F", "-n", str(folder / "work"), "-a", f"127.0.0.1:{port}",
            "-T", "none", "-j", "none", "-f", str(folder / "test.vcl"),
            "-s", "malloc,16m", "-p", "shortlived=0", "-p", "default_grace=0",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: answers(port) or process.poll() is not None, "varnishd answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def vcl(port: int, *, snippet: str) -> str:
    return f'vcl 4.1;\n{snippet}\nbackend default {{ .host = "127.0.0.1"; .port = "{port}"; }}\n'


class VarnishEnvironment(CacheEnvironment):
    def __init__(self, address: str, pages: dict[str, bytes]) -> None:
        self.address, self.pages = address, pages

    def put(self, path: str, body: bytes) -> None:
        self.pages[path] = body

    def delete(self, path: str) -> None:
        self.pages.pop(path, None)

    def get(self, url: str, **headers: str) -> tuple[int, bytes | None]:
        parts = urlsplit(url)
        target = url.removeprefix(f"{parts.scheme}://{parts.netloc}")
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(self.address).port, timeout=5)
        connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", parts.netloc)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        with connection.getresponse() as answer:
            body = answer.read()
            assert not any(name.lower().startswith("x-takedown") for name in answer.headers)
        connection.close()
        return answer.status, body if answer.status == 200 else None


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, bytes]]]:
    with (
        origin() as (port, pages),
        varnish(tmp_path_factory.mktemp("v"), vcl(port, snippet=SNIPPET.read_text())) as url,
    ):
        yield url, pages


@pytest.fixture
def edge(running: tuple[str, dict[str, bytes]], request: pytest.FixtureRequest) -> VarnishEnvironment:
    """One varnishd for all tests, so each has a host name of its own."""
    url, pages = running
    pages.clear()
    here = VarnishEnvironment(url, pages)
    here.host = "".join(char if char.isalnum() else "-" for char in request.node.name.lower()) + ".example"
    return here


@pytest.fixture
def cache(edge: VarnishEnvironment) -> VarnishCache:
    return VarnishCache(VarnishSettings(url=edge.address))


class TestVarnish(CacheConformance):
    @pytest.fixture
    def environment(self, edge: VarnishEnvironment) -> VarnishEnvironment:
        return edge

    @pytest.fixture
    def adapter(self, cache: VarnishCache) -> VarnishCache:
        return cache


def purge(cache: VarnishCache, url: str, hints: CacheHints | None = None) -> PurgeTicket:
    return cache.purge(cache.variants(url, hints or CacheHints()), "op-1")


def test_probe_measures_ban(cache: VarnishCache) -> None:
    assert cache.probe().can == ("purge", "ban")


def test_gzip_variants_are_purged(cache: VarnishCache, edge: VarnishEnvironment) -> None:
    url = f"http://{edge.host}/a.jpg"
    edge.put("/a.jpg", b"picture")
    plain, packed = edge.get(url), edge.get(url, Accept_Encoding="gzip")
    assert plain[0] == packed[0] == 200
    edge.delete("/a.jpg")
    assert edge.get(url, Accept_Encoding="gzip")[0] == 200
    purge(cache, url)
    assert edge.get(url)[0] == edge.get(url, Accept_Encoding="gzip")[0] == 404


def test_unknown_queries_are_banned(cache: VarnishCache, edge: VarnishEnvironment) -> None:
    url = f"http://{edge.host}/a.jpg"
    edge.put("/a.jpg", b"picture")
    assert edge.get(url + "?nobody=knows") == (200, b"picture")
    edge.delete("/a.jpg")
    assert purge(cache, url).residual == ()
    assert edge.get(url + "?nobody=knows")[0] == 404


@pytest.mark.parametrize("spelled", ["/%61.jpg", "/a%2Ejpg", "/a%2ejpg", "//a.jpg", "/./a.jpg", "//.//a.jpg?x"])
def test_unknown_spellings_are_banned(cache: VarnishCache, edge: VarnishEnvironment, spelled: str) -> None:
    edge.put(spelled.partition("?")[0], b"picture")
    url = f"http://{edge.host}"
    assert edge.get(url + spelled) == (200, b"picture")
    edge.pages.clear()
    assert edge.get(url + spelled) == (200, b"picture")
    purge(cache, url + "/a.jpg")
    assert edge.get(url + spelled)[0] == 404


@pytest.mark.parametrize(
    "path",
    ["/a%20b.jpg", "/a'b&c.jpg", "/a%22b.jpg", "/a%5Cb%5Ed%5De.jpg", "/%FF%E9.jpg", "/a%23b.jpg", "/100%25.jpg",
     "/$(x);[y]*+.jpg", "/a%0Ab.jpg", "/%C3%A9.jpg", "/" + "l" * 1500, "/dir/", "/"],
)  # fmt: skip
def test_odd_paths_are_purged_alone(cache: VarnishCache, edge: VarnishEnvironment, path: str) -> None:
    url, near = f"http://{edge.host}{path}", f"http://{edge.host}{path}0"
    for page in (path, path + "0"):
        edge.put(page, b"picture")
    for page in (url, url + "?x=1", near):
        assert edge.get(page) == (200, b"picture")
    edge.pages.clear()
    assert purge(cache, url).residual == ()
    assert [edge.get(page)[0] for page in (url, url + "?x=1", near)] == [404, 404, 200]


def test_https_and_case_of_host_are_one(cache: VarnishCache, edge: VarnishEnvironment) -> None:
    edge.put("/a.jpg", b"picture")
    assert edge.get(f"http://{edge.host}/a.jpg")[0] == 200
    edge.delete("/a.jpg")
    purge(cache, f"https://{edge.host.upper()}:443/a.jpg")
    assert edge.get(f"http://{edge.host}/a.jpg")[0] == 404


def test_thousand_queries_still_purge(cache: VarnishCache, edge: VarnishEnvironment) -> None:
    url = f"http://{edge.host}/a.jpg"
    edge.put("/a.jpg", b"picture")
    assert edge.get(url + "?n=9999")[0] == 200
    edge.delete("/a.jpg")
    hints = CacheHints(queries=tuple(f"n={n}" for n in range(10_000)))
    assert len(cache.variants(url, hints)) < 10_000
    ticket = cache.purge(cache.variants(url, hints)[-3:], "op-1")
    assert ticket.status is PurgeStatus.DONE
    assert edge.get(url + "?n=9999")[0] == 404


def test_settings_hosts_are_purged_too(edge: VarnishEnvironment) -> None:
    cache = VarnishCache(VarnishSettings(url=edge.address, hosts=("inner." + edge.host,)))
    edge.put("/a.jpg", b"picture")
    assert edge.get(f"http://inner.{edge.host}/a.jpg")[0] == 200
    edge.delete("/a.jpg")
    purge(cache, f"http://{edge.host}/a.jpg")
    assert edge.get(f"http://inner.{edge.host}/a.jpg")[0] == 404


def test_without_ban_says_what_stays(tmp_path: Path) -> None:
    snippet = 'sub vcl_recv { if (req.method == "PURGE") { return (purge); } }'
    with origin() as (port, pages), varnish(tmp_path, vcl(port, snippet=snippet)) as url:
        edge, cache = VarnishEnvironment(url, pages), VarnishCache(VarnishSettings(url=url))
        assert cache.probe().can == ("purge",)
        assert NO_BAN in cache.probe().lost[0]
        edge.put("/a.jpg", b"picture")
        assert edge.get("http://a.example/a.jpg")[0] == 200
        edge.delete("/a.jpg")
        assert purge(cache, "http://a.example/a.jpg").residual == (NO_BAN,)
        assert edge.get("http://a.example/a.jpg")[0] == 404
        unset = VarnishCache(VarnishSettings(url=url, ban_header=""))
        assert unset.probe().can == ("purge",)
        assert purge(unset, "http://a.example/a.jpg").residual == (NO_BAN,)


def test_answer_of_origin_is_no_purge(tmp_path: Path) -> None:
    with origin() as (port, _), varnish(tmp_path, vcl(port, snippet="")) as url:
        cache = VarnishCache(VarnishSettings(url=url))
        with pytest.raises(Unsupported, match=r"takedown\.vcl"):
            cache.probe()
        with pytest.raises(Unsupported):
            purge(cache, "http://a.example/secret.jpg")


def test_foreign_address_is_denied(tmp_path: Path) -> None:
    snippet = SNIPPET.read_text().replace('"127.0.0.1";', "").replace('"::1";', '"192.0.2.1";')
    with origin() as (port, _), varnish(tmp_path, vcl(port, snippet=snippet)) as url:
        with pytest.raises(Denied, match="acl") as caught:
            purge(VarnishCache(VarnishSettings(url=url)), "http://a.example/secret.jpg")
        assert "secret" not in str(caught.value)
        with pytest.raises(Denied):
            VarnishCache(VarnishSettings(url=url)).probe()


def test_varnish_away_is_retryable() -> None:
    cache = VarnishCache(VarnishSettings(url=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(Retryable) as caught:
        purge(cache, "http://a.example/secret.jpg")
    assert "secret" not in str(caught.value)


def test_silent_varnish_is_retryable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        cache = VarnishCache(VarnishSettings(url=f"http://127.0.0.1:{port}", timeout_seconds=0.1))
        with pytest.raises(Retryable):
            purge(cache, "http://a.example/a.jpg")
