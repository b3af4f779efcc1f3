"""The nginx gate before a real nginx: each spelling of a denied URL is refused, and no other page is."""

from __future__ import annotations

import stat
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from adapters.contract import Denied, GateReceipt, GateStatus, Retryable, Unsupported
from adapters.nginx.gate import NginxGate
from adapters.nginx.rules import Rule, resolved_path
from tests.doubles.nginx_map import render
from tests.unit.adapters.nginx_site import HOST, Site, target
from tests.unit.adapters.running_nginx import raw_get


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("gate"))
    yield made
    made.server.stop()


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    """One nginx for all tests, emptied between them."""
    yield running
    running.gate = running.make()
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(running.gate.allow, [GateReceipt(op_id=op_id) for op_id in running.listed()]))
    with running.gate._denials.changing() as change:
        # Each test has operations of its own, under the same names.
        change._link.execute("DELETE FROM spent")


def test_spellings_of_a_path_are_refused(site: Site) -> None:
    site.gate.deny([target(b"/d/z.jpg")], "op-1")
    for spelled in (
        "/d/z.jpg", "/d/z.jpg?", "/./d/z.jpg", "//d///z.jpg", "/%64/%7a%2Ejpg", "/x/../d/z.jpg", "/d%2fz.jpg",
        "/x/%2e%2e/d/z.jpg", "/d/./z.jpg", "/d/z.jpg#part", f"http://{HOST}/d/z.jpg", f"http://{HOST.upper()}/d/z.jpg",
    ):  # fmt: skip
        assert site.status(spelled) == 404, spelled
    assert site.status("/d/z.jpg", HOST.upper() + ".:8080") == 404
    assert site.status("/d/z.jpg", "other.example") == 200


def test_letter_case_of_path_matters(site: Site) -> None:
    site.gate.deny([target(b"/D/z.jpg"), target(b"/q", query=b"Id=7"), target(b"/any", any_query=True)], "op-1")
    assert site.status("/D/z.jpg") == 404
    assert site.status("/d/z.jpg") == 200
    assert site.status("/D/Z.jpg") == 200
    assert site.status("/q?Id=7") == 404
    assert site.status("/q?id=7") == 200
    assert site.status("/Any?x") == 200


def test_both_cases_may_be_denied(site: Site) -> None:
    site.gate.deny([target(b"/a.jpg"), target(b"/A.jpg")], "op-1")
    assert (site.status("/a.jpg"), site.status("/A.jpg")) == (404, 404)


def test_spellings_of_a_query_are_refused(site: Site) -> None:
    site.gate.deny([target(b"/g.php", query=b"id=7&q=a%20b")], "op-1")
    for spelled in ("id=7&q=a%20b", "id=7&q=a+b", "%69d=7&q=a+b", "%69%64%3D%37%26%71%3d%61%20%62", "id=7&q=%61+b"):
        assert site.status("/g.php?" + spelled) == 404, spelled
        assert site.status("/%67.php?" + spelled) == 404, spelled
    for other in ("id=7", "id=7&q=a%21b", "id=7&q=a%20b&x=1", "", "ID=7&q=a%20b", "%49d=7&q=a%20b"):
        assert site.status("/g.php?" + other) == 200, other
    assert site.status("/h.php?%69d=7&q=a+b") == 200


def test_encoded_query_is_refused_decoded(site: Site) -> None:
    site.gate.deny([target(b"/g.php", query=b"%69d=%C3%A9")], "op-1")
    for spelled in (b"%69d=%C3%A9", b"id=%c3%a9", b"id=\xc3\xa9", b"id=%C3\xa9"):
        assert site.status(b"/g.php?" + spelled) == 404, spelled


def test_plain_path_leaves_queries_up(site: Site) -> None:
    site.gate.deny([target(b"/g.php")], "op-1")
    assert site.status("/g.php") == 404
    assert site.status("/g.php?id=7") == 200
    assert site.status("/g.php?%20") == 200


def test_answer_is_not_to_be_stored(site: Site) -> None:
    site.gate.deny([target(b"/a.jpg")], "op-1")
    assert raw_get(site.port, HOST, b"/a.jpg")[1]["cache-control"] == "no-store"
    assert "cache-control" not in raw_get(site.port, HOST, b"/b.jpg")[1]


def test_no_byte_of_a_path_injects(site: Site) -> None:
    """Every byte, and what would end a word, a line, a block or begin a variable, is only ever itself."""
    hostile = [b"/" + bytes([byte]) + b"x" for byte in range(1, 256) if bytes([byte]) not in (b"/", b".")]
    hostile += [
        b'/" 1; } server { listen 127.0.0.1:1; } map $host $x { default "',
        b"/;}\n include /etc/passwd;\n",
        b"/${takedown_dollar}$host$uri$1\\1\\",
        b'/\\"\\\\";}',
        b"/default 1;",
        b"/~^.*$",
        b"/\\n\\t\\r",
        b"/'",
        b"/#",
        b"/*",
    ]
    site.gate.deny([target(path) for path in hostile], "op-1")
    for path in hostile:
        assert site.status(quote(path, safe="/").encode()) == 404, path
    for near in (b"/", b"/x", b"/y", b"/%24", b"/etc/passwd", b"/%22"):
        assert site.status(near) == 200, near


def test_no_byte_of_a_query_injects(site: Site) -> None:
    raw = bytes(byte for byte in range(0x21, 0x100) if byte not in b"#\x7f")
    hostile = [raw, b'";}', b"$host", b"\\", b"a{2}(b|c)*.+?^$", b"a\\z|.*"]
    site.gate.deny([target(b"/q", query=query) for query in hostile], "op-1")
    for query in hostile:
        assert site.status(b"/q?" + query) == 404, query
    for near in (b"a", b"ab", b"%61%20", b"\\z", b"host", b"img.example"):
        assert site.status(b"/q?" + near) == 200, near


@pytest.mark.parametrize("host", ["", "a b", 'a"', "a;", "A.example", "a{", "$host", "a\n", "ä.example", "*"])
def test_strange_hosts_are_denied(site: Site, host: str) -> None:
    with pytest.raises(Denied):
        site.gate.deny([target(b"/a.jpg", host=host)], "op-1")


def test_long_urls_are_refused_or_said(site: Site) -> None:
    path = b"/" + b"l" * 3000
    query = b"q=" + b"x" * 1500
    receipt = site.gate.deny([target(path), target(b"/q", query=query), target(b"/" + b"m" * 5000)], "op-1")
    assert site.status(path) == 404
    assert site.status(b"/q?" + query) == 404
    assert len(receipt.residual) == 2
    with pytest.raises(Unsupported):
        site.gate.deny([target(b"/" + b"m" * 5000)], "op-2")


def test_bad_configuration_restores_the_file(site: Site) -> None:
    site.gate.deny([target(b"/a.jpg")], "op-1")
    before = site.map_file.read_bytes()
    broken = site.make(test_command=("/bin/false",))
    with pytest.raises(Retryable):
        broken.deny([target(b"/b.jpg")], "op-2")
    assert site.map_file.read_bytes() == before
    assert site.gate.state(broken.deny([], "op-1")) is GateStatus.DENYING
    assert site.listed() == ["op-1"]
    site.gate.deny([target(b"/b.jpg")], "op-2")
    assert site.status("/b.jpg") == 404


def test_refused_allow_keeps_denying(site: Site) -> None:
    receipt = site.gate.deny([target(b"/a.jpg")], "op-1")
    with pytest.raises(Retryable):
        site.make(test_command=("/bin/false",)).allow(receipt)
    assert site.gate.state(receipt) is GateStatus.DENYING
    assert site.status("/a.jpg") == 404
    site.gate.allow(receipt)
    assert site.status("/a.jpg") == 200


def test_edited_file_is_written_again(site: Site) -> None:
    receipt = site.gate.deny([target(b"/a.jpg")], "op-1")
    site.map_file.write_bytes(render([], "0"))
    assert site.gate.state(receipt) is GateStatus.UNKNOWN
    assert site.gate.deny([target(b"/a.jpg")], "op-1") == receipt
    assert site.status("/a.jpg") == 404


def test_many_at_once_share_reloads(site: Site) -> None:
    with ThreadPoolExecutor(12) as pool:
        paths = [b"/many/%d.jpg" % n for n in range(24)]
        receipts = list(pool.map(lambda n: site.gate.deny([target(paths[n])], f"op-{n}"), range(24)))
    assert all(site.status(path) == 404 for path in paths)
    assert all(site.gate.state(receipt) is GateStatus.DENYING for receipt in receipts)
    assert len(site.listed()) == 24


def test_deny_holds_when_it_returns(site: Site) -> None:
    """Visitors ask all the time; from the moment deny returned nobody gets the page."""
    stop, late = threading.Event(), []
    denied = threading.Event()

    def visit() -> None:
        while not stop.is_set():
            was_denied = denied.is_set()
            if site.status("/hot.jpg") == 200 and was_denied:
                late.append(1)

    visitors = [threading.Thread(target=visit) for _ in range(3)]
    for visitor in visitors:
        visitor.start()
    for number in range(3):
        receipt = site.gate.deny([target(b"/hot.jpg")], f"op-{number}")
        denied.set()
        for _ in range(20):
            assert site.status("/hot.jpg") == 404
        denied.clear()
        site.gate.allow(receipt)
    stop.set()
    for visitor in visitors:
        visitor.join()
    assert late == []


def test_command_reload_and_generation(site: Site) -> None:
    url = f"http://127.0.0.1:{site.port}/generation"
    gate = site.make(reload_command=site.server.reload_command, pid_file="", generation_url=url)
    gate.deny([target(b"/a.jpg")], "op-1")
    assert site.status("/a.jpg") == 404
    blind = site.make(reload_command=site.server.reload_command, pid_file="")
    assert blind.probe().lost
    assert blind.deny([target(b"/b.jpg")], "op-2").residual
    assert site.gate.probe().lost == ()


def test_stopped_nginx_is_retryable(site: Site, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("999999999")
    gate = NginxGate("web", str(tmp_path / "deny.conf"), (), None, pid_file=str(tmp_path / "pid"))
    with pytest.raises(Retryable):
        gate.deny([target(b"/a.jpg")], "op-1")


def test_state_file_is_private(site: Site) -> None:
    site.gate.deny([target(b"/a.jpg")], "op-1")
    assert stat.S_IMODE((site.map_file.parent / "deny.conf.sqlite").stat().st_mode) == 0o600


def test_small_hash_buckets_show_at_once(site: Site, tmp_path: Path) -> None:
    """An operator who forgot map_hash_bucket_size learns it from nginx -t with the first, empty file."""
    (tmp_path / "deny.conf").write_bytes(render([], "0"))
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"pid {tmp_path}/pid; error_log {tmp_path}/e; events {{}} http {{ include {tmp_path}/deny.conf; }}")
    done = subprocess.run([*site.server.test_command[:-1], str(conf)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "map_hash_bucket_size" in done.stderr


@pytest.mark.parametrize(
    ("path", "resolved"),
    [
        (b"/", b"/"), (b"//a//b", b"/a/b"), (b"/a/./b/", b"/a/b/"), (b"/a/../b", b"/b"), (b"/a/..", b"/"),
        (b"/a/b/..", b"/a/"), (b"/a/.", b"/a/"), (b"/../a", b"/a"), (b"/a/...", b"/a/..."), (b"/.a", b"/.a"),
    ],
)  # fmt: skip
def test_paths_resolve_as_in_nginx(path: bytes, resolved: bytes) -> None:
    assert resolved_path(path) == resolved


def test_equal_rules_render_once() -> None:
    rule = Rule(host=HOST, path=b"/a.jpg")
    assert render([rule, rule], "1") == render([rule], "1")


@pytest.mark.parametrize(
    "wrong", [{"status": 200}, {"map_file": "deny.conf"}, {"map_file": "/no/such/place/deny.conf"}, {"pid_file": ""}]
)
def test_wrong_settings_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    good: dict[str, Any] = {"map_file": str(tmp_path / "d"), "reload_command": (), "pid_file": "/run/nginx.pid"}
    with pytest.raises(ValueError, match=r"must|needs"):
        NginxGate("web", **good | wrong)
