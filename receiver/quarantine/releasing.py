"""The exposure track on its way back up, X13 and X14 of core-model §7, when people agreed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from receiver.domain.moves import move
from receiver.domain.outcome import CaseGuard, Outcome, Table, Update
from receiver.domain.rows import ItemRow
from receiver.domain.status import (
    Exposure,
    ItemStatus,
    Want,
)
from receiver.domain.telling import Facts, tell
from receiver.domain.want import held_blocks, standing
from receiver.quarantine.course import MICROS, Context, kept
from receiver.quarantine.journal import (
    Done,
    allow_intents,
    ended,
    intend,
    last_block,
    live_denies,
    purge_intents,
    undone,
)

REFUSED_REASON = "refused_by_host"


def release(ctx: Context) -> Outcome:
    """X13: the intents of the way back: unblock at the store, allow at the gates, purge the negative answers."""
    view = ctx.view
    block = last_block(view)
    intents: list[Any] = []
    if block is not None and block.receipt is not None:
        intents.append(
            intend(view, "unblock", view.case.adapter, {"block": block.op_id, "receipt": block.receipt}, now=ctx.now)
        )
    intents += [*allow_intents(view, now=ctx.now), *purge_intents(view, now=ctx.now)]
    return Outcome(
        work=move(view.exposure, Exposure.UNBLOCK, keep=True),
        guard=CaseGuard(case=view.case.id, revision=view.case.revision),
        # So that a removal decided upon the same reading loses against it, and the other way round.
        bumps=(view.case.id,),
        changes=(ctx.case(want=Want.UP.value), *intents),
        notes=(ctx.note("exposure.released"),),
    )


def unblocked(ctx: Context, done: Sequence[Done], kept_down: Collection[str] = ()) -> Outcome:
    """X14: it is as it was. The seal stays, for the time set for mistakes.

    `kept_down` names items that another case of ours still keeps down: that case tells of them when it comes up too.
    """
    view = ctx.view
    losses = tuple(text for d in done if d.act.kind == "unblock" for text in (d.receipt or {}).get("losses", ()))
    if len(held_blocks(view)) > 1:
        # What stood there before the customer put something new stays in quarantine: two bytes fit no one name.
        losses = (*losses, "earlier_version_kept")
    facts = Facts(blocked_at=view.case.blocked_at, residual=losses)
    # An item in review is one that its issuer took back: it was told that people are deciding.
    mine = [(c.item, c.notice) for c in view.claims if c.item.withdrawn_at is not None and _still_open(c.item)]
    mine = [(i, n) for i, n in mine if i.id not in kept_down]
    refused = [(i, n) for i, n in mine if i.reason == REFUSED_REASON]
    restored = [(i, n) for i, n in mine if i.reason != REFUSED_REASON]
    told = tell(refused, ItemStatus.REFUSED, now=ctx.now, policy=ctx.policy, facts=facts).plus(
        tell(restored, ItemStatus.RESTORED, now=ctx.now, policy=ctx.policy, facts=facts)
    )
    until = ctx.now + ctx.policy.mistake_retention_days * 86_400 * MICROS
    seals = tuple(
        Update(table=Table.SEAL, where={"id": s.id}, values={"retention_until_at": until}) for s in view.seals
    )
    acts = [a for a in view.acts if a.kind in ("block", "deny")]
    case = ctx.case(want=Want.NONE.value, closed_at=None if view.seals else ctx.now, blocked_at=None, effective_at=None)
    # A claim that joined on the way up woke a row that could not heed it then.
    due = ctx.now if standing(view) else None
    return told.plus(
        Outcome(
            work=move(view.exposure, Exposure.OPEN, due_at=due),
            changes=(*(ended(d, now=ctx.now) for d in done), *undone(acts), case, *seals),
            bumps=(view.case.id,),
            notes=(ctx.note("resource.unblocked", losses=list(losses)),),
        )
    )


def _still_open(item: ItemRow) -> bool:
    return item.status not in (ItemStatus.WITHDRAWN, ItemStatus.RESTORED, ItemStatus.REFUSED, ItemStatus.UNAVAILABLE)


def allow_the_rest(ctx: Context, done: Sequence[Done]) -> Outcome | None:
    """Denies that came through only now, since their gate was away, have to be taken back too."""
    taken_back = {act.intent["deny"] for act in ctx.view.acts if act.kind == "allow"}
    fresh = [act for act in live_denies(ctx.view) if act.receipt is not None and act.op_id not in taken_back]
    if not fresh:
        return None
    intents = allow_intents(replace(ctx.view, acts=tuple(fresh)), now=ctx.now)
    return Outcome(work=move(ctx.view.exposure, Exposure.UNBLOCK, keep=True), changes=(*kept(ctx, done), *intents))
