"""The sequencer's thread: a leader numbers, the others wait, and an alarm is never lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from receiver.domain.entry import BATCH_ENTRIES
from receiver.domain.errors import LedgerConflictError, ReceiverError, StoreUnavailableError
from receiver.engine import numbering as module
from receiver.engine.numbering import Numbering
from tests.doubles.numbers import set_numbers
from tests.support import wait_until


class Signed:
    problems = ("copy two did not take it",)


class Sequencer:
    """Numbers `entries` each of `batches` times; raises `errors` first, in order."""

    def __init__(self, *errors: Exception, batches: int = 0, due: int = 0, entries: int = 1) -> None:
        self.errors, self.batches, self.due, self.entries = list(errors), batches, due, entries
        self.rounds = self.checkpoints = 0

    def run_once(self) -> int:
        self.rounds += 1
        if self.errors:
            raise self.errors.pop(0)
        self.batches -= 1
        return self.entries if self.batches >= 0 else 0

    def checkpoint_due(self) -> bool:
        self.due -= 1
        return self.due >= 0

    def checkpoint(self) -> Signed:
        self.checkpoints += 1
        return Signed()


class Leads:
    """Gives the lead unless `refuse`; counts, so that a test sees a loop that spins."""

    def __init__(self) -> None:
        self.refuse: Exception | None = None
        self.free, self.asked, self.released = True, 0, 0

    def __call__(self, _name: str) -> Any:
        self.asked += 1
        if self.refuse is not None:
            raise self.refuse
        return self if self.free else None

    def held(self) -> bool:
        return True

    def release(self) -> None:
        self.released += 1


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    set_numbers(monkeypatch, module, ROUND_SECONDS=0.01, LEAD_RETRY_SECONDS=0.01, ALARM_RETRY_SECONDS=0.01)


@contextmanager
def running(sequencer: Sequencer, leads: Leads, page: Any = None) -> Iterator[list[tuple[str, str]]]:
    pages: list[tuple[str, str]] = []

    def keep(kind: str, words: str) -> None:
        pages.append((kind, words))

    numbering = Numbering(sequencer, leads, page or keep)
    numbering.start()
    try:
        yield pages
    finally:
        numbering.stop()


def test_leader_numbers_and_signs() -> None:
    sequencer, leads = Sequencer(batches=3, due=1), Leads()
    with running(sequencer, leads) as pages:
        wait_until(lambda: sequencer.rounds > 5, "it goes on")
    assert sequencer.checkpoints == 1
    assert pages == [("ledger.copy", "copy two did not take it")]
    assert leads.released == 1


def test_others_wait_for_the_lead() -> None:
    sequencer, leads = Sequencer(batches=1), Leads()
    leads.free = False
    with running(sequencer, leads):
        wait_until(lambda: leads.asked > 2, "it asks again")
        assert sequencer.rounds == 0
        leads.free = True
        wait_until(lambda: sequencer.rounds, "it leads now")


def test_unreachable_lead_is_asked_again() -> None:
    sequencer, leads = Sequencer(), Leads()
    leads.refuse = StoreUnavailableError("away")
    with running(sequencer, leads):
        wait_until(lambda: leads.asked > 2, "it asks again")
        leads.refuse = None
        wait_until(lambda: sequencer.rounds, "it leads now")


@pytest.mark.parametrize("error", [LedgerConflictError("rival"), StoreUnavailableError("away")])
def test_lead_is_given_up_without_spinning(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    set_numbers(monkeypatch, module, ROUND_SECONDS=0.1)
    sequencer, leads = Sequencer(*[error] * 1000), Leads()
    with running(sequencer, leads) as pages:
        wait_until(lambda: sequencer.rounds >= 3, "it tries again")
    assert leads.asked < 20
    assert leads.released == leads.asked
    assert pages == []


def test_contradiction_calls_a_person() -> None:
    sequencer = Sequencer(ReceiverError("the root is another"))
    with running(sequencer, Leads()) as pages:
        wait_until(lambda: sequencer.rounds > 2, "it looks again later")
    assert pages == [("ledger.alarm", "the root is another")]


def test_unwritten_page_keeps_the_thread_alive() -> None:
    def away(_kind: str, _words: str) -> None:
        raise StoreUnavailableError("away")

    sequencer = Sequencer(ReceiverError("the root is another"))
    with running(sequencer, Leads(), away):
        wait_until(lambda: sequencer.rounds > 2, "it goes on")


@pytest.mark.parametrize(("entries", "goes_on"), [(BATCH_ENTRIES, True), (BATCH_ENTRIES - 1, False)])
def test_only_full_batch_goes_on_at_once(monkeypatch: pytest.MonkeyPatch, entries: int, goes_on: bool) -> None:
    """Less than that waits a round: each transaction of the sequencer stands in the way of the acts'."""
    set_numbers(monkeypatch, module, ROUND_SECONDS=60)
    sequencer, leads = Sequencer(batches=2, entries=entries), Leads()
    with running(sequencer, leads):
        wait_until(lambda: sequencer.due < 0, "the batches are through")
        assert sequencer.rounds == (3 if goes_on else 1)
