"""The exposure track, X1 to X18 of core-model §7: what becomes of a case after each outside act.

Pure: each function takes the case as read, what the act or look came to, and the time, and returns an Outcome. The
steps that act are in `receiver.steps.exposure`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.contract import BlockReceipt, Observation, Origin, OriginState, Presence, to_json
from receiver.domain.moves import move, stuck, try_again
from receiver.domain.outcome import CaseGuard, LedgerNote, Outcome, Page, Table, Update, Wake
from receiver.domain.policy import Policy
from receiver.domain.rows import CaseUrlRow, CaseView, ClaimRow, ItemRow, NoticeRow
from receiver.domain.status import (
    DOWN,
    RECHECK_PRIORITY,
    URL_ADAPTER,
    Evidence,
    Exposure,
    ItemStatus,
    Track,
    Verdict,
    Want,
)
from receiver.domain.telling import Facts, facts_of, tell
from receiver.domain.want import held_blocks, standing
from receiver.quarantine.journal import (
    Done,
    allow_intents,
    deny_intents,
    ended,
    failed,
    intend,
    last_block,
    live_denies,
    purge_intents,
    undone,
)
from receiver.quarantine.watching import next_look

MICROS = 1_000_000
ACTOR = "worker"
RESIDUAL_URL_ALONE = "resource_not_identified"
LATELY_SECONDS = 600
AT_ONCE_BLOCKS = 3
REFUSED_REASON = "refused_by_host"


@dataclass(frozen=True, kw_only=True)
class Context:
    """The case as read, the time, and the operator's choices."""

    view: CaseView
    now: int
    policy: Policy

    def note(self, kind: str, **detail: Any) -> LedgerNote:
        return LedgerNote(
            kind=kind, subject=self.view.case.id, actor=ACTOR, detail={"code": self.view.case.code, **detail}
        )

    def case(self, **values: Any) -> Update:
        return Update(table=Table.CASE, where={"id": self.view.case.id}, values=values)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One case URL looked at: the verdict over all looks, and the looks as they will be kept."""

    url: CaseUrlRow
    verdict: Verdict
    looks: tuple[Mapping[str, Any], ...]


def tellable(view: CaseView) -> tuple[tuple[ItemRow, NoticeRow], ...]:
    """Items that hear of the case: those that stand, but for the ones a person has still to decide."""
    return tuple((c.item, c.notice) for c in standing(view) if not _undecided(c))


def _undecided(claim: ClaimRow) -> bool:
    return claim.item.status is ItemStatus.REVIEW and claim.item.approved_by is None


def untold(view: CaseView) -> bool:
    """Whether somebody who asked has not heard that it is down."""
    return any(item.status not in DOWN for item, _ in tellable(view))


# --- X1, X11: towards down


def begin(ctx: Context) -> Outcome:
    """X1: from idle or open to deny. A case that was open before starts a new round."""
    view = ctx.view
    again = view.exposure.state == Exposure.OPEN
    case = ctx.case(want=Want.DOWN.value, closed_at=None, **({"round": view.case.round + 1} if again else {}))
    return Outcome(
        work=move(view.exposure, Exposure.DENY, keep=True),
        changes=(case, *deny_intents(view, now=ctx.now, again=again)),
        notes=(ctx.note("exposure.wanted", round=view.case.round + again),),
        wakes=_new_evidence(view) if again else (),
    )


def reappeared(ctx: Context, seen: Sequence[Seen] = ()) -> Outcome:
    """X11: back in the public, or something new stands there; deny everything again and start a new round."""
    view = ctx.view
    told = tell(tellable(view), ItemStatus.REAPPEARED, now=ctx.now, policy=ctx.policy, facts=facts_of(view, ctx.now))
    return told.plus(
        Outcome(
            work=move(view.exposure, Exposure.DENY, keep=True),
            changes=(
                ctx.case(round=view.case.round + 1),
                *_verdicts(seen, ctx.now),
                *deny_intents(view, now=ctx.now, again=True),
            ),
            notes=(ctx.note("resource.reappeared", round=view.case.round + 1),),
            wakes=_new_evidence(view),
        )
    )


# --- X1a: denied at the gates


def denied(ctx: Context, done: Sequence[Done], seen: Observation | None) -> Outcome:
    """X1a: the gates refuse. On to the block, to the purge where the case is a URL alone, to X3 when it is absent."""
    view = ctx.view
    changes: list[Any] = [ended(d, now=ctx.now) for d in done]
    residual = [text for d in done for text in (d.receipt or {}).get("residual", ())]
    denies = [d.act for d in done if d.act.kind == "deny"]
    notes = []
    if denies:
        notes = [ctx.note("url.denied", gates=[a.target for a in denies], op_ids=[a.op_id for a in denies])]
    if view.case.adapter == URL_ADAPTER:
        return Outcome(
            work=move(view.exposure, Exposure.PURGE, keep=True),
            changes=(
                *changes,
                ctx.case(
                    residual=_merged(view.case.residual, [*residual, RESIDUAL_URL_ALONE]), blocked_at=_first(view, ctx)
                ),
                *purge_intents(view, now=ctx.now),
            ),
            notes=tuple(notes),
        )
    if seen is None:
        raise ValueError("a case with a store is observed before it is blocked")
    changes.append(ctx.case(observation=to_json(seen), residual=_merged(view.case.residual, residual)))
    block = last_block(view)
    if seen.presence is Presence.PRESENT:
        changes.append(intend(view, "block", view.case.adapter, {"observation": to_json(seen)}, now=ctx.now))
        return Outcome(work=move(view.exposure, Exposure.BLOCK, keep=True), changes=tuple(changes), notes=tuple(notes))
    if block is not None and block.ended_at is not None:
        changes.extend(purge_intents(view, now=ctx.now))
        return Outcome(work=move(view.exposure, Exposure.PURGE, keep=True), changes=tuple(changes), notes=tuple(notes))
    changes.extend(allow_intents_after(view, done, now=ctx.now))
    return Outcome(work=move(view.exposure, Exposure.BLOCK, keep=True), changes=tuple(changes), notes=tuple(notes))


def allow_intents_after(view: CaseView, done: Sequence[Done], *, now: int) -> tuple[Any, ...]:
    """Allows for the denies just received too, whose receipts the view does not hold yet."""
    fresh = {d.act.op_id: d.receipt for d in done if d.act.kind == "deny"}
    acts = tuple(replace(a, receipt=fresh.get(a.op_id, a.receipt)) for a in view.acts)
    return allow_intents(replace(view, acts=acts), now=now)


def gate_gave_up(ctx: Context, done: Sequence[Done], lame: Sequence[Done]) -> Outcome:
    """A gate that cannot deny this URL at all: said and paged; the store is blocked all the same."""
    view = ctx.view
    names = [d.act.target for d in lame]
    page = Page(kind="gate.failed", subject=view.case.id, text=f"cannot deny at {', '.join(names)}: {lame[0].error}")
    return Outcome(
        work=move(view.exposure, view.exposure.state, keep=True),
        changes=(
            *kept(ctx, done),
            *(failed(d.act, d.error, now=ctx.now) for d in lame if d.error is not None),
            ctx.case(residual=_merged(view.case.residual, [f"gate_not_denying: {name}" for name in names])),
        ),
        pages=(page,),
    )


# --- X2 to X5: blocked at the store


def blocked(ctx: Context, done: Sequence[Done], receipt: BlockReceipt, state: OriginState) -> Outcome:
    """X2, X5: the store does not serve it; evidence starts, caches are purged. Open doors are named and paged."""
    view = ctx.view
    doors = list(state.doors) if state.origin is Origin.LEAKING else []
    residual = _merged(view.case.residual, [*receipt.residual, *(f"open_door: {door}" for door in doors)])
    notes = [ctx.note("resource.blocked", op_id=receipt.op_id, doors=list(receipt.doors), pins=len(receipt.pins))]
    pages = []
    if doors:
        notes.append(ctx.note("door.leaking", doors=len(doors)))
        pages.append(
            Page(kind="door.leaking", subject=view.case.id, text=f"{len(doors)} way(s) to the content stay open")
        )
    return Outcome(
        work=move(view.exposure, Exposure.PURGE, keep=True),
        changes=(
            *(ended(d, now=ctx.now) for d in done),
            ctx.case(blocked_at=_first(view, ctx), residual=residual),
            *purge_intents(view, now=ctx.now),
        ),
        notes=tuple(notes),
        pages=tuple(pages),
        wakes=start_sealing(ctx).wakes,
    )


def block_failed(ctx: Context, done: Sequence[Done], bad: Done) -> Outcome:
    """The store answered that there is nothing to block, or that it is not what was observed: look at it again."""
    if bad.error is None:
        raise ValueError("only an act that failed comes here")
    changes = (*(ended(d, now=ctx.now) for d in done), failed(bad.act, bad.error, now=ctx.now))
    return Outcome(changes=changes).plus(deny_again(ctx, "it changes while it is being blocked"))


def deny_again(ctx: Context, words: str) -> Outcome:
    """Back to X1a: at once the first times, then ever later, so that a customer who writes in a loop cannot hold us."""
    view = ctx.view
    lately = sum(a.kind == "block" and a.begun_at > ctx.now - LATELY_SECONDS * MICROS for a in view.acts)
    if lately < AT_ONCE_BLOCKS:
        return Outcome(work=move(view.exposure, Exposure.DENY, keep=True))
    tired = replace(view.exposure, attempts=lately - AT_ONCE_BLOCKS)
    return try_again(tired, words, now=ctx.now, state=Exposure.DENY)


def replaced(ctx: Context, done: Sequence[Done], seen: Sequence[Seen]) -> Outcome:
    """Something new stands there before anybody was told that it is down: that is denied and blocked too."""
    retry = deny_again(ctx, "something new stands there")
    changes: tuple[Any, ...] = (
        *kept(ctx, done),
        *_verdicts(seen, ctx.now),
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
    changes = (*(ended(d, now=ctx.now) for d in done), *_released(view, done), *_verdicts(seen, ctx.now))
    verdict = worst(seen)
    elsewhere = leads_elsewhere(seen, ours)
    if verdict is Verdict.GONE or elsewhere:
        told = tell(
            [(i, n) for i, n in tellable(view) if i.id not in kept_down],
            ItemStatus.MOVED if elsewhere else ItemStatus.UNAVAILABLE,
            now=ctx.now,
            policy=ctx.policy,
            facts=Facts(observations=_observations(seen)),
        )
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
    return _unclear(ctx, changes, Exposure.BLOCK)


# --- X6 to X10, X12: purged, looked at, watched


def confirmed(ctx: Context, done: Sequence[Done], seen: Sequence[Seen], was_public: bool | None) -> Outcome:
    """X7, X8, X9, X10: what the looks say decides between watching on, purging again and calling a person."""
    view = ctx.view
    changes: tuple[Any, ...] = (*(ended(d, now=ctx.now) for d in done), *_verdicts(seen, ctx.now))
    notes: list[LedgerNote] = []
    if done:
        notes.append(ctx.note("caches.purged", caches=[d.act.target for d in done if d.act.kind == "purge"]))
    verdict = worst(seen)
    if verdict is Verdict.GONE:
        return _gone(ctx, changes, notes, seen, was_public)
    if verdict is Verdict.UP:
        retry = try_again(view.exposure, "still reachable from outside", now=ctx.now, state=Exposure.PURGE)
        if view.exposure.attempts == 0:
            notes.append(ctx.note("seen.up"))
        return retry.plus(Outcome(changes=(*changes, *purge_intents(view, now=ctx.now)), notes=tuple(notes)))
    return _unclear(ctx, changes, Exposure.CONFIRM).plus(Outcome(notes=tuple(notes)))


def _gone(
    ctx: Context, changes: tuple[Any, ...], notes: list[LedgerNote], seen: Sequence[Seen], was_public: bool | None
) -> Outcome:
    view = ctx.view
    effective = view.case.effective_at or ctx.now
    known = view.case.was_public if view.case.was_public is not None else was_public
    facts = replace(facts_of(view, ctx.now), effective_at=effective, was_public=known, observations=_observations(seen))
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
    due = next_look(started_at=_watch_start(view, ctx.now, fresh=fresh), now=ctx.now, watch_days=ctx.policy.watch_days)
    watch = move(view.exposure, Exposure.WATCH, due_at=due, priority=RECHECK_PRIORITY)
    case = ctx.case(effective_at=effective, was_public=known)
    wake = Wake(track=Track.EVIDENCE, subject=view.case.id)
    return (
        Outcome(changes=(*changes, case))
        .plus(told)
        .plus(Outcome(work=watch, notes=tuple(notes), wakes=(wake,) if fresh else ()))
    )


def _unclear(ctx: Context, changes: tuple[Any, ...], state: Exposure) -> Outcome:
    """X9: no clear answer from outside is never `gone`; past the set time the issuer and a person hear so, once."""
    retry = try_again(ctx.view.exposure, "no clear answer from outside", now=ctx.now, state=state)
    return Outcome(changes=changes).plus(_overdue(ctx)).plus(retry)


def _overdue(ctx: Context) -> Outcome:
    """What the issuer and a person hear, once, when it takes longer than the time set; work goes on meanwhile."""
    view = ctx.view
    since = view.case.blocked_at or view.case.created_at
    waiting = [(i, n) for i, n in tellable(view) if i.status is not ItemStatus.FAILED and i.status not in DOWN]
    if not waiting or ctx.now < since + ctx.policy.confirm_within_seconds * MICROS:
        return Outcome()
    told = tell(
        waiting, ItemStatus.FAILED, now=ctx.now, policy=ctx.policy, reason="unconfirmed", facts=facts_of(view, ctx.now)
    )
    page = Page(kind="seen.unclear", subject=view.case.id, text="acted on, and no look from outside could confirm it")
    return told.plus(Outcome(notes=(ctx.note("seen.unclear"),), pages=(page,)))


def purge_again(ctx: Context) -> Outcome:
    """X7 at +30 s and +5 min, and X12: refuse what joined at its gates, purge, and look again."""
    view = ctx.view
    fresh = deny_intents(view, now=ctx.now)
    notes = (ctx.note("claim.joined"),) if fresh or untold(view) else ()
    return Outcome(
        work=move(view.exposure, Exposure.PURGE, keep=True),
        changes=(*fresh, *purge_intents(view, now=ctx.now)),
        notes=notes,
    )


# --- X13, X14: back up, when people agreed


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


def unblocked(ctx: Context, done: Sequence[Done]) -> Outcome:
    """X14: it is as it was. The seal stays, for the time set for mistakes."""
    view = ctx.view
    losses = tuple(text for d in done if d.act.kind == "unblock" for text in (d.receipt or {}).get("losses", ()))
    if len(held_blocks(view)) > 1:
        # What stood there before the customer put something new stays in quarantine: two bytes fit no one name.
        losses = (*losses, "earlier_version_kept")
    facts = Facts(blocked_at=view.case.blocked_at, residual=losses)
    # An item in review is one that its issuer took back: it was told that people are deciding.
    mine = [(c.item, c.notice) for c in view.claims if c.item.withdrawn_at is not None and _still_open(c.item)]
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
    return told.plus(
        Outcome(
            work=move(view.exposure, Exposure.OPEN),
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


def watched(ctx: Context, done: Sequence[Done], seen: Sequence[Seen]) -> Outcome:
    """Up again while nobody asks for it any more: nothing is done about it until people have decided."""
    due = next_look(started_at=watch_started(ctx.view, ctx.now), now=ctx.now, watch_days=ctx.policy.watch_days)
    return Outcome(
        work=move(ctx.view.exposure, Exposure.WATCH, due_at=due, priority=RECHECK_PRIORITY),
        changes=(*kept(ctx, done), *_verdicts(seen, ctx.now)),
    )


# --- X15 to X17


def broken(ctx: Context, done: Sequence[Done], words: str) -> Outcome:
    """X15, X16: a person is needed; the issuer hears `failed`, and why in one word."""
    view = ctx.view
    return (
        Outcome(changes=tuple(ended(d, now=ctx.now) for d in done))
        .plus(tell_stuck(ctx))
        .plus(stuck(view.exposure, words, now=ctx.now))
        .plus(Outcome(notes=(ctx.note("track.stuck", track="exposure", state=view.exposure.state),)))
    )


def tell_stuck(ctx: Context) -> Outcome:
    """`failed` for everybody who has not heard that it is down; who joins later hears it too."""
    view = ctx.view
    unheard = [(i, n) for i, n in tellable(view) if i.status not in DOWN]
    return tell(
        unheard, ItemStatus.FAILED, now=ctx.now, policy=ctx.policy, reason="stuck", facts=facts_of(view, ctx.now)
    )


def waiting(ctx: Context, done: Sequence[Done], words: str, after_seconds: float) -> Outcome:
    """The other side is away: keep what was done, stay, and come back."""
    kept = Outcome(changes=tuple(ended(d, now=ctx.now) for d in done)).plus(_overdue(ctx))
    return kept.plus(try_again(ctx.view.exposure, words, now=ctx.now, after_seconds=after_seconds))


# --- small parts


def kept(ctx: Context, done: Sequence[Done]) -> tuple[Update, ...]:
    """The receipts of acts whose state is left for another reason."""
    return tuple(ended(d, now=ctx.now) for d in done)


def start_sealing(ctx: Context) -> Outcome:
    """X18 and X2: evidence starts; for `leave` nothing else is touched."""
    wake = Wake(track=Track.EVIDENCE, subject=ctx.view.case.id, state=Evidence.SEAL, from_state=Evidence.WAIT)
    return Outcome(wakes=(wake,))


def _new_evidence(view: CaseView) -> tuple[Wake, ...]:
    """A new round has bytes of its own to seal."""
    return (Wake(track=Track.EVIDENCE, subject=view.case.id, state=Evidence.WAIT, from_state=Evidence.SEALED),)


def watch_started(view: CaseView, now: int) -> int:
    return _watch_start(view, now, fresh=False)


def worst(seen: Sequence[Seen]) -> Verdict:
    """Up before unclear before gone; without any look it is unclear."""
    verdicts = {s.verdict for s in seen}
    if Verdict.UP in verdicts:
        return Verdict.UP
    return Verdict.GONE if verdicts == {Verdict.GONE} else Verdict.INCONCLUSIVE


def leads_elsewhere(seen: Sequence[Seen], ours: Callable[[str], bool]) -> bool:
    """Whether every look was sent on to a host that is not ours: the content, if there is any, is served there."""
    hosts = [look.get("location_host") for s in seen for look in s.looks]
    return bool(hosts) and all(host is not None and not ours(host) for host in hosts)


def _verdicts(seen: Sequence[Seen], now: int) -> tuple[Update, ...]:
    return tuple(
        Update(
            table=Table.CASE_URL,
            where={"case": s.url.case, "url_hmac": s.url.url_hmac},
            values={"verdict": s.verdict.value, "checked_at": now, "looks": [dict(look) for look in s.looks]},
        )
        for s in seen
    )


def _observations(seen: Sequence[Seen]) -> list[Mapping[str, Any]]:
    return [look for s in seen for look in s.looks]


def _merged(before: tuple[str, ...], more: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*before, *more]))


def _first(view: CaseView, ctx: Context) -> int:
    return view.case.blocked_at or ctx.now


def _released(view: CaseView, done: Sequence[Done]) -> tuple[Update, ...]:
    allowed = {d.act.intent.get("deny") for d in done if d.act.kind == "allow"}
    return undone([act for act in live_denies(view) if act.op_id in allowed])


def _watch_start(view: CaseView, now: int, *, fresh: bool) -> int:
    """The watch runs from the last time somebody was told that it is down."""
    told = [item.status_at for item, _ in tellable(view) if item.status in DOWN]
    return now if fresh else max(told, default=view.case.effective_at or now)
