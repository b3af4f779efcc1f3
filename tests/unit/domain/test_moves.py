"""Moves of a work row, and how long it waits between tries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from receiver.domain.backoff import LONGEST_SECONDS, backoff_seconds, spread
from receiver.domain.causes import at
from receiver.domain.errors import LostLeaseError
from receiver.domain.moves import move, same_lease, stuck, try_again
from receiver.domain.status import Track
from tests.doubles.case_rows import NOW, SECOND, work_row


def test_backoff_doubles_up_to_its_limit() -> None:
    for attempts in range(1, 60):
        base = min(LONGEST_SECONDS, 2.0 ** (attempts - 1))
        assert base <= backoff_seconds("s", attempts) <= base * 1.25
    assert backoff_seconds("s", 1, at_least=90) == 90


def test_rows_that_failed_together_spread_out() -> None:
    waits = {backoff_seconds(str(n), 10) for n in range(100)}
    assert len(waits) == 100
    assert all(0 <= spread(str(n), 1) < 1 for n in range(100))


def test_move_names_its_lease() -> None:
    made = move(work_row(attempts=3, last_error="x"), "purge", due_at=7)
    assert (made.owner, made.epoch, made.state, made.due_at, made.keep) == ("node:slot:boot", 1, "purge", 7, False)
    assert (made.attempts, made.last_error, made.priority) == (0, None, 1)
    assert move(work_row(), "watch", priority=9).priority == 9


@pytest.mark.parametrize("due_at", [NOW, None])
def test_kept_row_stays_due(due_at: int | None) -> None:
    """Else nobody would ever claim the row of a worker that died between two steps."""
    assert move(work_row(due_at=due_at), "block", keep=True).due_at == (due_at or 0)
    assert move(work_row(due_at=due_at), "block", keep=True, due_at=5).due_at == 5


def test_try_again_waits_longer_each_time() -> None:
    row, waits = work_row(), []
    for _ in range(4):
        retry = try_again(row, "away", now=NOW).work
        assert retry is not None
        assert (retry.state, retry.last_error, retry.first_failed_at) == ("watch", "away", NOW)
        waits.append(retry.due_at or 0)
        row = replace(row, attempts=retry.attempts, first_failed_at=retry.first_failed_at)
    assert waits == sorted(waits)
    assert waits[0] >= NOW + SECOND


def test_try_again_honours_the_other_side() -> None:
    retry = try_again(work_row(first_failed_at=5), "busy", now=NOW, after_seconds=90, state="purge").work
    assert retry is not None
    assert (retry.due_at, retry.state, retry.first_failed_at) == (NOW + 90 * SECOND, "purge", 5)


def test_stuck_remembers_where_it_stood() -> None:
    first = stuck(work_row(state="purge"), "broken", now=NOW)
    assert first.work is not None
    assert (first.work.state, first.work.stuck_from, first.work.due_at) == ("stuck", "purge", None)
    assert [(p.kind, p.subject) for p in first.pages] == [("exposure.stuck", "case-1")]
    again = stuck(work_row(state="stuck", stuck_from="purge"), "broken", now=NOW).work
    assert again is not None
    assert again.stuck_from == "purge"


def test_one_place_calls_once_for_many() -> None:
    words = at("store www", "block: it may not be done")
    calls = {(p.kind, p.subject) for case in "ab" for p in stuck(work_row(subject=case), words, now=NOW).pages}
    assert calls == {("exposure.stuck", words)}


def test_row_without_lease_never_moves() -> None:
    free = work_row(Track.EVIDENCE, owner=None)
    for attempt in (lambda: move(free, "x"), lambda: try_again(free, "x", now=1), lambda: stuck(free, "x", now=1)):
        with pytest.raises(ValueError, match="leased"):
            attempt()


def test_another_lease_is_noticed() -> None:
    same_lease(work_row(), work_row())
    for other in (work_row(epoch=2), work_row(owner="else")):
        with pytest.raises(LostLeaseError):
            same_lease(work_row(), other)
