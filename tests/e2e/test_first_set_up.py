"""docs/first-set-up.md, typed as it stands: a newcomer's first hour must not hold a surprise."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from receiver.demo.clearing import thaw
from tests.doubles.documents import ROOT, Block, blocks
from tests.e2e.typed_page import Place, Printed, missing_lines, receiver_words, type_blocks
from tests.support import need_program, need_root, wait_until

PAGE = ROOT / "docs" / "first-set-up.md"
SECONDS = 900.0
FOLDERS = (
    "/etc/takedown",
    "/etc/nginx",
    "/srv",
    "/var/lib/takedown",
    "/var/log/takedown.log",
    "/run/nginx.pid",
    "/root",
)
"""Paths of the page that lie in a folder of the test here."""
PORTS = ("8080", "8440", "8441", "9000")
DEBIAN_NGINX = """user root;
pid "{root}/run/nginx.pid";
error_log "{root}/var/log/nginx.log";
events {{ }}
http {{
    access_log off;
    client_body_temp_path "{root}/run/body";
    proxy_temp_path "{root}/run/proxy";
    fastcgi_temp_path "{root}/run/fastcgi";
    uwsgi_temp_path "{root}/run/uwsgi";
    scgi_temp_path "{root}/run/scgi";
    include "{root}/etc/nginx/conf.d/*.conf";
}}
"""
"""What the package brings, as far as the page rests on it."""


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        found = []
        for _ in range(count):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            found.append(int(one.getsockname()[1]))
        return found


def make_place(root: Path) -> Place:
    for name in ("etc/nginx/conf.d", "srv", "var/lib", "var/log", "run", "root"):
        (root / name).mkdir(parents=True)
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    place = Place(
        folder=root,
        instead={**{path: f"{root}{path}" for path in FOLDERS}, **ports},
        variables={
            "TAKEDOWN_SERVER__PUBLIC_BIND": f"127.0.0.1:{ports['8440']}",
            "TAKEDOWN_SERVER__ADMIN_BIND": f"127.0.0.1:{ports['8441']}",
        },
    )
    place.program("takedown-receiver", *receiver_words())
    if shutil.which("curl") is None:
        place.program("curl", sys.executable, str(ROOT / "tests" / "e2e" / "like_curl.py"))
    place.program("nginx", need_program("nginx"), "-c", f"{root}/etc/nginx/nginx.conf", "-e", "stderr")
    return place


@contextmanager
def running_nginx(place: Place) -> Iterator[None]:
    """As the package leaves it: up, with a `conf.d` to put things into."""
    root = place.folder
    (root / "etc/nginx/nginx.conf").write_text(DEBIAN_NGINX.format(root=root), encoding="utf-8")
    with (root / "var/log/nginx.out").open("wb") as out:
        argv = [str(root / "bin" / "nginx"), "-g", "daemon off;"]
        nginx = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_until((root / "run/nginx.pid").exists, "nginx runs", seconds=60)
        yield
    finally:
        nginx.terminate()
        nginx.wait(60)


def typed_blocks() -> list[Block]:
    """All but the first: what that one installs is here already."""
    return [block for block in blocks(PAGE) if block.is_typed][1:]


@dataclass(frozen=True, kw_only=True)
class Typed:
    """The whole page, typed once."""

    place: Place
    printed: Printed = field(repr=False)

    def end(self) -> str:
        """Where it ended and what was printed there, with the last of the receiver's own words."""
        typed, by_block = typed_blocks(), self.printed.by_block
        at = min(len(by_block), len(typed)) - 1
        log = self.place.folder / "var/log/takedown.log"
        said = log.read_text(encoding="utf-8")[-3000:] if log.exists() else ""
        return f"{typed[at].where} ended with {self.printed.code}:\n{by_block[at][-3000:]}\nThe log ends:\n{said}"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typed]:
    need_root()
    need_program("bash")
    root = tmp_path_factory.mktemp("page")
    try:
        place = make_place(root)
        with running_nginx(place):
            yield Typed(place=place, printed=type_blocks(place, typed_blocks(), seconds=SECONDS))
    finally:
        thaw(root)


def test_page_can_be_typed_as_it_stands(page: Typed) -> None:
    assert page.printed.code == 0, page.end()


def test_page_shows_what_appears(page: Typed) -> None:
    assert page.printed.code == 0, "the page did not get to its end"
    found, typed = list(blocks(PAGE)), typed_blocks()
    told = [(found[at - 1], block) for at, block in enumerate(found) if block.language == "text"]
    assert len(told) >= 7
    for before, block in told:
        said = page.printed.by_block[typed.index(before)]
        assert missing_lines(page.place.here(block.text), said) == [], f"{block.where} is not what appeared:\n{said}"


def test_trial_leaves_nothing_behind(page: Typed) -> None:
    assert page.printed.code == 0, "the page did not get to its end"
    left = {path.name for path in page.place.folder.rglob("*takedown*")}
    assert left == {"takedown-receiver", "takedown.log"}


def test_lines_that_do_not_appear_are_found() -> None:
    assert missing_lines("one\n…\nfour …", "one\ntwo\nfour  five\n") == []
    assert missing_lines("customer … test", "customer         test\n") == []
    assert missing_lines("200", "404\n") == ["200"]
    assert missing_lines("two\none", "one\ntwo\n") == ["one"]
    assert missing_lines("0 failed, …", "10 failed, 1 warning\n") == ["0 failed, …"]
