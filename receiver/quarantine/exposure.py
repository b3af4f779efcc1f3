"""The exposure track on its way down, X1 to X5 and X11 of core-model §7: denied, blocked, absent, back again.

Pure: each function takes the case as read, what the act or look came to, and the time, and returns an Outcome. The
steps that act are in `receiver.steps.exposure`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from adapters.contract import BlockReceipt, Observation, Origin, OriginState, Presence, to_json
from receiver.domain.causes import at
from receiver.domain.moves import move, try_again
from receiver.domain.outcome import Outcome, Page, Update
from receiver.domain.rows import CaseView
from receiver.domain.status import DOWN, URL_ADAPTER, Exposure, ItemStatus, Track, Verdict, Want
from receiver.domain.telling import Facts, facts_of, tell
from receiver.quarantine.course import (
    MICROS,
    Context,
    Seen,
    gate_residual,
    kept,
    merged,
    new_evidence,
    observations,
    overdue,
    start_sealing,
    tellable,
    told_of,
    unclear,
    verdicts,
    worst,
)
from receiver.quarantine.journal import (
    Done,
    allow_intents,
    block_intents,
    deny_intents,
    ended,
    failed,
    last_block,
    live_denies,
    pending,
    purge_intents,
    undone,
)

RESIDUAL_URL_ALONE = "resource_not_identified"
LATELY_SECONDS = 600
AT_ONCE_BLOCKS = 3


def begin(ctx: Context) -> Outcome:
    """X1: from idle or open to deny. A case that was open before starts a new round."""
    view = ctx.view
    again = view.exposure.state == Exposure.OPEN
    case = ctx.case(want=Want.DOWN.value, closed_at=None, **({"round": view.case.round + 1} if again else {}))
    return Outcome(
        work=move(view.exposure, Exposure.DENY, keep=True),
        changes=(case, *deny_intents(view, now=ctx.now, again=again)),
        notes=(ctx.note("exposure.wanted", round=view.case.round + again),),
        wakes=new_evidence(view) if again else (),
    )


def reappeared(ctx: Context, seen: Sequence[Seen] = ()) -> Outcome:
    """X11: back in the public, or something new stands there; deny everything again and start a new round."""
    view = ctx.view
    # Who joined since was never told that it is down, and must not learn that others had asked before.
    heard = [(item, notice) for item, notice in tellable(view) if item.status in DOWN]
    told = tell(heard, ItemStatus.REAPPEARED, now=ctx.now, policy=ctx.policy, facts=facts_of(view, ctx.now))
    return told.plus(
        Outcome(
            work=move(view.exposure, Exposure.DENY, keep=True),
            changes=(
                ctx.case(round=view.case.round + 1),
                *verdicts(seen, ctx.now),
                *deny_intents(view, now=ctx.now, again=True),
            ),
            notes=(ctx.note("resource.reappeared", round=view.case.round + 1),),
            wakes=new_evidence(view),
        )
    )


def denied(ctx: Context, done: Sequence[Done], seen: Observation | None) -> Outcome:
    """X1a: the gates refuse. On to the block, to the purge where the case is a URL alone, to X3 when it is absent."""
    view = ctx.view
    changes: list[Any] = [ended(d, now=ctx.now) for d in done]
    residual = gate_residual(done)
    notes = told_of(ctx, done)
    if view.case.adapter == URL_ADAPTER:
        return Outcome(
            work=move(view.exposure, Exposure.PURGE, keep=True),
            changes=(
                *changes,
                ctx.case(
                    residual=merged(view.case.residual, [*residual, RESIDUAL_URL_ALONE]), blocked_at=_first(view, ctx)
                ),
                *purge_intents(view, now=ctx.now),
            ),
            notes=notes,
        )
    if seen is None:
        raise ValueError("a case with a store is observed before it is blocked")
    changes.append(ctx.case(observation=to_json(seen), residual=merged(view.case.residual, residual)))
    block = last_block(view)
    if seen.presence is Presence.PRESENT:
        changes.extend(block_intents(view, seen, now=ctx.now))
        return Outcome(work=move(view.exposure, Exposure.BLOCK, keep=True), changes=tuple(changes), notes=notes)
    if block is not None and block.ended_at is not None:
        changes.extend(purge_intents(view, now=ctx.now))
        return Outcome(work=move(view.exposure, Exposure.PURGE, keep=True), changes=tuple(changes), notes=notes)
    changes.extend(allow_intents_after(view, done, now=ctx.now))
    return Outcome(work=move(view.exposure, Exposure.BLOCK, keep=True), changes=tuple(changes), notes=notes)


def allow_intents_after(view: CaseView, done: Sequence[Done], *, now: int) -> tuple[Any, ...]:
    """Allows for the denies just received too, whose receipts the view does not hold yet."""
    fresh = {d.act.op_id: d.receipt for d in done if d.act.kind == "deny"}
    acts = tuple(replace(a, receipt=fresh.get(a.op_id, a.receipt)) for a in view.acts)
    return allow_intents(replace(view, acts=acts), now=now)


def gate_gave_up(ctx: Context, done: Sequence[Done], lame: Sequence[Done]) -> Outcome:
    """A gate that cannot deny this URL at all: said and paged; the store is blocked all the same."""
    view = ctx.view
    failing = {d.act.target: at(f"gate {d.act.target}", f"cannot deny: {d.error}") for d in lame}
    return Outcome(
        work=move(view.exposure, view.exposure.state, keep=True),
        changes=(
            *kept(ctx, done),
            *(failed(d.act, d.error, now=ctx.now) for d in lame if d.error is not None),
            ctx.case(residual=merged(view.case.residual, [f"gate_not_denying: {name}" for name in failing])),
        ),
        # One gate says the same of many cases.
        pages=tuple(Page(kind="gate.failed", subject=words, text=words) for words in failing.values()),
    )


def blocked(ctx: Context, done: Sequence[Done], receipt: BlockReceipt, state: OriginState) -> Outcome:
    """X2, X5: the store does not serve it; evidence starts, looks follow. Open doors are named and paged.

    Its caches were asked to purge right after it; what they have not answered yet is pending, and asked for again.
    """
    view = ctx.view
    doors = list(state.doors) if state.origin is Origin.LEAKING else []
    open_doors = (f"open_door: {door}" for door in doors)
    residual = merged(view.case.residual, [*gate_residual(done), *receipt.residual, *open_doors])
    facts = {"op_id": receipt.op_id, "doors": list(receipt.doors), "pins": len(receipt.pins)}
    notes = [*told_of(ctx, done), ctx.note("resource.blocked", **facts)]
    pages = []
    if doors:
        notes.append(ctx.note("door.leaking", doors=len(doors)))
        pages.append(
            Page(kind="door.leaking", subject=view.case.id, text=f"{len(doors)} way(s) to the content stay open")
        )
    return Outcome(
        work=move(view.exposure, Exposure.CONFIRM, keep=True),
        changes=(
            *(ended(d, now=ctx.now) for d in done),
            ctx.case(blocked_at=_first(view, ctx), residual=residual),
        ),
        notes=tuple(notes),
        pages=tuple(pages),
        wakes=start_sealing(ctx).wakes,
    )


def block_failed(ctx: Context, done: Sequence[Done], bad: Done) -> Outcome:
    """The store answered that there is nothing to block, or that it is not what was observed: look at it again."""
    if bad.error is None:
        raise ValueError("only an act that failed comes here")
    unneeded = [act for act in pending(ctx.view, Track.EXPOSURE) if act.kind == "purge"]
    changes = (
        *(ended(d, now=ctx.now) for d in done),
        *(failed(act, bad.error, now=ctx.now) for act in (bad.act, *unneeded)),
    )
    return Outcome(changes=changes).plus(deny_again(ctx, "it changes while it is being blocked"))


def deny_again(ctx: Context, words: str) -> Outcome:
    """Back to X1a: at once the first times, then ever later, so that a customer who writes in a loop cannot hold us."""
    view = ctx.view
    lately = sum(a.kind == "block" and a.begun_at > ctx.now - LATELY_SECONDS * MICROS for a in view.acts)
    if lately < AT_ONCE_BLOCKS:
        return overdue(ctx).moved(move(view.exposure, Exposure.DENY, keep=True))
    tired = replace(view.exposure, attempts=lately - AT_ONCE_BLOCKS)
    return overdue(ctx).plus(try_again(tired, words, now=ctx.now, state=Exposure.DENY))


def replaced(ctx: Context, done: Sequence[Done], seen: Sequence[Seen]) -> Outcome:
    """Something new stands there before anybody was told that it is down: that is denied and blocked too."""
    retry = deny_again(ctx, "something new stands there")
    changes: tuple[Any, ...] = (
        *kept(ctx, done),
        *verdicts(seen, ctx.now),
        *deny_intents(ctx.view, now=ctx.now),
    )
    return retry.plus(Outcome(changes=changes))


def absent(
    ctx: Context,
    done: Sequence[Done],
    seen: Sequence[Seen],
    *,
    ours: Callable[[str], bool],
    kept_down: Collection[str] = (),
) -> Outcome:
    """X3, X4: the store holds nothing. Gone outside: we did nothing. Still up: a cache has it, so deny and purge.

    `ours` says of a host whether a route serves it. `kept_down` names items that another case of ours keeps down: what
    is not seen because of that was not gone by itself, and that case tells of it.
    """
    view = ctx.view
    changes = (*(ended(d, now=ctx.now) for d in done), *_released(view, done), *verdicts(seen, ctx.now))
    verdict = worst(seen)
    elsewhere = leads_elsewhere(seen, ours)
    if verdict is Verdict.GONE or elsewhere:
        items = [(i, n) for i, n in tellable(view) if i.id not in kept_down]
        status = ItemStatus.MOVED if elsewhere else ItemStatus.UNAVAILABLE
        told = tell(items, status, now=ctx.now, policy=ctx.policy, facts=Facts(observations=observations(seen)))
        ends = ctx.case(want=Want.NONE.value, closed_at=None if view.seals else ctx.now)
        return told.plus(
            Outcome(
                work=move(view.exposure, Exposure.OPEN),
                changes=(*changes, ends),
                bumps=(view.case.id,),
                notes=(ctx.note("resource.absent"),),
            )
        )
    if verdict is Verdict.UP:
        intents = (*deny_intents(view, now=ctx.now, again=True), *purge_intents(view, now=ctx.now))
        return Outcome(
            work=move(view.exposure, Exposure.PURGE, keep=True),
            changes=(*changes, *intents),
            notes=(ctx.note("origin.absent"),),
        )
    return unclear(ctx, changes, Exposure.BLOCK)


def leads_elsewhere(seen: Sequence[Seen], ours: Callable[[str], bool]) -> bool:
    """Whether every look was sent on to a host that is not ours: the content, if there is any, is served there."""
    hosts = [look.get("location_host") for s in seen for look in s.looks]
    return bool(hosts) and all(host is not None and not ours(host) for host in hosts)


def _first(view: CaseView, ctx: Context) -> int:
    return view.case.blocked_at or ctx.now


def _released(view: CaseView, done: Sequence[Done]) -> tuple[Update, ...]:
    allowed = {d.act.intent.get("deny") for d in done if d.act.kind == "allow"}
    return undone([act for act in live_denies(view) if act.op_id in allowed])
