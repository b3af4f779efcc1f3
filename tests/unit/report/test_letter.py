"""Callbacks as CloudEvents, and what an issuer's answer means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.report.letter import MAX_BATCH, Answer, read_answer, write_letter
from tests.doubles.case_rows import NOW, event_row, notice_row

SOURCE = "https://notices.host.example"
SENT = "Mon, 21 Sep 2026 14:13:20 GMT"
"""NOW, as an HTTP date."""


def test_single_event_stands_alone() -> None:
    letter = write_letter([event_row()], notice_row(), SOURCE)
    assert letter.content_type == "application/cloudevents+json"
    assert json.loads(letter.body) == {
        "specversion": "1.0",
        "id": "event-2",
        "source": SOURCE,
        "type": "takedown.item.disabled",
        "subject": "N-1/1",
        "time": "2026-09-21T14:13:20.000Z",
        "datacontenttype": "application/json",
        "data": {"status": "disabled", "sequence": 2},
    }


def test_several_events_are_one_batch() -> None:
    letter = write_letter([event_row(n) for n in (2, 3, 4)], notice_row(), SOURCE)
    assert letter.content_type == "application/cloudevents-batch+json"
    assert [(e["id"], e["data"]["sequence"]) for e in json.loads(letter.body)] == [
        ("event-2", 2),
        ("event-3", 3),
        ("event-4", 4),
    ]


def test_batch_has_a_limit() -> None:
    letter = write_letter([event_row(n) for n in range(2, MAX_BATCH + 10)], notice_row(), SOURCE)
    assert len(json.loads(letter.body)) == len(letter.events) == MAX_BATCH
    assert letter.events[0].sequence == 2


def test_same_events_give_same_letter() -> None:
    events = [event_row(2), event_row(3)]
    assert write_letter(events, notice_row(), SOURCE) == write_letter(events, notice_row(), SOURCE)


def test_names_beyond_ascii_stay_readable() -> None:
    letter = write_letter([event_row(data={"reason": "Grüße"})], notice_row(), SOURCE)
    assert "Grüße".encode() in letter.body


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_heard(status: int) -> None:
    assert read_answer(status, {}, NOW) == Answer(accepted=True)


@pytest.mark.parametrize("status", [199, 301, 302, 307, 400, 401, 404, 409, 429, 500, 503])
def test_anything_else_is_tried_again(status: int) -> None:
    answer = read_answer(status, {"Location": "https://elsewhere.example/"}, NOW)
    assert (answer.accepted, answer.gone) == (False, False)
    assert str(status) in answer.words


def test_gone_endpoint_ends_it() -> None:
    answer = read_answer(410, {"Retry-After": "5"}, NOW)
    assert (answer.accepted, answer.gone, answer.retry_after_seconds) == (False, True, 0.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("999999999", 86_400),
        ("9" * 400, 86_400),
        (SENT, 0),
        ("Mon, 21 Sep 2026 14:15:20 GMT", 120),
        ("Mon, 21 Sep 2026 14:15:20 -0000", 120),
        ("Mon, 21 Sep 2026 14:15:20", 120),
        ("Mon, 21 Sep 2026 16:15:20 +0200", 120),
        ("Mon, 21 Sep 2025 14:15:20 GMT", 0),
        ("Mon, 21 Sep 2099 14:15:20 GMT", 86_400),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("", 0),
        ("²", 0),
    ],
)
def test_retry_after_has_two_forms(value: str, seconds: float) -> None:
    assert read_answer(429, {"retry-AFTER": value}, NOW).retry_after_seconds == seconds


_dates = st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+.*")


@given(st.text(st.characters(max_codepoint=255), max_size=40) | _dates)
def test_no_header_breaks_us(value: str) -> None:
    headers: dict[str, Any] = {"Retry-After": value}
    assert 0 <= read_answer(503, headers, NOW).retry_after_seconds <= 86_400
