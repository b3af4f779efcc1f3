"""What becomes of a letter's events after each try."""

from __future__ import annotations

from typing import Any

import pytest

from receiver.domain.backoff import MICROS
from receiver.domain.outcome import Outcome
from receiver.domain.rows import WorkRow
from receiver.domain.status import SLOW_LANE, Track
from receiver.report.delivery import delivered, undelivered
from receiver.report.letter import Answer
from tests.doubles.case_rows import NOW, event_row, notice_row, updates, work_row

HOUR = 3600 * MICROS
NO = Answer(accepted=False, words="the endpoint answered 503")


def letter_box(**changes: Any) -> WorkRow:
    return work_row(Track.DELIVER, "deliver", subject="notice-1", priority=2, **changes)


def failed(*events: Any, work: WorkRow | None = None, answer: Answer = NO, now: int = NOW) -> Outcome:
    return undelivered(work or letter_box(), notice_row(), tuple(events), answer, now=now, give_up_hours=72)


@pytest.mark.parametrize("more", [True, False])
def test_heard_events_are_marked(more: bool) -> None:
    outcome = delivered(letter_box(), (event_row(2), event_row(3)), now=NOW, more=more)
    assert [c.where for c in updates(outcome)] == [{"id": "event-2"}, {"id": "event-3"}]
    assert all(c.values == {"delivered_at": NOW} for c in outcome.changes)
    assert outcome.work is not None
    assert outcome.work.due_at == (NOW if more else None)


def test_unheard_letter_waits_in_slow_lane() -> None:
    outcome = failed(event_row())
    assert outcome.work is not None
    assert (outcome.work.priority, outcome.work.attempts) == (SLOW_LANE, 1)
    assert (outcome.work.first_failed_at, outcome.work.last_error) == (NOW, NO.words)
    assert NOW + 4.5 * MICROS <= (outcome.work.due_at or 0) <= NOW + 5.5 * MICROS
    assert not outcome.changes


def test_first_failure_is_remembered() -> None:
    outcome = failed(event_row(), work=letter_box(attempts=4, first_failed_at=NOW - HOUR))
    assert outcome.work is not None
    assert (outcome.work.attempts, outcome.work.first_failed_at) == (5, NOW - HOUR)


def test_retry_after_delays_the_letter() -> None:
    outcome = failed(event_row(), answer=Answer(accepted=False, retry_after_seconds=600))
    assert outcome.work is not None
    assert outcome.work.due_at == NOW + 600 * MICROS


def test_old_events_die_and_young_ones_stay() -> None:
    old, young = event_row(2, created_at=NOW - 72 * HOUR), event_row(3, created_at=NOW - HOUR)
    outcome = failed(old, young, work=letter_box(attempts=20))
    assert [(c.where, c.values) for c in updates(outcome)] == [({"id": "event-2"}, {"dead_at": NOW})]
    assert [p.kind for p in outcome.pages] == [n.kind for n in outcome.notes] == ["callback.dead"]
    assert outcome.work is not None
    assert outcome.work.due_at is not None


def test_last_event_dead_ends_the_work() -> None:
    outcome = failed(event_row(created_at=NOW - 72 * HOUR), work=letter_box(attempts=20, first_failed_at=5))
    assert outcome.work is not None
    assert (outcome.work.due_at, outcome.work.attempts, outcome.work.first_failed_at) == (None, 0, None)
    assert outcome.work.priority == 2


def test_event_lives_to_the_very_end() -> None:
    outcome = failed(event_row(created_at=NOW - 72 * HOUR + 1))
    assert not outcome.changes
    assert outcome.work is not None
    assert outcome.work.due_at == NOW + 1


def test_gone_endpoint_kills_all() -> None:
    outcome = failed(event_row(2), event_row(3), answer=Answer(accepted=False, gone=True, words="410"))
    assert len(outcome.changes) == 2


def test_row_without_lease_is_refused() -> None:
    with pytest.raises(ValueError, match="leased"):
        failed(event_row(), work=letter_box(owner=None))
