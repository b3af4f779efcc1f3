"""No line of any process shows a URL in clear."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from receiver.logs import configure_logs

URL = "https://img.example.net/a/b.jpg?secret=1"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    configure_logs("worker", "debug", stream)
    yield stream
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:], root.level = before[0], before[1]


def told(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object(lines: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(case="K7QX-93FM")
    structlog.get_logger("x").info("resource.blocked", count=3)
    (line,) = told(lines)
    assert (line["event"], line["process"], line["level"], line["case"], line["count"]) == (
        "resource.blocked",
        "worker",
        "info",
        "K7QX-93FM",
        3,
    )
    assert line["at"].endswith("Z")


@pytest.mark.parametrize(
    "fields",
    [
        {"url": URL},
        {"deep": {"list": [{"x": f"GET {URL} HTTP/1.1"}]}},
        {URL: "a key"},
        {"quoted": "https%3A%2F%2Fimg.example.net%2Fa%2Fb.jpg"},
        {"escaped": '{"u": "https:\\/\\/img.example.net\\/a\\/b.jpg"}'},
        {"loud": "HTTPS://IMG.example.net/a/b.jpg"},
        {"object": Exception(URL)},
        {"raw": URL.encode()},
    ],
)
def test_urls_are_masked_wherever_they_stand(lines: io.StringIO, fields: dict[str, Any]) -> None:
    structlog.get_logger("x").warning("seen", **fields)
    assert "b.jpg" not in lines.getvalue()
    assert "https://" not in lines.getvalue().lower()


def test_the_event_itself_is_masked(lines: io.StringIO) -> None:
    structlog.get_logger("x").warning(f"cannot reach {URL}")
    assert told(lines)[0]["event"] == "cannot reach hxxps://img[.]example[.]net/…"


def test_libraries_lines_go_the_same_way(lines: io.StringIO) -> None:
    logging.getLogger("library").warning("GET %s", URL, extra={"referrer": URL})
    (line,) = told(lines)
    assert (line["event"], line["words"]) == ("library.said", "GET hxxps://img[.]example[.]net/…")
    assert line["referrer"] == "hxxps://img[.]example[.]net/…"


def test_traces_are_masked(lines: io.StringIO) -> None:
    try:
        int(URL)
    except ValueError:
        structlog.get_logger("x").exception("failed")
        logging.getLogger("library").exception("failed")
    assert "b.jpg" not in lines.getvalue()
    assert all("ValueError" in line["exception"] for line in told(lines))


def test_connection_chatter_is_silenced(lines: io.StringIO) -> None:
    logging.getLogger("urllib3.connectionpool").debug("Starting new HTTPS connection")
    assert lines.getvalue() == ""


def test_our_own_names_stay_events(lines: io.StringIO) -> None:
    logging.getLogger("receiver.web").warning("request.refused", extra={"reason": "signature"})
    logging.getLogger("takedown.agent").warning("user %d may not use the agent", 7)
    ours, agent = told(lines)
    assert (ours["event"], ours["reason"]) == ("request.refused", "signature")
    assert (agent["event"], agent["words"]) == ("agent.said", "user 7 may not use the agent")
