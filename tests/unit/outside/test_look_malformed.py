"""A URL that nginx refuses as malformed: gone only when the file behind it is, at every server that stands in front."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.domain.status import Verdict
from receiver.domain.web import MALFORMED, LookKind, combine
from receiver.outside.look import OutsideLooker
from tests.doubles.web_servers import Server, answer, saying
from tests.unit.adapters.running_nginx import RunningNginx, free_port
from tests.unit.outside.looking import GONE, target

BROKEN = ["a%zz.png", "a%", "b%2.png", "c%%32d.png"]
"""As notified; each is also the name of a file, which nginx knows by another spelling."""
FILES = {"a%zz.png": "a%zz.png", "a%": "a%", "b%2.png": "b%2.png", "c%%32d.png": "c%2d.png"}


class Front:
    def __init__(self, base: Path) -> None:
        self.root = base / "www"
        self.root.mkdir()
        port = free_port()
        self.at = f"127.0.0.1:{port}"
        self.nginx = RunningNginx(base, f"server {{ listen {self.at}; root {self.root}; }}")


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    made = Front(tmp_path)
    yield made
    made.nginx.stop()


def url(path: str) -> str:
    return f"http://img.example/{path}"


@pytest.mark.parametrize("path", BROKEN)
def test_file_gone_behind_nginx_is_gone(looker: OutsideLooker, front: Front, path: str) -> None:
    file = front.root / FILES[path]
    file.write_bytes(b"synthetic noise")
    up = looker.look(target(front.at, url=url(path), expected_size=15))
    assert (up[0].status, up[0].note, combine(up)) == (400, MALFORMED, Verdict.UP)
    assert [look.status for look in up if look.kind is LookKind.SPELLING] == [206]
    file.unlink()
    gone = looker.look(target(front.at, url=url(path), expected_size=15))
    assert (gone[0].status, combine(gone)) == (400, Verdict.GONE)


def test_another_server_may_still_serve_it(looker: OutsideLooker, front: Front) -> None:
    """nginx refuses it, and the server beside it takes the same text for the name of the picture."""
    with Server(saying(answer(200, b"x", content_type="image/jpeg"))) as lax:
        assert combine(looker.look(target(front.at, lax, url=url("a%zz.png")))) is Verdict.UP
    with Server(GONE) as lax:
        assert combine(looker.look(target(front.at, lax, url=url("a%zz.png")))) is Verdict.GONE


def test_one_server_clears_itself_only(looker: OutsideLooker, front: Front) -> None:
    """A server that answers 400 to everything says nothing, whatever nginx says of the file."""
    with Server(saying(answer(400))) as odd:
        looks = looker.look(target(front.at, odd, url=url("a%zz.png")))
    assert combine(looks) is Verdict.INCONCLUSIVE


def test_whole_url_refused_is_unclear(looker: OutsideLooker) -> None:
    """A guard that turns this visitor away with 400 may let others in."""
    with Server(saying(answer(400))) as guard:
        for path in ("a.png", "a%zz.png", "a%zz%2fb.png"):
            assert combine(looker.look(target(guard, url=url(path)))) is Verdict.INCONCLUSIVE


def test_encoded_slash_has_no_other_spelling(looker: OutsideLooker, front: Front) -> None:
    assert combine(looker.look(target(front.at, url=url("a%zz%2fb.png")))) is Verdict.INCONCLUSIVE


def test_broken_query_is_no_broken_path(looker: OutsideLooker, front: Front) -> None:
    looks = looker.look(target(front.at, url=url("a.png?x=%zz")))
    assert (looks[0].status, combine(looks)) == (404, Verdict.GONE)


def test_path_without_query_is_asked_as_served(looker: OutsideLooker, front: Front) -> None:
    (front.root / "a%zz.png").write_bytes(b"synthetic noise")

    def cached(conn: socket.socket, request: bytes) -> None:
        line = request.split(b"\r\n")[0]
        conn.sendall(answer(400 if b"%zz" in line else 404 if b"?" in line else 200, b"x", content_type="image/png"))

    with Server(cached) as cache:
        looks = looker.look(target(cache, url=url("a%zz.png?v=1"), any_query=True))
    assert combine(looks) is Verdict.UP


@pytest.mark.parametrize(("extra", "status", "note"), [(7_000, 404, ""), (8_180, 414, "too_long")])
def test_line_too_long_for_nginx_is_unclear(
    looker: OutsideLooker, front: Front, extra: int, status: int, note: str
) -> None:
    """Other servers take longer lines, so a person has to look."""
    look = looker.look(target(front.at, url=url("a" * extra)))[0]
    assert (look.status, look.note) == (status, note)
