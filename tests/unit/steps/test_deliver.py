"""The deliver step: one letter at a time, signed afresh, and nothing raised for what the other side does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from receiver.domain.errors import DeliveryError, LostLeaseError
from receiver.domain.outcome import WorkMove
from receiver.domain.policy import IssuerPolicy, Policy
from receiver.domain.ports import SentResponse
from receiver.domain.rows import EventRow, NoticeView
from receiver.domain.status import Track
from receiver.report.letter import MAX_BATCH
from receiver.steps.deliver import deliver
from tests.doubles.case_rows import NOW, event_row, notice_row, work_row

URL = "https://hotline.example/cb"


class Tooling:
    """The tools as far as this step needs them, and the issuer's endpoint."""

    def __init__(self, *events: EventRow, url: str | None = URL) -> None:
        self.waiting, self.url = events, url
        self.reads: Any = self
        self.policy = Policy()
        self.answer: int | Exception = 204
        self.alive = True
        self.headers: Mapping[str, str] = {}
        self.posted: list[tuple[str, Mapping[str, str], bytes, bool]] = []

    def may_act(self) -> bool:
        return self.alive

    def undelivered(self, _notice: str, limit: int) -> tuple[EventRow, ...]:
        return self.waiting[:limit]

    def load_notice(self, _notice: str) -> NoticeView:
        return NoticeView(notice=notice_row(), items=(), directions=(), decisions=())

    def issuer(self, issuer: str) -> IssuerPolicy:
        return IssuerPolicy(id=issuer, callback_url=self.url, allow_private_callback=True)

    def sign_callback(self, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        return {**headers, "Signature": f"{url}:{len(body)}:{len(self.posted)}"}

    def sender_for(self, _issuer: str) -> Any:
        return self

    def now(self) -> int:
        return NOW

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, allow_private: bool = False) -> SentResponse:
        self.posted.append((url, headers, body, allow_private))
        if isinstance(self.answer, Exception):
            raise self.answer
        return SentResponse(status=self.answer, headers=self.headers, body=b"", address="a")


def run(tools: Any) -> WorkMove:
    move = deliver(work_row(Track.DELIVER, "deliver", subject="notice-1"), tools).outcome.work
    assert move is not None
    return move


@pytest.mark.parametrize("tools", [Tooling(), Tooling(event_row(), url=None)])
def test_nothing_to_send_sends_nothing(tools: Tooling) -> None:
    assert run(tools).due_at is None
    assert tools.posted == []


def test_overdue_heartbeat_sends_nothing() -> None:
    """Its successor may have sent this letter, and the next one: they would arrive out of order."""
    tools = Tooling(event_row())
    tools.alive = False
    with pytest.raises(LostLeaseError):
        run(tools)
    assert tools.posted == []


def test_letter_goes_to_the_configured_address() -> None:
    tools = Tooling(event_row())
    assert run(tools).due_at is None
    ((url, headers, body, private),) = tools.posted
    assert (url, private) == (URL, True)
    assert headers == {"Content-Type": "application/cloudevents+json", "Signature": f"{URL}:{len(body)}:0"}


def test_every_try_is_signed_afresh() -> None:
    tools = Tooling(event_row())
    run(tools)
    run(tools)
    first, second = tools.posted
    assert first[2] == second[2]
    assert first[1]["Signature"] != second[1]["Signature"]


def test_more_than_one_batch_goes_on_at_once() -> None:
    assert run(Tooling(*[event_row(n) for n in range(2, MAX_BATCH + 3)])).due_at == NOW


@pytest.mark.parametrize(("answer", "words"), [(503, "answered 503"), (302, "302"), (DeliveryError("no"), "no")])
def test_unheard_letter_is_tried_again(answer: Any, words: str) -> None:
    tools = Tooling(event_row())
    tools.answer = answer
    move = run(tools)
    assert (move.due_at or 0) > NOW
    assert words in (move.last_error or "")


def test_busy_endpoint_is_left_alone() -> None:
    tools = Tooling(event_row())
    tools.answer, tools.headers = 429, {"Retry-After": "90"}
    assert run(tools).due_at == NOW + 90_000_000
