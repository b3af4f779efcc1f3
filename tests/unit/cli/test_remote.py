"""Commands that ask our own faces over HTTP, against a small server that says what the real one would."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Typed


class Side(ThreadingHTTPServer):
    """Answers as told and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, str | None, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Side

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization"), body))
        status, told = self.server.answers.get(self.path, (404, {"title": "nothing there"}))
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET  # noqa: N815 - the library looks for this name

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def side(typed: Typed) -> Iterator[Side]:
    """Both binds of the settings lead to it."""
    server = Side()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    config = typed.folder / "config.toml"
    address = f"127.0.0.1:{server.server_port}"
    config.write_text(config.read_text().replace("127.0.0.1:8440", address).replace("127.0.0.1:8441", address))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def token(tmp_path: Path) -> str:
    file = tmp_path / "token"
    file.write_text("tdr_secret\n")
    return str(file)


def test_healthcheck_follows_readyz(typed: Typed, side: Side) -> None:
    side.answers["/readyz"] = (200, {})
    assert typed("healthcheck").output == "ready\n"
    side.answers["/readyz"] = (503, {})
    assert "503" in typed("healthcheck", code=1).output


def test_healthcheck_of_nothing_ends_with_four(typed: Typed) -> None:
    config = typed.folder / "config.toml"
    config.write_text(config.read_text().replace("127.0.0.1:8440", "127.0.0.1:1"))
    assert "is it running" in typed("healthcheck", code=4).output


def test_cases_are_listed_with_the_persons_token(typed: Typed, side: Side, token: str) -> None:
    side.answers["/api/v1/cases?state=watch"] = (200, {"cases": [{"code": "K7QX-93FM", "exposure": "watch"}]})
    shown = typed("case", "--token-file", token, "list", "--state", "watch").output
    assert "K7QX-93FM" in shown
    assert side.asked == [("GET", "/api/v1/cases?state=watch", "Bearer tdr_secret", None)]


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (("release", "K7QX-93FM", "--reason", "mistake"), "/api/v1/cases/K7QX-93FM/release", {"reason": "mistake"}),
        (("retry", "K7QX-93FM"), "/api/v1/cases/K7QX-93FM/retry", {}),
        (("approve", "01J", "--reason", "clear"), "/api/v1/items/01J/approve", {"reason": "clear"}),
        (("refuse", "a/b", "--reason", "art"), "/api/v1/items/a%2Fb/refuse", {"reason": "art"}),
        (("agree", "01J"), "/api/v1/decisions/01J/agree", {}),
    ],
)
def test_acts_are_posted(
    typed: Typed, side: Side, token: str, words: tuple[str, ...], path: str, body: dict[str, str]
) -> None:
    side.answers[path] = (202, {"state": "asked"})
    assert "asked" in typed("case", "--token-file", token, *words).output
    assert side.asked == [("POST", path, "Bearer tdr_secret", body)]


def test_a_refusal_is_told_in_its_own_words(typed: Typed, side: Side, token: str) -> None:
    side.answers["/api/v1/cases/X/retry"] = (409, {"title": "Not possible", "detail": "the case is not stuck"})
    assert "the case is not stuck (409)" in typed("case", "--token-file", token, "retry", "X", code=1).output
    assert "tdr_secret" not in typed("case", "--token-file", token, "show", "nope", code=1).output


def test_a_case_is_shown_whole(typed: Typed, side: Side, token: str) -> None:
    side.answers["/api/v1/cases/X"] = (200, {"code": "X", "want": "down", "urls": [{"url": "hxxps://a[.]b/…"}]})
    shown = typed("case", "--token-file", token, "show", "X").output
    assert "want  down" in shown
    assert "hxxps://a[.]b/…" in shown
