"""Moves of a work row: on, wait, try again, or stuck. Every step ends in exactly one of these."""

from __future__ import annotations

from dataclasses import replace

from receiver.domain.backoff import MICROS, backoff_seconds
from receiver.domain.causes import place_of
from receiver.domain.errors import LostLeaseError
from receiver.domain.outcome import Outcome, Page, WorkMove
from receiver.domain.rows import WorkRow
from receiver.domain.status import PRIORITY


def same_lease(leased: WorkRow, read: WorkRow) -> None:
    """Raise LostLeaseError when the row as read is not held under the lease that was claimed.

    Without this a worker that was taken for dead would go on under its successor's lease.
    """
    if (leased.owner, leased.epoch) != (read.owner, read.epoch):
        raise LostLeaseError("another worker holds this row now")


def move(
    work: WorkRow, state: str, *, due_at: int | None = None, keep: bool = False, priority: int | None = None
) -> WorkMove:
    """The step came through. `keep` goes on to the next one at once; `due_at` None waits to be woken.

    A kept row stays due all the while: should this process die now, its successor claims only what is due.
    """
    if work.owner is None:
        raise ValueError("only a leased row moves")
    if keep and due_at is None:
        due_at = work.due_at or 0
    return WorkMove(
        track=work.track,
        subject=work.subject,
        owner=work.owner,
        epoch=work.epoch,
        nudges=work.nudges,
        state=state,
        due_at=due_at,
        priority=PRIORITY[work.track] if priority is None else priority,
        keep=keep,
    )


def as_it_was(work: WorkRow, *, keep: bool = False) -> WorkMove:
    """Woken with nothing to do: what is known of trouble stays."""
    return replace(
        move(work, work.state, keep=keep),
        attempts=work.attempts,
        first_failed_at=work.first_failed_at,
        last_error=work.last_error,
        stuck_from=work.stuck_from,
    )


def try_again(work: WorkRow, error: str, *, now: int, after_seconds: float = 0.0, state: str | None = None) -> Outcome:
    """Stay, wait longer each time, and say why. `engine.alarms` calls people once it has failed for about a minute."""
    if work.owner is None:
        raise ValueError("only a leased row moves")
    attempts = work.attempts + 1
    wait = backoff_seconds(work.subject, attempts, at_least=after_seconds)
    retry = WorkMove(
        track=work.track,
        subject=work.subject,
        owner=work.owner,
        epoch=work.epoch,
        nudges=work.nudges,
        state=state or work.state,
        due_at=now + int(wait * MICROS),
        priority=PRIORITY[work.track],
        attempts=attempts,
        first_failed_at=work.first_failed_at or now,
        last_error=error,
    )
    return Outcome(work=retry)


def stuck(work: WorkRow, error: str, *, now: int) -> Outcome:
    """Trying again will not help: a person is called, and `retry` goes on from where it stood."""
    if work.owner is None:
        raise ValueError("only a leased row moves")
    halt = WorkMove(
        track=work.track,
        subject=work.subject,
        owner=work.owner,
        epoch=work.epoch,
        nudges=work.nudges,
        state="stuck",
        due_at=None,
        priority=PRIORITY[work.track],
        attempts=work.attempts + 1,
        first_failed_at=work.first_failed_at or now,
        last_error=error,
        stuck_from=work.state if work.state != "stuck" else work.stuck_from,
    )
    # What one place says to many is one call; a trouble of its own calls for itself.
    subject = error if place_of(error) else work.subject
    page = Page(kind=f"{work.track.value}.stuck", subject=subject, text=error)
    return Outcome(work=halt, pages=(page,))
