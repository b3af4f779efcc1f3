"""What people and the clock said about a case, heeded before anything is done to it: decisions, deadlines, silence."""

from __future__ import annotations

from receiver.domain.moves import as_it_was, move
from receiver.domain.outcome import Outcome, Table, Update, Wake
from receiver.domain.rows import CaseView
from receiver.domain.status import Act, Evidence, Exposure, Track, Want
from receiver.domain.want import standing
from receiver.quarantine.course import Context
from receiver.quarantine.directions import apply_release, ask_release, expire_release, is_current, nobody_asked

IN_FORCE = (Exposure.DENY, Exposure.BLOCK, Exposure.PURGE, Exposure.CONFIRM, Exposure.WATCH)
"""States in which something of ours keeps it down, or is about to."""


def heed(ctx: Context) -> Outcome | None:
    """People's decisions about the case, and a preserve_only whose time is over; the lease is kept."""
    view = ctx.view
    again = Outcome(work=as_it_was(view.exposure, keep=True))
    for decision in view.decisions:
        if decision.state == "approved" and decision.kind == "release" and not is_current(view, decision):
            return expire_release(view, decision).plus(again)
        if decision.state == "approved" and decision.kind == "release":
            return apply_release(view, decision, now=ctx.now).plus(again)
        if decision.state == "approved" and decision.kind == "retry":
            done = Update(table=Table.DECISION, where={"id": decision.id}, values={"state": "done"})
            state = view.exposure.stuck_from or view.exposure.state
            note = ctx.note("decision.done", decision=decision.id, what="retry")
            wakes = _evidence_again(view)
            return Outcome(work=move(view.exposure, state, keep=True), changes=(done,), notes=(note,), wakes=wakes)
    over = [
        c
        for c in standing(view)
        if c.act is Act.PRESERVE_ONLY and c.notice.deadline_at is not None and c.notice.deadline_at <= ctx.now
    ]
    if not over:
        return None
    changes = tuple(
        Update(table=Table.CLAIM, where={"item": c.item.id, "case": c.case}, values={"act": Act.REMOVE.value})
        for c in over
    )
    return Outcome(changes=changes, bumps=(view.case.id,), notes=(ctx.note("preserve.ended"),)).plus(again)


def _evidence_again(view: CaseView) -> tuple[Wake, ...]:
    work = view.evidence
    if work.state != Evidence.STUCK:
        return ()
    return (Wake(track=Track.EVIDENCE, subject=work.subject, state=work.stuck_from, from_state=Evidence.STUCK),)


def ask_people(ctx: Context, wanted: Want) -> Outcome | None:
    """What nobody asks for any more never stays down in silence."""
    view = ctx.view
    if wanted is not Want.UP or view.exposure.state not in IN_FORCE or not nobody_asked(view, ctx.now):
        return None
    again = Outcome(work=as_it_was(view.exposure, keep=True))
    return ask_release(view, now=ctx.now, policy=ctx.policy).plus(again)
