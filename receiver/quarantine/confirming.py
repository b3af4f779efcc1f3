"""The exposure track once acts are done, X6 to X10 and X12 of core-model §7: purged, looked at, watched. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from receiver.domain.moves import move, try_again
from receiver.domain.outcome import LedgerNote, Outcome, Wake
from receiver.domain.status import (
    RECHECK_PRIORITY,
    Exposure,
    ItemStatus,
    Track,
    Verdict,
)
from receiver.domain.telling import facts_of, tell
from receiver.quarantine.course import (
    Context,
    Seen,
    came_through,
    kept,
    observations,
    overdue,
    tellable,
    unclear,
    untold,
    verdicts,
    watch_start,
    watch_started,
    worst,
)
from receiver.quarantine.journal import (
    Done,
    deny_intents,
    purge_intents,
)
from receiver.quarantine.watching import next_look


def confirmed(ctx: Context, done: Sequence[Done], seen: Sequence[Seen], was_public: bool | None) -> Outcome:
    """X7, X8, X9, X10: what the looks say decides between watching on, purging again and calling a person."""
    view = ctx.view
    acted = came_through(ctx, done)
    changes: tuple[Any, ...] = (*acted.changes, *verdicts(seen, ctx.now))
    notes = [*acted.notes]
    verdict = worst(seen)
    if verdict is Verdict.GONE:
        return _gone(ctx, changes, notes, seen, was_public)
    if verdict is Verdict.UP:
        retry = try_again(view.exposure, "still reachable from outside", now=ctx.now, state=Exposure.PURGE)
        if view.exposure.attempts == 0:
            notes.append(ctx.note("seen.up"))
        again = Outcome(changes=(*changes, *purge_intents(view, now=ctx.now)), notes=tuple(notes))
        return overdue(ctx).plus(retry).plus(again)
    return unclear(ctx, changes, Exposure.CONFIRM).plus(Outcome(notes=tuple(notes)))


def _gone(
    ctx: Context, changes: tuple[Any, ...], notes: list[LedgerNote], seen: Sequence[Seen], was_public: bool | None
) -> Outcome:
    view = ctx.view
    effective = view.case.effective_at or ctx.now
    known = view.case.was_public if view.case.was_public is not None else was_public
    facts = replace(facts_of(view, ctx.now), effective_at=effective, was_public=known, observations=observations(seen))
    fresh = untold(view)
    told = tell(
        [(i, n) for i, n in tellable(view) if i.status is not ItemStatus.REMOVED],
        ItemStatus.DISABLED,
        now=ctx.now,
        policy=ctx.policy,
        facts=facts,
    )
    if fresh:
        notes.append(ctx.note("seen.gone", urls=len(seen)))
    due = _next_due(ctx, watch_start(view, ctx.now, fresh=fresh))
    watch = move(view.exposure, Exposure.WATCH, due_at=due, priority=RECHECK_PRIORITY)
    case = ctx.case(effective_at=effective, was_public=known)
    wake = Wake(track=Track.EVIDENCE, subject=view.case.id)
    return (
        Outcome(changes=(*changes, case))
        .plus(told)
        .plus(Outcome(work=watch, notes=tuple(notes), wakes=(wake,) if fresh else ()))
    )


def purge_again(ctx: Context, done: Sequence[Done]) -> Outcome:
    """X7 at +30 s and +5 min, and X12: refuse what joined at its gates, purge, and look again."""
    view = ctx.view
    fresh = deny_intents(view, now=ctx.now)
    notes = (ctx.note("claim.joined"),) if fresh or untold(view) else ()
    return came_through(ctx, done).plus(
        Outcome(
            work=move(view.exposure, Exposure.PURGE, keep=True),
            changes=(*fresh, *purge_intents(view, now=ctx.now)),
            notes=notes,
        )
    )


def watched(ctx: Context, done: Sequence[Done], seen: Sequence[Seen]) -> Outcome:
    """Up again while nobody asks for it any more: nothing is done about it until people have decided."""
    due = _next_due(ctx, watch_started(ctx.view, ctx.now))
    return Outcome(
        work=move(ctx.view.exposure, Exposure.WATCH, due_at=due, priority=RECHECK_PRIORITY),
        changes=(*kept(ctx, done), *verdicts(seen, ctx.now)),
    )


def _next_due(ctx: Context, started_at: int) -> int | None:
    """The next look; or before that the end of a hold, which may be all that keeps it down."""
    ends = [h.until_at for h in ctx.view.holds if h.released_at is None and h.until_at is not None]
    look = next_look(started_at=started_at, now=ctx.now, watch_days=ctx.policy.watch_days)
    return min([at for at in (look, *ends) if at is not None and at > ctx.now], default=look)
