"""What directions and people's decisions change: claims, holds and items, never tracks (core-model §9). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from receiver.domain.decisions import request_digest
from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, LedgerNote, Outcome, Page, Table, Update, Wake
from receiver.domain.policy import Policy
from receiver.domain.rows import CaseView, DecisionRow, DirectionRow, ItemRow, NoticeRow, NoticeView
from receiver.domain.status import DOWN, FINAL, PRIORITY, Act, Evidence, ItemStatus, Track, Want
from receiver.domain.telling import facts_of, tell
from receiver.domain.want import want
from receiver.quarantine.releasing import REFUSED_REASON

WITHDRAWAL = "withdrawal"
HELD = "hold"
"""In an item's details: the hold by direction that every later case of the item starts with; None once released."""


@dataclass(frozen=True, kw_only=True)
class Affected:
    """One item with the cases it has claims on."""

    item: ItemRow
    notice: NoticeRow
    cases: tuple[CaseView, ...]


def apply_direction(
    direction: DirectionRow, view: NoticeView, affected: Sequence[Affected], *, now: int, policy: Policy
) -> Outcome:
    """One direction, whole: the same one again finds nothing left to change."""
    actor = f"issuer:{view.notice.issuer}"
    done = Update(table=Table.DIRECTION, where={"id": direction.id}, values={"applied_at": now})
    note = LedgerNote(
        kind=f"direction.{direction.kind}",
        subject=view.notice.id,
        actor=actor,
        detail={"direction_id": direction.direction_id, "items": [a.item.item_id for a in affected]},
    )
    out = Outcome(changes=(done,), notes=(note,))
    if direction.kind == "withdraw":
        out = out.plus(withdraw(affected, actor=actor, now=now, policy=policy))
    for one in affected:
        out = out.plus(_for_item(direction, one, actor=actor, now=now, policy=policy))
    if direction.kind == "allow_customer_notice":
        handling = {**view.notice.handling, "customer_notice": "allow"}
        out = out.plus(
            Outcome(changes=(Update(table=Table.NOTICE, where={"id": view.notice.id}, values={"handling": handling}),))
        )
    return out


def _for_item(direction: DirectionRow, one: Affected, *, actor: str, now: int, policy: Policy) -> Outcome:
    if direction.kind == "proceed":
        return _proceed(one)
    if direction.kind == "hold":
        return _hold(one, direction, actor=actor, now=now, policy=policy)
    if direction.kind == "release_hold":
        return _release_hold(one, actor=actor, now=now, policy=policy)
    return Outcome()


def withdraw(affected: Sequence[Affected], *, actor: str, now: int, policy: Policy) -> Outcome:
    """Taken back: `withdrawn` where nothing was done or others keep it down; else people agree before it comes up."""
    going = [one for one in affected if one.item.status not in FINAL and one.item.withdrawn_at is None]
    items = frozenset(one.item.id for one in going)
    out = Outcome()
    coming_up: dict[str, CaseView] = {}
    for one in going:
        mark = Update(table=Table.ITEM, where={"id": one.item.id}, values={"withdrawn_at": now})
        mine = [case for case in one.cases if _comes_up_without(case, items, now=now, policy=policy)]
        coming_up |= {case.case.id: case for case in mine}
        pair = [(one.item, one.notice)]
        if mine:
            facts = facts_of(mine[0], now)
            told = tell(pair, ItemStatus.REVIEW, now=now, policy=policy, reason=WITHDRAWAL, facts=facts)
        else:
            told = tell(pair, ItemStatus.WITHDRAWN, now=now, policy=policy)
        out = out.plus(Outcome(changes=(mark,))).plus(told).plus(_wake(one.cases))
    needs = policy.agreement_on_withdrawal()
    asked = tuple(_ask_release(case, actor=actor, needs=needs, now=now) for case in coming_up.values())
    return out.plus(Outcome(changes=asked))


def _comes_up_without(case: CaseView, items: frozenset[str], *, now: int, policy: Policy) -> bool:
    """Whether nobody else keeps it down. A hold alone only delays the way up, so people are asked already."""
    claims = tuple(replace(c, item=replace(c.item, withdrawn_at=now)) if c.item.id in items else c for c in case.claims)
    left = replace(case, claims=claims, holds=())
    return want(left, now=now, keep_up_decide_minutes=policy.keep_up_decide_minutes) is Want.UP


def ask_release(view: CaseView, *, now: int, policy: Policy) -> Outcome:
    """Nobody asks for it any more and nobody was asked: a race or a hold that ran out; people decide like always."""
    asked = _ask_release(view, actor="worker", needs=policy.agreement_on_withdrawal(), now=now)
    return Outcome(changes=(asked,), bumps=(view.case.id,))


def _ask_release(case: CaseView, *, actor: str, needs: int, now: int) -> Insert:
    values: dict[str, Any] = {
        "id": new_id(),
        "case": case.case.id,
        "item": None,
        "kind": "release",
        "actor": actor,
        "reason": "nobody asks for it any more",
        "request_sha256": request_digest("release", case.case.id),
        "state": "approved" if needs == 0 else "asked",
        "needs": needs,
        "approvals": [],
        "expires_at": None,
        # It speaks of the case as it was read, so it is never older than that, whoever's clock is ahead.
        "created_at": max(now, _changed_at(case)),
    }
    return Insert(table=Table.DECISION, values=values)


def _proceed(one: Affected) -> Outcome:
    changes = tuple(
        Update(table=Table.CLAIM, where={"item": one.item.id, "case": case.case.id}, values={"act": Act.REMOVE.value})
        for case in one.cases
        for claim in case.claims
        if claim.item.id == one.item.id and claim.act is Act.PRESERVE_ONLY
    )
    return Outcome(changes=changes).plus(_wake(one.cases)) if changes else Outcome()


def _hold(one: Affected, direction: DirectionRow, *, actor: str, now: int, policy: Policy) -> Outcome:
    rows = tuple(
        Insert(
            table=Table.HOLD,
            values={
                "id": new_id(),
                "case": case.case.id,
                "origin": actor,
                "reference": direction.reference,
                "until_at": direction.until_at,
            },
        )
        for case in one.cases
    )
    later = _for_later_cases(one, {"until_at": direction.until_at, "reference": direction.reference})
    return Outcome(changes=(*rows, later)).plus(_again(one, held=True, now=now, policy=policy)).plus(_wake(one.cases))


def _for_later_cases(one: Affected, held: Mapping[str, Any] | None) -> Update:
    """What waits for a person has no case yet; the one that it will get must know of the hold."""
    details = {**one.item.details, HELD: held}
    return Update(table=Table.ITEM, where={"id": one.item.id}, values={"details": details})


def _release_hold(one: Affected, *, actor: str, now: int, policy: Policy) -> Outcome:
    mine = [h for case in one.cases for h in case.holds if h.origin == actor and h.released_at is None]
    later = Outcome(changes=(_for_later_cases(one, None),))
    if not mine:
        return later
    rows = tuple(Update(table=Table.HOLD, where={"id": h.id}, values={"released_at": now}) for h in mine)
    others = any(h.origin != actor and h.released_at is None for case in one.cases for h in case.holds)
    told = _again(one, held=others, now=now, policy=policy)
    return later.plus(Outcome(changes=rows)).plus(told).plus(_wake(one.cases))


def _again(one: Affected, *, held: bool, now: int, policy: Policy) -> Outcome:
    """A hold on something already down changes no status: the same is told again, with the hold."""
    if one.item.status not in DOWN or not one.cases:
        return Outcome()
    facts = replace(facts_of(one.cases[0], now), hold=held)
    pair = [(one.item, one.notice)]
    return tell(pair, one.item.status, now=now, policy=policy, reason=one.item.reason, facts=facts, again=True)


def _wake(cases: Sequence[CaseView]) -> Outcome:
    # At the priority of live work: a case that is only watched would wait behind all re-checks otherwise.
    wakes = tuple(
        Wake(track=track, subject=c.case.id, priority=PRIORITY[track])
        for c in cases
        for track in (Track.EXPOSURE, Track.EVIDENCE)
    )
    return Outcome(bumps=tuple(c.case.id for c in cases), wakes=wakes)


def apply_item_decision(decision: DecisionRow, one: Affected, *, now: int, policy: Policy) -> Outcome:
    """A reviewer's yes makes the item be resolved again; a no ends it, and what a gate denied meanwhile comes up."""
    done = Update(table=Table.DECISION, where={"id": decision.id}, values={"state": "done"})
    note = LedgerNote(
        kind=f"item.{decision.kind}d",
        subject=one.item.id,
        actor=decision.actor,
        detail={"decision": decision.id, "reason": decision.reason, "approvals": list(decision.approvals)},
    )
    out = Outcome(changes=(done,), notes=(note,))
    if decision.kind == "approve":
        who = decision.approvals[0] if decision.approvals else decision.actor
        return out.plus(
            Outcome(
                changes=(
                    Update(table=Table.ITEM, where={"id": one.item.id}, values={"approved_by": who, "canonical": None}),
                )
            )
        ).plus(_wake(one.cases))
    if one.item.status is not ItemStatus.REVIEW or one.item.withdrawn_at is not None:
        # Somebody else's yes or the issuer came first; what is down by now needs a release.
        return out
    going = frozenset({one.item.id})
    coming_up = [case for case in one.cases if _comes_up_without(case, going, now=now, policy=policy)]
    if not coming_up:
        told = tell([(one.item, one.notice)], ItemStatus.REFUSED, now=now, policy=policy, reason="refused_by_host")
        return out.plus(told).plus(_wake(one.cases))
    mark = Update(table=Table.ITEM, where={"id": one.item.id}, values={"withdrawn_at": now, "reason": REFUSED_REASON})
    asked = tuple(_ask_release(c, actor=decision.actor, needs=0, now=now) for c in coming_up)
    return out.plus(Outcome(changes=(mark, *asked))).plus(_wake(one.cases))


def apply_release(view: CaseView, decision: DecisionRow, *, now: int) -> Outcome:
    """People agreed that it comes up: every claim still standing ends, and `want` follows."""
    items = {c.item.id for c in view.claims if c.item.status not in FINAL and c.item.withdrawn_at is None}
    changes = [Update(table=Table.ITEM, where={"id": item}, values={"withdrawn_at": now}) for item in sorted(items)]
    changes.append(Update(table=Table.DECISION, where={"id": decision.id}, values={"state": "done"}))
    note = LedgerNote(
        kind="decision.done",
        subject=view.case.id,
        actor=decision.actor,
        detail={"decision": decision.id, "kind": decision.kind, "approvals": list(decision.approvals)},
    )
    pages: tuple[Page, ...] = ()
    if _past_undo(view):
        words = "its return was agreed to, but the customer's copy is removed: restore it from the evidence"
        pages = (Page(kind="restore.needed", subject=view.case.id, text=words),)
    return Outcome(changes=tuple(changes), notes=(note,), bumps=(view.case.id,), pages=pages)


def is_current(view: CaseView, decision: DecisionRow) -> bool:
    """Whether the request speaks of the case as it is: nothing was notified or blocked since it was made."""
    return decision in _releases(view)


def expire_release(view: CaseView, decision: DecisionRow) -> Outcome:
    """People agreed to something else than what the case is by now; they are asked again where it is still wanted."""
    done = Update(table=Table.DECISION, where={"id": decision.id}, values={"state": "expired"})
    note = LedgerNote(
        kind="decision.expired",
        subject=view.case.id,
        actor="worker",
        detail={"decision": decision.id, "kind": "release"},
    )
    words = "a release was agreed to, but the case has changed since; look at it and ask again"
    page = Page(kind="release.stale", subject=view.case.id, text=words)
    return Outcome(changes=(done,), notes=(note,), pages=(page,), bumps=(view.case.id,))


def released(view: CaseView) -> bool:
    """Whether people agreed to the way back, and there still is one that needs no restore."""
    return not _past_undo(view) and any(d.state in ("approved", "done") for d in _releases(view))


def nobody_asked(view: CaseView, now: int) -> bool:
    """Whether people have still to be asked for the way back. A refusal stands until something new is done."""
    open_or_done = (
        d for d in _releases(view) if d.state != "expired" and not (d.state == "asked" and _over(d.expires_at, now))
    )
    return not _past_undo(view) and not any(open_or_done)


def _over(expires_at: int | None, now: int) -> bool:
    return expires_at is not None and expires_at <= now


def _past_undo(view: CaseView) -> bool:
    return view.evidence.state in (Evidence.REMOVE, Evidence.VAULTED)


def _releases(view: CaseView) -> list[DecisionRow]:
    """Requests made after the last block or deny and after the last notice: they speak of the case as it is."""
    return [d for d in view.decisions if d.kind == "release" and d.created_at >= _changed_at(view)]


def _changed_at(view: CaseView) -> int:
    """When it was last notified or acted on, by the clock of whoever wrote that."""
    since = [act.begun_at for act in view.acts if act.kind in ("block", "deny") and act.result != "undone"]
    return max([*since, *(claim.notice.created_at for claim in view.claims)], default=0)
