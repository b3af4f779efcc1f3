"""What a URL becomes in the maps: never a line that nginx cannot read, and never another page's key."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.contract import DenyTarget, GateReceipt, GateStatus
from adapters.nginx.rules import Rule, is_too_long, lines_of, map_lines, rules_for
from tests.doubles.nginx_map import render
from tests.unit.adapters.nginx_site import HOST, Site, target
from tests.unit.adapters.running_nginx import NGINX, need

DOLLARS = b"a=" + b"%24" * 250
"""Fits as written; decoded, each dollar sign takes 18 bytes of nginx's configuration."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.server.stop()


def configured(folder: Path, rules: list[Rule]) -> subprocess.CompletedProcess[str]:
    (folder / "deny.conf").write_bytes(render(rules, "1"))
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid; error_log {folder}/e; events {{}} http {{ map_hash_bucket_size 8192;"
        f" map_hash_max_size 65536; include {folder}/deny.conf; }}"
    )
    argv = [NGINX, "-t", "-q", "-c", str(folder / "nginx.conf")]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("tested", [True, False])
def test_many_dollars_jam_nothing(site: Site, tested: bool) -> None:
    asked = site.gate if tested else site.make(test_command=None)
    asked.deny([target(b"/before")], "op-1")
    asked.deny([target(b"/p", query=DOLLARS)], "op-2")
    asked.deny([target(b"/after")], "op-3")
    subprocess.run(site.server.test_command, check=True)
    for denied in (b"/before", b"/p?" + DOLLARS, b"/p?a=%24" + b"$" * 249, b"/p?a=" + b"$" * 250, b"/after"):
        assert site.status(denied) == 404
    for near in (b"/p", b"/p?a=%24", b"/p?" + DOLLARS + b"%24", b"/q?" + DOLLARS):
        assert site.status(near) == 200
    assert asked.state(GateReceipt(op_id="op-2")) is GateStatus.DENYING
    asked.allow(GateReceipt(op_id="op-2"))
    assert site.status(b"/p?" + DOLLARS) == 200


def test_only_as_written_is_said(site: Site) -> None:
    query = b"a=" + b"%24" * 350
    assert site.gate.deny([target(b"/p", query=query)], "op-1").residual == (
        "a very long query is refused only as written, not in every spelling",
    )
    assert site.status(b"/p?" + query) == 404


def test_line_too_long_is_left_out() -> None:
    """A book may hold one from before; it must not take the others with it."""
    bad, good = b"h " + b"$" * 250 + b" /p", b"h  /x"
    assert map_lines("page", [bad, good]) == map_lines("page", [good])


def test_decoded_blank_refuses_no_neighbour(site: Site) -> None:
    site.gate.deny([target(b"/p", query=b"%20/x"), target(b"/q", query=b"%20")], "op-1")
    for near in (b"/x%20/p", b"/%20/q", b"/x", b"/p"):
        assert site.status(near) == 200, near
    for denied in (b"/p?%20/x", b"/p?+/x", b"/p?%20%2fx", b"/q?%20", b"/q?+"):
        assert site.status(denied) == 404, denied


def test_hostile_urls_pass_nginx(tmp_path: Path) -> None:
    need(Path(NGINX).exists(), "nginx")
    chance = random.Random(7)
    alphabet = [bytes([byte]) for byte in b'$%"\\{};~* a']
    alphabet += [b"%%%02X" % byte for byte in b'$%"\\{};~* \n\r\t\0\xff']
    rules: list[Rule] = []
    for number in range(400):
        letters = chance.sample(alphabet, chance.randint(1, len(alphabet)))
        query = b"".join(chance.choices(letters, k=chance.randint(30, 1300)))[: chance.randint(100, 4000)]
        path = b"/%d" % number + (query[:1000] if number % 4 == 0 else b"")
        one = DenyTarget(url="https://x/", host=HOST, path=path, query=query)
        rules += [rule for rule in rules_for(one) if not is_too_long(rule)]
    assert len(rules) > 200
    assert all(any(kind == "page" for kind, _ in lines_of(rule)) for rule in rules)
    done = configured(tmp_path, rules)
    assert (done.returncode, done.stderr) == (0, "")
