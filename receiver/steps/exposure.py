"""The exposure track, acted: what is pending is done, what is needed is looked at, `quarantine.exposure` decides.

A state's acts were written down by the outcome before it. So going on after a crash and going on at all are the same
thing: do what is pending, with the same op_ids, then decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from adapters.contract import (
    AdapterError,
    BlockReceipt,
    Changed,
    NotFound,
    Origin,
    Presence,
    Retryable,
    from_json,
)
from receiver.domain.moves import as_it_was, move, same_lease
from receiver.domain.outcome import Outcome, Page, Table, Update
from receiver.domain.rows import CaseView, WorkRow
from receiver.domain.status import RECHECK_PRIORITY, URL_ADAPTER, Evidence, Exposure, Track, Verdict, Want
from receiver.domain.want import MICROS_PER_DAY, held_blocks, leave_until, live_acts, undecided_conflict, want
from receiver.quarantine import confirming, course, releasing
from receiver.quarantine import exposure as decide
from receiver.quarantine.course import Context
from receiver.quarantine.directions import (
    released,
)
from receiver.quarantine.journal import Done, deny_intents, failed, last_block, pending
from receiver.quarantine.watching import should_purge
from receiver.steps.hands import at_store, at_target, kept_down, look_at, perform_all, ref_of, store_of
from receiver.steps.heeding import ask_people, heed
from receiver.steps.tools import Step, Tools, pause_scopes, paused


def exposure(work: WorkRow, tools: Tools) -> Step:
    """One step of the exposure track."""
    case = work.subject
    view = tools.reads.load_case(case)
    same_lease(work, view.exposure)
    ctx = Context(view=view, now=tools.now(), policy=tools.policy)
    wanted = want(view, now=ctx.now, keep_up_decide_minutes=tools.policy.keep_up_decide_minutes)
    said = heed(ctx) or ask_people(ctx, wanted)
    if said is not None:
        return Step(outcome=said)
    if view.exposure.state == Exposure.STUCK:
        return Step(outcome=_stuck(ctx))
    pause = paused(view.exposure, pause_scopes(view), tools)
    if pause is not None:
        return Step(outcome=pause)
    tools.early.act_begins(case)
    done = perform_all(pending(view, Track.EXPOSURE), view, tools, wait_for_gates=_waits_for_gates(view))
    ctx = replace(ctx, now=tools.now())
    lame = [d for d in done if _lame_gate(view, d)]
    if lame:
        good = [d for d in done if d.error is None]
        return Step(outcome=decide.gate_gave_up(ctx, good, lame))
    hindrance = _nothing_there(ctx, done, tools) or _hindrance(ctx, done)
    if hindrance is not None:
        return Step(outcome=hindrance)
    good = [d for d in done if d.error is None]
    try:
        outcome = STATES[Exposure(view.exposure.state)](ctx, wanted, good, tools)
    except Retryable as exc:
        # The receipts just got are dropped: the same op_ids give the same ones next time.
        return Step(outcome=course.waiting(ctx, [], at_store(view, exc), exc.after_seconds))
    except AdapterError as exc:
        return Step(outcome=course.broken(ctx, [], at_store(view, exc)))
    if outcome.work is not None and outcome.work.state in (Exposure.WATCH, Exposure.OPEN):
        tools.early.forget(case)
    return Step(outcome=_with_want(ctx, wanted, outcome))


def _waits_for_gates(view: CaseView) -> bool:
    """Not where the store is what keeps it down, or is about to: a gate may reload in its own time then."""
    if view.exposure.state == Exposure.BLOCK:
        return False
    return view.exposure.state not in (Exposure.PURGE, Exposure.CONFIRM, Exposure.WATCH) or not held_blocks(view)


def _hindrance(ctx: Context, done: list[Done]) -> Outcome | None:
    """What the first act that failed means: wait for the other side, look again, or call a person."""
    good = [d for d in done if d.error is None]
    bad = next((d for d in done if d.error is not None and not _may_wait(ctx, d)), None)
    waiting = next((d for d in good if d.pending and ctx.view.exposure.state != Exposure.BLOCK), None)
    if bad is None:
        return course.waiting(ctx, good, at_target(waiting.act, "not finished"), 1.0) if waiting else None
    error = bad.error
    if isinstance(error, Retryable):
        return course.waiting(ctx, good, at_target(bad.act, error), error.after_seconds)
    if bad.act.kind == "block" and isinstance(error, Changed | NotFound):
        return decide.block_failed(ctx, good, bad)
    return course.broken(ctx, good, at_target(bad.act, f"{error}"))


def _lame_gate(view: CaseView, done: Done) -> bool:
    """A gate that can never deny this must not keep the store from being blocked; a URL alone has nothing else."""
    return _never_denies(done) and view.case.adapter != URL_ADAPTER


def _never_denies(done: Done) -> bool:
    return done.error is not None and not isinstance(done.error, Retryable) and done.act.kind == "deny"


def _nothing_there(ctx: Context, done: list[Done], tools: Tools) -> Outcome | None:
    """No gate can deny this URL, and it is gone outside by itself: nobody has to be called for it."""
    view, refused = ctx.view, {d.act.op_id for d in done if _never_denies(d)}
    alone = view.case.adapter == URL_ADAPTER and view.exposure.state == Exposure.DENY
    if not alone or not refused or {act.op_id for act in live_acts(view, "deny")} != refused:
        return None
    seen = look_at(view, tools, denying=False)
    if course.worst(seen) is not Verdict.GONE:
        return None
    given_up = [failed(d.act, d.error, now=ctx.now) for d in done if d.error is not None]
    gone = decide.absent(ctx, [], seen, ours=_is_ours(tools), kept_down=kept_down(view, tools))
    return Outcome(changes=tuple(given_up)).plus(gone)


def _may_wait(ctx: Context, done: Done) -> bool:
    """A gate that is away must not keep the store from being blocked; its deny stays pending and is tried again."""
    view = ctx.view
    if view.exposure.state == Exposure.BLOCK and done.act.kind == "purge":
        # The block must be on record before anything else; the next step asks the cache again.
        return True
    early = view.exposure.state in (Exposure.DENY, Exposure.BLOCK) and view.case.adapter != URL_ADAPTER
    # With the block in force the looks decide: what is seen gone is told, and the gate is asked again later.
    held = view.exposure.state in (Exposure.PURGE, Exposure.CONFIRM, Exposure.WATCH) and bool(held_blocks(view))
    return (early or held) and done.act.kind == "deny" and isinstance(done.error, Retryable)


def _with_want(ctx: Context, wanted: Want, outcome: Outcome) -> Outcome:
    if ctx.view.case.want is wanted or any(
        isinstance(c, Update) and c.table is Table.CASE and "want" in c.values for c in outcome.changes
    ):
        return outcome
    return Outcome(changes=(ctx.case(want=wanted.value),)).plus(outcome)


# --- one function for each state


def _idle(ctx: Context, wanted: Want, done: list[Done], tools: Tools) -> Outcome:
    del done, tools
    view = ctx.view
    if wanted is Want.DOWN:
        return decide.begin(ctx)
    if wanted is Want.UP and released(view):
        return releasing.release(ctx)
    if wanted is not Want.LEAVE:
        return Outcome(work=move(view.exposure, view.exposure.state))
    until = leave_until(view, keep_up_decide_minutes=ctx.policy.keep_up_decide_minutes)
    idle = Outcome(work=move(view.exposure, view.exposure.state, due_at=until))
    if undecided_conflict(view):
        words = "one issuer asks to leave it up, another to take it down; without a decision it goes down"
        idle = idle.plus(Outcome(pages=(Page(kind="preserve.conflict", subject=view.case.id, text=words),)))
    return idle.plus(course.start_sealing(ctx)) if view.evidence.state == Evidence.WAIT else idle


def _deny(ctx: Context, wanted: Want, done: list[Done], tools: Tools) -> Outcome:
    view = ctx.view
    if wanted is Want.NONE or (wanted is Want.LEAVE and not live_acts(view, "block", "deny")):
        return Outcome(work=move(view.exposure, Exposure.IDLE, keep=True), changes=tuple(course.kept(ctx, done)))
    if wanted is Want.UP and released(view):
        return Outcome(changes=tuple(course.kept(ctx, done))).plus(releasing.release(_reread(ctx, done)))
    if view.case.adapter == URL_ADAPTER:
        return decide.denied(ctx, done, None)
    try:
        seen = store_of(view, tools).observe(ref_of(view))
    except Retryable as exc:
        return course.waiting(ctx, done, at_store(view, exc, doing="observe"), exc.after_seconds)
    unheard = [a for a in pending(_reread(ctx, done).view, Track.EXPOSURE) if a.kind == "deny" and a.receipt is None]
    if seen.presence is not Presence.PRESENT and unheard:
        # Nothing to block meanwhile; and what a gate may have denied unheard could not be taken back.
        words = "it is away, and the store holds nothing to block"
        return course.waiting(ctx, done, at_target(unheard[0], words), 0.0)
    return decide.denied(ctx, done, seen)


def _reread(ctx: Context, done: list[Done]) -> Context:
    """The view with the receipts just got, for decisions that build on them."""
    receipts = {d.act.op_id: d.receipt for d in done}
    acts = tuple(replace(a, receipt=receipts.get(a.op_id, a.receipt)) for a in ctx.view.acts)
    return replace(ctx, view=replace(ctx.view, acts=acts))


def _block(ctx: Context, wanted: Want, done: list[Done], tools: Tools) -> Outcome:
    del wanted
    view = ctx.view
    block = last_block(_reread(ctx, done).view)
    if block is None or block.receipt is None:
        seen = look_at(view, tools, denying=False)
        return decide.absent(ctx, done, seen, ours=_is_ours(tools), kept_down=kept_down(view, tools))
    receipt = from_json(BlockReceipt, dict(block.receipt))
    try:
        state = store_of(view, tools).origin_state(ref_of(view), receipt)
    except Retryable as exc:
        # The block's receipt is not kept yet: the same op_id gives the same receipt next time.
        return course.waiting(ctx, [], at_store(view, exc, doing="origin_state"), exc.after_seconds)
    if state.origin is Origin.REPLACED:
        return decide.blocked(ctx, done, receipt, state).plus(decide.deny_again(ctx, "something new stands there"))
    return decide.blocked(ctx, done, receipt, state)


def _is_ours(tools: Tools) -> Callable[[str], bool]:
    return lambda host: tools.routes.lookup(host, b"/") is not None


def _purge(ctx: Context, wanted: Want, done: list[Done], tools: Tools) -> Outcome:
    view = ctx.view
    if wanted is Want.UP and released(view):
        return Outcome(changes=tuple(course.kept(ctx, done))).plus(releasing.release(_reread(ctx, done)))
    joined = deny_intents(view, now=ctx.now)
    if joined:
        return confirming.purge_again(ctx, done)
    seen = look_at(view, tools, denying=True)
    ctx = replace(ctx, now=tools.now())
    if wanted is Want.DOWN and course.worst(seen) is Verdict.UP and _stands_still(view, tools):
        return decide.replaced(ctx, done, seen)
    return confirming.confirmed(ctx, done, seen, tools.early.answer(view.case.id))


def _watch(ctx: Context, wanted: Want, done: list[Done], tools: Tools) -> Outcome:
    view = ctx.view
    if wanted is Want.UP and released(view):
        return releasing.release(ctx)
    if wanted is Want.DOWN and _stands_again(view, tools):
        return decide.reappeared(ctx)
    start = course.watch_started(view, ctx.now)
    if course.untold(view) or deny_intents(view, now=ctx.now) or _refills(view, start, ctx.now):
        return confirming.purge_again(ctx, done)
    if view.exposure.due_at is not None and view.exposure.due_at > ctx.now + 1_000_000:
        # Woken for a change that wants nothing of this track.
        rest = move(view.exposure, Exposure.WATCH, due_at=view.exposure.due_at, priority=RECHECK_PRIORITY)
        return course.came_through(ctx, done).moved(rest)
    if start + ctx.policy.watch_days * MICROS_PER_DAY <= ctx.now:
        return Outcome(work=move(view.exposure, Exposure.WATCH, priority=RECHECK_PRIORITY))
    seen = look_at(view, tools, denying=True)
    if course.worst(seen) is Verdict.UP:
        return decide.reappeared(ctx, seen) if wanted is Want.DOWN else confirming.watched(ctx, done, seen)
    return confirming.confirmed(ctx, done, seen, None)


def _refills(view: CaseView, start: int, now: int) -> bool:
    """A cache that was filling during the purge holds it again; without caches there is nothing to purge twice."""
    purges = [act.begun_at for act in view.acts if act.kind == "purge"]
    return bool(purges) and should_purge(started_at=start, now=now, purged_at=purges)


def _stands_again(view: CaseView, tools: Tools) -> bool:
    """Whether the customer put something new under the name; asked of the store, which a cache cannot fool."""
    block = last_block(view)
    if view.evidence.state == Evidence.REMOVE or view.case.adapter == URL_ADAPTER:
        return False
    if block is None:
        # It held nothing when we came, and a cache was all there was to purge.
        return store_of(view, tools).observe(ref_of(view)).presence is Presence.PRESENT
    if block.receipt is None:
        return False
    receipt = from_json(BlockReceipt, dict(block.receipt))
    state = store_of(view, tools).origin_state(ref_of(view), receipt)
    new_doors = any(f"open_door: {door}" not in view.case.residual for door in state.doors)
    return state.origin is Origin.REPLACED or (state.origin is Origin.LEAKING and new_doors)


def _stands_still(view: CaseView, tools: Tools) -> bool:
    """Whether the store itself serves something, rather than a cache in front of it."""
    return _stands_again(view, tools)


def _unblock(ctx: Context, wanted: Want, done: list[Done], tools: Tools) -> Outcome:
    del wanted
    rest = releasing.allow_the_rest(_reread(ctx, done), done)
    return rest or releasing.unblocked(ctx, done, kept_down(ctx.view, tools))


def _stuck(ctx: Context) -> Outcome:
    """Woken, but only a person's `retry` goes on from here; what is known of the trouble stays."""
    return course.tell_stuck(ctx).moved(as_it_was(ctx.view.exposure))


State = Callable[[Context, Want, list[Done], Tools], Outcome]
STATES: Mapping[Exposure, State] = {
    Exposure.IDLE: _idle,
    Exposure.DENY: _deny,
    Exposure.BLOCK: _block,
    Exposure.PURGE: _purge,
    Exposure.CONFIRM: _purge,
    Exposure.WATCH: _watch,
    Exposure.UNBLOCK: _unblock,
    Exposure.OPEN: _idle,
}
"""Which function takes a step in which state; `stuck` waits for a person."""
