"""Database away, races and spent budgets: what was not taken may come again as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from receiver.domain.errors import ConflictError, StoreUnavailableError
from receiver.domain.outcome import CommitResult, Outcome
from receiver.steps.receive import receive_notice
from tests.doubles.web_side import WebSide
from tests.unit.steps.refusing import refusal


def test_database_away_burns_no_nonce(web: WebSide) -> None:
    request = web.hotline.notice()
    web.committer.away = True
    found = refusal(receive_notice, request, web.ports)
    assert (found.status, found.retry_after_seconds) == (503, 5)
    web.committer.away = False
    assert not receive_notice(request, web.ports).repeated


def test_database_unreadable_is_503(web: WebSide) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            raise StoreUnavailableError("switched off by the test")

    found = refusal(receive_notice, web.hotline.notice(), replace(web.ports, reads=Away()))
    assert (found.status, found.slug) == (503, "not-recorded")


def test_database_away_while_refusing_is_503(web: WebSide) -> None:
    request = web.hotline.notice(category="terrorism")
    web.committer.away = True
    assert refusal(receive_notice, request, web.ports).status == 503
    web.committer.away = False
    assert refusal(receive_notice, request, web.ports).status == 403


class Overtaken:
    """Before the first outcome is written, somebody else's is."""

    def __init__(self, web: WebSide, first: Callable[[], object]) -> None:
        self._committer, self._first = web.committer, first
        self._raced = False

    def submit(self, outcome: Outcome) -> CommitResult:
        if not self._raced:
            self._raced = True
            self._first()
        return self._committer.submit(outcome)


def test_lost_race_reads_the_winner(web: WebSide) -> None:
    winner = web.hotline.notice()
    ports = replace(web.ports, committer=Overtaken(web, lambda: receive_notice(winner, web.ports)))
    taken = receive_notice(web.hotline.notice(), ports)
    assert taken.repeated
    assert web.rows("notice") == 1


def test_same_request_twice_at_once_is_409(web: WebSide) -> None:
    request = web.hotline.notice()
    ports = replace(web.ports, committer=Overtaken(web, lambda: receive_notice(request, web.ports)))
    assert refusal(receive_notice, request, ports).slug == "already-recorded"
    assert web.rows("notice") == 1


class Unlimited:
    def take(self, issuer: str) -> int | None:
        return None

    def take_items(self, issuer: str, items: int) -> int | None:
        return None


class AlwaysLate:
    def submit(self, outcome: Outcome) -> CommitResult:
        raise ConflictError("somebody was quicker")


def test_endless_conflict_is_503(web: WebSide) -> None:
    ports = replace(web.ports, committer=AlwaysLate())
    assert refusal(receive_notice, web.hotline.notice(), ports).status == 503


class Spent(Unlimited):
    def take(self, issuer: str) -> int:
        return 7


def test_spent_budget_is_429(web: WebSide) -> None:
    found = refusal(receive_notice, web.hotline.notice(), replace(web.ports, budget=Spent()))
    assert (found.status, found.retry_after_seconds) == (429, 7)
    assert web.total_rows() == 0


class SpentItems(Unlimited):
    def take_items(self, issuer: str, items: int) -> int | None:
        return 9 if items > 2 else None


def test_too_many_items_may_come_again(web: WebSide) -> None:
    ports = replace(web.ports, budget=SpentItems())
    request = web.hotline.notice(urls=["https://img.example.net/a"] * 3)
    found = refusal(receive_notice, request, ports)
    assert (found.status, found.retry_after_seconds) == (429, 9)
    assert web.total_rows() == 0
    assert not receive_notice(request, web.ports).repeated
