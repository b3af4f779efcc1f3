"""The resolve track: from a recorded notice to cases for the other tracks (docs/notice-cycle.md, steps 3 to 5).

One row per notice, so 250 items cost one claim. Directions and reviewers' decisions about its items come through here
too, in the order in which they were made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from adapters.contract import AdapterError, Denied, NotFound, Observation, Retryable, Unsupported
from receiver.domain.causes import at
from receiver.domain.moves import move, stuck, try_again
from receiver.domain.outcome import LedgerNote, Outcome, Page
from receiver.domain.ports import Spent
from receiver.domain.rows import ItemRow, MessageRow, NoticeView, WorkRow
from receiver.domain.status import FINAL, ItemStatus
from receiver.domain.telling import tell
from receiver.quarantine.directions import Affected, apply_direction, apply_item_decision
from receiver.resolution.resolve import (
    Course,
    Judgement,
    Question,
    first_judgement,
    judge_observation,
    judge_unobservable,
)
from receiver.resolution.urls import UrlRefusedError, canonical_url
from receiver.steps.cases import CaseWriter
from receiver.steps.tools import Step, Tools

RESOLVE, RESOLVED = "resolve", "resolved"
PAUSED_LOOK_SECONDS = 15
MICROS_PER_HOUR = 3_600_000_000


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one item came to, with what the store said."""

    question: Question
    judgement: Judgement
    seen: Observation | None = None


def resolve(work: WorkRow, tools: Tools) -> Step:
    """Verify again, apply what people and issuers said since, then find out what each new item is."""
    view = tools.reads.load_notice(work.subject)
    problem = _verify_again(view, tools)
    if problem is not None:
        return Step(outcome=_not_verified(work, view, tools, problem))
    paused = _paused(view, tools)
    if paused:
        return Step(outcome=_urgent(work, view).plus(_wait(work, paused, tools)))
    said = _apply_next(work, view, tools)
    if said is not None:
        return Step(outcome=said)
    return _resolve_items(work, view, tools)


def _verify_again(view: NoticeView, tools: Tools) -> str | None:
    """The web side could write anything into the database; the worker believes the signature alone."""
    messages: list[MessageRow] = []
    if unresolved(view):
        messages.append(tools.reads.load_message(view.notice.message_id))
    messages += [tools.reads.load_message(d.message_id) for d in view.directions if d.applied_at is None]
    for message in messages:
        problem = tools.verify_stored(message)
        if problem is not None:
            return problem
    return tools.compare_stored(view, {message.id: message for message in messages})


def _not_verified(work: WorkRow, view: NoticeView, tools: Tools, problem: str) -> Outcome:
    fresh = [(item, view.notice) for item in view.items if item.status is ItemStatus.RECEIVED]
    told = tell(fresh, ItemStatus.FAILED, now=tools.now(), policy=tools.policy, reason="not_verified_again")
    note = LedgerNote(kind="notice.not_verified", subject=view.notice.id, actor="worker", detail={"reason": problem})
    # A key that was revoked is the cause of many.
    whose = f"{view.notice.issuer} {problem}"
    page = Page(kind="notice.not_verified", subject=whose, text=f"a stored message does not verify: {problem}")
    # One call is enough, and this one says what it is about.
    halt = replace(stuck(work, f"not verified: {problem}", now=tools.now()), pages=(page,))
    return told.plus(halt).plus(Outcome(notes=(note,)))


def _apply_next(work: WorkRow, view: NoticeView, tools: Tools) -> Outcome | None:
    """The oldest decision or direction that is not applied yet; the lease is kept and the next follows."""
    again = Outcome(work=move(work, RESOLVE, keep=True))
    for decision in view.decisions:
        item = next((i for i in view.items if i.id == decision.item), None)
        if decision.state == "approved" and item is not None:
            one = _affected(view, item, tools)
            return apply_item_decision(decision, one, now=tools.now(), policy=tools.policy).plus(again)
    waiting = sorted((d for d in view.directions if d.applied_at is None), key=lambda d: (d.issued_at, d.id))
    if not waiting:
        return None
    direction = waiting[0]
    named = [i for i in view.items if direction.items is None or i.item_id in direction.items]
    affected = [_affected(view, item, tools) for item in named]
    return apply_direction(direction, view, affected, now=tools.now(), policy=tools.policy).plus(again)


def _affected(view: NoticeView, item: ItemRow, tools: Tools) -> Affected:
    cases = tuple(tools.reads.load_case(case) for case in view.claims.get(item.id, ()))
    return Affected(item=item, notice=view.notice, cases=cases)


def _paused(view: NoticeView, tools: Tools) -> str | None:
    scopes = {pause.scope for pause in tools.reads.pauses()}
    for scope in ("all", f"issuer:{view.notice.issuer}"):
        if scope in scopes:
            return scope
    return None


def _wait(work: WorkRow, scope: str, tools: Tools) -> Outcome:
    due = tools.now() + PAUSED_LOOK_SECONDS * 1_000_000
    return Outcome(work=replace(move(work, RESOLVE, due_at=due), last_error=f"paused by the operator ({scope})"))


def unresolved(view: NoticeView) -> list[ItemRow]:
    """Items nobody looked at yet, or not since a person approved them: those without a canonical URL."""
    return [
        item
        for item in view.items
        if item.withdrawn_at is None
        and item.canonical is None
        and item.status not in (*FINAL, ItemStatus.NEEDS_INFORMATION)
        and (item.status is not ItemStatus.REVIEW or item.approved_by is not None)
    ]


def _resolve_items(work: WorkRow, view: NoticeView, tools: Tools) -> Step:
    writer = CaseWriter(work=work, view=view, tools=tools)
    hour_ago = tools.now() - MICROS_PER_HOUR
    spent = tools.reads.spent_since(view.notice.issuer, hour_ago)
    paused = {pause.scope for pause in tools.reads.pauses()}
    wait: Outcome | None = None
    out = Outcome()
    for item in unresolved(view):
        try:
            answer = _ask(item, view, tools, writer.added_to(spent), paused)
        except StoreAwayError as exc:
            wait = wait or try_again(work, exc.words, now=tools.now(), after_seconds=exc.after_seconds)
            out = out.plus(writer.deny_meanwhile(exc.question))
            continue
        if isinstance(answer, Outcome):
            out = out.plus(answer)
        elif isinstance(answer, str):
            wait = wait or _wait(work, answer, tools)
        else:
            out = out.plus(writer.write(answer.question, answer.judgement, answer.seen))
    ends = wait or Outcome(work=move(work, RESOLVED))
    out = out.plus(writer.spends(spent, hour_ago))
    return Step(outcome=_urgent(work, view).plus(out).plus(ends), then=writer.leased())


def _urgent(work: WorkRow, view: NoticeView) -> Outcome:
    """People are called at once when a child is thought to be in danger now, whatever else has to wait."""
    first_time = work.attempts == 0 and work.last_error is None
    if view.notice.handling.get("priority") != "immediate_risk" or not first_time or not unresolved(view):
        return Outcome()
    page = Page(kind="immediate_risk", subject=view.notice.id, text="a child is thought to be in danger now")
    return Outcome(pages=(page,))


def _ask(item: ItemRow, view: NoticeView, tools: Tools, spent: Spent, paused: set[str]) -> Answer | Outcome | str:
    """An answer, an end that needs no case, or the pause that makes it wait."""
    pair = [(item, view.notice)]
    try:
        url = canonical_url(item.url)
        hit = tools.routes.resolve(url)
    except UrlRefusedError as exc:
        return tell(pair, ItemStatus.NEEDS_INFORMATION, now=tools.now(), policy=tools.policy, reason=exc.reason)
    if hit is not None and hit.adapter is not None and f"adapter:{hit.adapter}" in paused:
        return f"adapter:{hit.adapter}"
    question = Question(
        item=item,
        notice=view.notice,
        url=url,
        hit=hit,
        issuer=tools.issuer(view.notice.issuer),
        policy=tools.policy,
        protected=tools.protected,
        spent=spent,
    )
    judgement = first_judgement(question)
    if judgement.course is not Course.OBSERVE:
        return Answer(question=question, judgement=judgement)
    try:
        return observe(question, tools)
    except Retryable as exc:
        raise StoreAwayError(exc, question) from exc


class StoreAwayError(Exception):
    """The store does not say what stands there; denying the exact URL need not wait for that."""

    def __init__(self, away: Retryable, question: Question) -> None:
        super().__init__(str(away))
        self.after_seconds, self.question = away.after_seconds, question
        self.words = at(f"store {question.hit.adapter}" if question.hit else "store", f"observe: {away}")


def observe(question: Question, tools: Tools) -> Answer:
    """Ask the store what stands under this name. Raises Retryable when it is away."""
    hit = question.hit
    if hit is None or hit.adapter is None or hit.ref is None:
        raise ValueError("only a stored resource can be observed")
    store = tools.stores.get(hit.adapter)
    if store is None:
        raise Retryable(f"no adapter is configured under the name {hit.adapter}", after_seconds=60)
    try:
        seen = store.observe(hit.ref)
    except Retryable:
        raise
    except (Denied, NotFound, Unsupported):
        return Answer(question=question, judgement=judge_unobservable(question))
    except AdapterError as exc:
        raise Retryable(str(exc), after_seconds=30) from exc
    return Answer(question=question, judgement=judge_observation(question, seen), seen=seen)
