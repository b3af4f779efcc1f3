"""The deliver track: after each try of a letter, what becomes of its events."""

from __future__ import annotations

from receiver.domain.backoff import MICROS
from receiver.domain.moves import move
from receiver.domain.outcome import LedgerNote, Outcome, Page, Table, Update, WorkMove
from receiver.domain.rows import EventRow, NoticeRow, WorkRow
from receiver.domain.status import PRIORITY, SLOW_LANE, Track
from receiver.report.letter import Answer
from receiver.report.retry import next_try


def delivered(work: WorkRow, events: tuple[EventRow, ...], *, now: int, more: bool) -> Outcome:
    """T7: heard. Go on at once where more are waiting."""
    changes = tuple(Update(table=Table.EVENT, where={"id": e.id}, values={"delivered_at": now}) for e in events)
    return Outcome(work=move(work, "deliver", due_at=now if more else None), changes=changes)


def undelivered(
    work: WorkRow, notice: NoticeRow, events: tuple[EventRow, ...], answer: Answer, *, now: int, give_up_hours: int
) -> Outcome:
    """Not heard: again by the schedule, or a dead letter that a person sees and can send again."""
    if work.owner is None:
        raise ValueError("only a leased row moves")
    attempts = work.attempts + 1
    dead = tuple(e for e in events if answer.gone or now >= e.created_at + give_up_hours * 3600 * MICROS)
    left = tuple(e for e in events if e not in dead)
    again = None
    if left:
        again = next_try(
            subject=notice.id,
            attempts=attempts,
            first_failed_at=left[0].created_at,
            now=now,
            give_up_hours=give_up_hours,
            retry_after_seconds=answer.retry_after_seconds,
        )
    retry = WorkMove(
        track=work.track,
        subject=work.subject,
        owner=work.owner,
        epoch=work.epoch,
        nudges=work.nudges,
        state="deliver",
        due_at=again,
        priority=SLOW_LANE if again is not None else PRIORITY[Track.DELIVER],
        attempts=attempts if again is not None else 0,
        first_failed_at=(work.first_failed_at or now) if again is not None else None,
        last_error=answer.words,
    )
    if not dead:
        return Outcome(work=retry)
    gone = tuple(Update(table=Table.EVENT, where={"id": e.id}, values={"dead_at": now}) for e in dead)
    note = LedgerNote(
        kind="callback.dead", subject=notice.id, actor="worker", detail={"events": len(dead), "words": answer.words}
    )
    page = Page(kind="callback.dead", subject=notice.issuer, text=f"{len(dead)} event(s) undelivered: {answer.words}")
    return Outcome(work=retry, changes=gone, notes=(note,), pages=(page,))
