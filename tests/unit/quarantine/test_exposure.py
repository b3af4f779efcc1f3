"""The exposure track's decisions at their edges, X1 to X18 of the core model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.contract import BlockReceipt, NotFound, Observation, Origin, OriginState, Pin, Presence, Ref, to_json
from receiver.domain.outcome import Insert, Outcome, Table
from receiver.domain.policy import Policy
from receiver.domain.rows import CaseView
from receiver.domain.status import Act, Exposure, ItemStatus, Verdict, Want
from receiver.quarantine import confirming, course, releasing
from receiver.quarantine import exposure as decide
from receiver.quarantine.course import Context, Seen
from receiver.quarantine.journal import Done
from tests.doubles.case_rows import (
    DAY,
    NOW,
    SECOND,
    act_row,
    case_row,
    case_view,
    claim_row,
    notice_row,
    seal_row,
    url_row,
    work_row,
)

REF = Ref(locator=b"a")
OURS = ("img.example.net",).__contains__
"""Whether a host is one of ours."""
BEGUN: dict[str, Any] = {"receipt": None, "ended_at": None, "result": None}
RECEIPT = BlockReceipt(op_id="op-block", ref=REF, pins=(Pin("pin-1"),), residual=("a copy stays",))
PRESENT = Observation(ref=REF, presence=Presence.PRESENT)
ABSENT = Observation(ref=REF, presence=Presence.ABSENT)


def ctx(view: CaseView | None = None, now: int = NOW, **policy: Any) -> Context:
    return Context(view=view or case_view(), now=now, policy=Policy(**policy))


def seen(*verdicts: Verdict) -> list[Seen]:
    return [Seen(url=url_row(url_hmac=str(n)), verdict=v, looks=({"status": 1},)) for n, v in enumerate(verdicts)]


GONE, UP, UNCLEAR = seen(Verdict.GONE), seen(Verdict.UP), seen(Verdict.INCONCLUSIVE)


def state(outcome: Outcome) -> tuple[str, bool]:
    assert outcome.work is not None
    return outcome.work.state, outcome.work.keep


def heard(outcome: Outcome) -> list[tuple[str, str | None]]:
    return [(str(event.status), event.data["reason"]) for event in outcome.events]


def kinds(outcome: Outcome) -> list[str]:
    return [c.values["kind"] for c in outcome.changes if isinstance(c, Insert) and c.table is Table.ACT]


def on_case(outcome: Outcome) -> dict[str, Any]:
    rows = [c.values for c in outcome.changes if c.table is Table.CASE]
    return {name: value for row in rows for name, value in row.items()}


def notes(outcome: Outcome) -> list[str]:
    return [note.kind for note in outcome.notes]


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([], Verdict.INCONCLUSIVE),
        ([Verdict.GONE, Verdict.GONE], Verdict.GONE),
        ([Verdict.GONE, Verdict.INCONCLUSIVE], Verdict.INCONCLUSIVE),
        ([Verdict.GONE, Verdict.UNSEEN], Verdict.INCONCLUSIVE),
        ([Verdict.INCONCLUSIVE, Verdict.UP, Verdict.GONE], Verdict.UP),
    ],
)
def test_worst_look_counts(verdicts: list[Verdict], worst: Verdict) -> None:
    assert course.worst(seen(*verdicts)) is worst


# --- towards down


def test_idle_case_begins_with_denies() -> None:
    outcome = decide.begin(ctx(case_view(exposure=Exposure.IDLE)))
    assert (state(outcome), kinds(outcome), notes(outcome)) == (("deny", True), ["deny"], ["exposure.wanted"])
    assert "round" not in on_case(outcome)
    assert not outcome.wakes


def test_open_case_begins_a_new_round() -> None:
    outcome = decide.begin(ctx(case_view(exposure=Exposure.OPEN, acts=(act_row("deny", result="undone"),))))
    assert on_case(outcome)["round"] == 2
    assert on_case(outcome)["closed_at"] is None
    assert [w.state for w in outcome.wakes] == ["wait"]


def test_reappeared_is_told_and_denied_again() -> None:
    view = case_view(claims=(claim_row(status=ItemStatus.DISABLED),), acts=(act_row("deny"),))
    outcome = decide.reappeared(ctx(view), UP)
    assert heard(outcome) == [("reappeared", None)]
    assert (state(outcome), kinds(outcome), on_case(outcome)) == (("deny", True), ["deny"], {"round": 2})


def test_url_alone_goes_on_to_purge() -> None:
    view = case_view(case=case_row(adapter="url", residual=("x",)), exposure=Exposure.DENY)
    done = [Done(act=act_row("deny"), receipt={"op_id": "op-deny", "residual": ["edge two"]})]
    outcome = decide.denied(ctx(view), done, None)
    assert (state(outcome), kinds(outcome), notes(outcome)) == (("purge", True), ["purge"], ["url.denied"])
    assert on_case(outcome) == {"residual": ["x", "edge two", "resource_not_identified"], "blocked_at": NOW}


def test_store_must_be_observed_first() -> None:
    with pytest.raises(ValueError, match="observed"):
        decide.denied(ctx(case_view(exposure=Exposure.DENY)), [], None)


@pytest.mark.parametrize(
    ("presence", "acts", "to", "intents"),
    [
        (Presence.PRESENT, (), "block", ["block", "purge"]),
        (Presence.PRESENT, (act_row(),), "block", ["block", "purge"]),
        (Presence.BLOCKED, (act_row(),), "purge", ["purge"]),
        (Presence.ABSENT, (act_row(),), "purge", ["purge"]),
        (Presence.ABSENT, (act_row("deny"),), "block", ["allow"]),
        (Presence.ABSENT, (act_row(result="undone"),), "block", []),
        (Presence.ABSENT, (act_row(**BEGUN),), "block", []),
    ],
)
def test_observation_decides_after_deny(presence: Presence, acts: Any, to: str, intents: list[str]) -> None:
    view = case_view(exposure=Exposure.DENY, acts=acts)
    outcome = decide.denied(ctx(view), [], Observation(ref=REF, presence=presence))
    assert (state(outcome), kinds(outcome)) == ((to, True), intents)
    assert not outcome.notes


def test_fresh_deny_is_taken_back_when_absent() -> None:
    fresh = act_row("deny", **BEGUN)
    view = case_view(exposure=Exposure.DENY, acts=(fresh,))
    outcome = decide.denied(ctx(view), [Done(act=fresh, receipt={"op_id": "op-deny"})], ABSENT)
    (allow,) = [c for c in outcome.changes if isinstance(c, Insert)]
    assert allow.values["intent"]["receipt"] == {"op_id": "op-deny"}


# --- blocked


def test_block_starts_evidence_and_looks() -> None:
    purge = Done(act=act_row("purge", **BEGUN), receipt={})
    outcome = decide.blocked(ctx(), [purge], RECEIPT, OriginState(origin=Origin.BLOCKED))
    assert (state(outcome), kinds(outcome)) == (("confirm", True), [])
    assert notes(outcome) == ["caches.purged", "resource.blocked"]
    assert on_case(outcome) == {"blocked_at": NOW, "residual": ["a copy stays"]}
    assert [(w.state, w.from_state) for w in outcome.wakes] == [("seal", "wait")]
    assert not outcome.pages


def test_open_doors_are_named_and_paged() -> None:
    view = case_view(case=case_row(blocked_at=NOW - DAY))
    outcome = decide.blocked(ctx(view), [], RECEIPT, OriginState(origin=Origin.LEAKING, doors=("share link",)))
    assert on_case(outcome) == {"blocked_at": NOW - DAY, "residual": ["a copy stays", "open_door: share link"]}
    assert [p.kind for p in outcome.pages] == ["door.leaking"]
    assert state(outcome) == ("confirm", True)


def test_failed_block_looks_again() -> None:
    act = act_row(**BEGUN)
    outcome = decide.block_failed(ctx(), [], Done(act=act, error=NotFound("nothing")))
    assert state(outcome) == ("deny", True)
    assert outcome.changes[0].values["result"] == "failed"
    with pytest.raises(ValueError, match="failed"):
        decide.block_failed(ctx(), [], Done(act=act))


@pytest.mark.parametrize("seals", [(), (seal_row(),)])
def test_absent_and_gone_is_unavailable(seals: Any) -> None:
    deny = act_row("deny")
    allow = act_row("allow", intent={"deny": deny.op_id})
    view = case_view(exposure=Exposure.BLOCK, acts=(deny, allow), seals=seals)
    outcome = decide.absent(ctx(view), [Done(act=allow, receipt={})], GONE, ours=OURS)
    assert heard(outcome) == [("unavailable", None)]
    assert state(outcome) == ("open", False)
    assert on_case(outcome) == {"want": "none", "closed_at": None if seals else NOW}
    assert {"op_id": "op-deny"} in [c.where for c in outcome.changes if not isinstance(c, Insert)]


def test_absent_but_cached_is_denied_and_purged() -> None:
    outcome = decide.absent(ctx(case_view(exposure=Exposure.BLOCK)), [], UP, ours=OURS)
    assert (state(outcome), kinds(outcome), notes(outcome)) == (("purge", True), ["deny", "purge"], ["origin.absent"])
    assert not outcome.events


def test_absent_and_unclear_waits() -> None:
    outcome = decide.absent(ctx(case_view(exposure=Exposure.BLOCK)), [], UNCLEAR, ours=OURS)
    assert state(outcome) == ("block", False)
    assert not outcome.events


@pytest.mark.parametrize(("blocks", "at_once"), [(0, True), (2, True), (3, False), (9, False)])
def test_restless_customer_cannot_hold_us(blocks: int, at_once: bool) -> None:
    acts = (act_row("deny"), *(act_row(op_id=f"b{n}", result="failed") for n in range(blocks)))
    view = case_view(exposure=Exposure.PURGE, acts=acts)
    outcome = decide.replaced(ctx(view), [Done(act=act_row("purge"), receipt={})], UP)
    assert (state(outcome), kinds(outcome)) == (("deny", at_once), [])
    assert not outcome.events
    later = decide.replaced(ctx(view, NOW + 601 * SECOND), [], UP)
    assert state(later) == ("deny", True)


def sent_on(*hosts: str | None) -> list[Seen]:
    looks = tuple({"status": 302, **({"location_host": host} if host else {})} for host in hosts)
    return [Seen(url=url_row(), verdict=Verdict.INCONCLUSIVE, looks=looks)]


def test_content_that_moved_is_told_so() -> None:
    view = case_view(exposure=Exposure.BLOCK)
    outcome = decide.absent(ctx(view), [], sent_on("elsewhere.example"), ours=OURS)
    assert (heard(outcome), state(outcome)) == ([("moved", None)], ("open", False))


@pytest.mark.parametrize("hosts", [(), (None,), ("img.example.net",), ("elsewhere.example", None)])
def test_our_own_redirect_is_no_move(hosts: tuple[str | None, ...]) -> None:
    assert not decide.leads_elsewhere(sent_on(*hosts), OURS)


def test_what_another_case_keeps_down_is_not_gone() -> None:
    view = case_view(exposure=Exposure.BLOCK)
    outcome = decide.absent(ctx(view), [], GONE, ours=OURS, kept_down={"item-1"})
    assert (heard(outcome), state(outcome)) == ([], ("open", False))


def test_gate_that_cannot_deny_is_named() -> None:
    lame = Done(act=act_row("deny", **BEGUN), error=NotFound("no such rule"))
    outcome = decide.gate_gave_up(ctx(case_view(exposure=Exposure.DENY)), [], [lame])
    assert state(outcome) == ("deny", True)
    assert on_case(outcome) == {"residual": ["gate_not_denying: edge"]}
    assert [p.kind for p in outcome.pages] == ["gate.failed"]
    assert outcome.changes[0].values["result"] == "failed"


def test_earlier_version_stays_in_quarantine() -> None:
    claims = (claim_row(status=ItemStatus.REVIEW, withdrawn_at=NOW),)
    view = case_view(exposure=Exposure.UNBLOCK, claims=claims, acts=(act_row(op_id="b1"), act_row(op_id="b2")))
    outcome = releasing.unblocked(ctx(view), [])
    assert outcome.events[0].data["residual"] == ["earlier_version_kept"]
    assert outcome.work is not None
    assert outcome.work.due_at is None


def test_long_wait_is_told_and_paged() -> None:
    view = case_view(case=case_row(blocked_at=NOW), exposure=Exposure.PURGE)
    assert not course.waiting(ctx(view, NOW + 899 * SECOND), [], "away", 0).events
    outcome = course.waiting(ctx(view, NOW + 900 * SECOND), [], "away", 0)
    assert heard(outcome) == [("failed", "unconfirmed")]
    assert [p.kind for p in outcome.pages] == ["seen.unclear"]


# --- seen from outside


def test_gone_is_told_once() -> None:
    view = case_view(case=case_row(blocked_at=NOW), exposure=Exposure.PURGE)
    outcome = confirming.confirmed(ctx(view), [Done(act=act_row("purge"), receipt={})], GONE, True)
    assert heard(outcome) == [("disabled", None)]
    assert notes(outcome) == ["caches.purged", "seen.gone"]
    assert on_case(outcome) == {"effective_at": NOW, "was_public": True}
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.priority, outcome.work.due_at) == ("watch", 9, NOW + 30 * SECOND)
    assert outcome.wakes
    told = case_view(
        case=case_row(blocked_at=NOW, effective_at=NOW, was_public=False),
        claims=(claim_row(status=ItemStatus.DISABLED, status_at=NOW),),
    )
    again = confirming.confirmed(ctx(told, NOW + 301 * SECOND), [], GONE, True)
    assert (heard(again), notes(again), again.wakes) == ([], [], ())
    assert on_case(again) == {"effective_at": NOW, "was_public": False}


def test_removed_items_are_not_told_disabled() -> None:
    outcome = confirming.confirmed(ctx(case_view(claims=(claim_row(status=ItemStatus.REMOVED),))), [], GONE, None)
    assert not outcome.events


def test_reviewed_item_hears_nothing_of_its_deny() -> None:
    view = case_view(case=case_row(adapter="url"), claims=(claim_row(status=ItemStatus.REVIEW),))
    outcome = confirming.confirmed(ctx(view), [], GONE, None)
    assert not outcome.events
    assert state(outcome) == ("watch", False)


def test_watch_ends_without_a_due_time() -> None:
    view = case_view(claims=(claim_row(status=ItemStatus.DISABLED, status_at=NOW - 91 * DAY),))
    outcome = confirming.confirmed(ctx(view), [], GONE, None)
    assert outcome.work is not None
    assert outcome.work.due_at is None


def test_watch_without_listeners_runs_from_effect() -> None:
    view = case_view(case=case_row(effective_at=NOW - 2 * DAY), claims=(claim_row(withdrawn_at=NOW),))
    assert course.watch_started(view, NOW) == NOW - 2 * DAY
    assert course.watch_started(replace(view, case=case_row()), NOW) == NOW


def test_still_up_purges_again_later() -> None:
    view = case_view(exposure=Exposure.PURGE)
    outcome = confirming.confirmed(ctx(view), [], UP, None)
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.keep, outcome.work.attempts) == ("purge", False, 1)
    assert (kinds(outcome), notes(outcome)) == (["purge"], ["seen.up"])
    second = replace(view, exposure=work_row(state="purge", attempts=1))
    assert notes(confirming.confirmed(ctx(second), [], UP, None)) == []


@pytest.mark.parametrize(
    ("seconds", "status", "expected"),
    [
        (899, ItemStatus.RECEIVED, []),
        (900, ItemStatus.RECEIVED, [("failed", "unconfirmed")]),
        (900, ItemStatus.FAILED, []),
        (900, ItemStatus.DISABLED, []),
    ],
)
def test_unclear_looks_are_told_once(seconds: int, status: ItemStatus, expected: Any) -> None:
    view = case_view(case=case_row(blocked_at=NOW), claims=(claim_row(status=status),), exposure=Exposure.CONFIRM)
    outcome = confirming.confirmed(ctx(view, NOW + seconds * SECOND), [], UNCLEAR, None)
    assert heard(outcome) == expected
    assert [p.kind for p in outcome.pages] == (["seen.unclear"] if expected else [])
    assert state(outcome) == ("confirm", False)


def test_joining_url_is_denied_and_purged() -> None:
    joined = url_row(url="https://img.example.net/other.jpg", url_hmac="h2")
    view = case_view(urls=(url_row(), joined), acts=(act_row("deny"),))
    outcome = confirming.purge_again(ctx(view), [])
    assert (state(outcome), kinds(outcome), notes(outcome)) == (("purge", True), ["deny", "purge"], ["claim.joined"])
    told = case_view(claims=(claim_row(status=ItemStatus.DISABLED),), acts=(act_row("deny"),))
    assert notes(confirming.purge_again(ctx(told), [])) == []


# --- back up


def test_release_writes_the_way_back() -> None:
    view = case_view(acts=(act_row("deny"), act_row(op_id="b1"), act_row(op_id="b2")))
    outcome = releasing.release(ctx(view))
    assert (state(outcome), kinds(outcome)) == (("unblock", True), ["unblock", "allow", "purge"])
    assert outcome.guard is not None
    assert outcome.guard.revision == 3
    assert outcome.bumps == ("case-1",)
    unblock = next(c for c in outcome.changes if c.values.get("kind") == "unblock")
    assert unblock.values["intent"]["block"] == "b2"


def test_release_of_url_alone_only_allows() -> None:
    outcome = releasing.release(ctx(case_view(case=case_row(adapter="url"), acts=(act_row("deny"),))))
    assert kinds(outcome) == ["allow", "purge"]


def test_late_denies_are_allowed_too() -> None:
    first, late = act_row("deny", "d1"), act_row("deny", "d2")
    allow = act_row("allow", intent={"deny": "d1"})
    view = case_view(exposure=Exposure.UNBLOCK, acts=(first, late, allow))
    outcome = releasing.allow_the_rest(ctx(view), [])
    assert outcome is not None
    assert (state(outcome), kinds(outcome)) == (("unblock", True), ["allow"])
    assert releasing.allow_the_rest(ctx(replace(view, acts=(first, allow))), []) is None


@pytest.mark.parametrize("seals", [(), (seal_row(),)])
def test_unblocked_items_are_told_why(seals: Any) -> None:
    claims = (
        claim_row(id="i1", status=ItemStatus.REVIEW, withdrawn_at=NOW, reason="withdrawal"),
        claim_row(id="i2", status=ItemStatus.REVIEW, withdrawn_at=NOW, reason="refused_by_host"),
        claim_row(id="i3", status=ItemStatus.WITHDRAWN, withdrawn_at=NOW),
        claim_row(id="i4", status=ItemStatus.DISABLED),
    )
    view = case_view(exposure=Exposure.UNBLOCK, claims=claims, acts=(act_row(), act_row("deny")), seals=seals)
    done = [Done(act=act_row("unblock"), receipt={"losses": ["mtime"]}), Done(act=act_row("allow"), receipt={})]
    outcome = releasing.unblocked(ctx(view, mistake_retention_days=30), done)
    assert [(e.item, str(e.status)) for e in outcome.events] == [("i2", "refused"), ("i1", "restored")]
    assert all(e.data["residual"] == ["mtime"] for e in outcome.events)
    assert on_case(outcome) == {
        "want": "none",
        "closed_at": None if seals else NOW,
        "blocked_at": None,
        "effective_at": None,
    }
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.due_at) == ("open", NOW)  # i4 still asks for something
    undone = [c.where["op_id"] for c in outcome.changes if c.values == {"result": "undone"}]
    assert undone == ["op-block", "op-deny"]
    kept = [c.values for c in outcome.changes if c.table is Table.SEAL]
    assert kept == [{"retention_until_at": NOW + 30 * DAY}] * len(seals)


def test_up_again_unasked_is_only_watched() -> None:
    view = case_view(case=case_row(effective_at=NOW - DAY), claims=(claim_row(withdrawn_at=NOW),))
    outcome = confirming.watched(ctx(view), [], UP)
    assert state(outcome) == ("watch", False)
    assert not kinds(outcome)


# --- trouble


def test_broken_step_tells_and_pages() -> None:
    claims = (claim_row(), claim_row(id="i2", status=ItemStatus.DISABLED))
    outcome = course.broken(ctx(case_view(exposure=Exposure.BLOCK, claims=claims)), [], "a bug")
    assert heard(outcome) == [("failed", "stuck")]
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.stuck_from) == ("stuck", "block")
    assert ([p.kind for p in outcome.pages], notes(outcome)) == (["exposure.stuck"], ["track.stuck"])


def test_waiting_keeps_what_was_done() -> None:
    done = [Done(act=act_row("deny"), receipt={"op_id": "op-deny"})]
    outcome = course.waiting(ctx(case_view(exposure=Exposure.DENY)), done, "away", 30.0)
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.due_at) == ("deny", NOW + 30 * SECOND)
    assert outcome.changes == course.kept(ctx(), done)


def test_only_who_asks_hears() -> None:
    claims = (
        claim_row(id="i1"),
        claim_row(Act.PRESERVE_ONLY, id="i2"),
        claim_row(id="i3", status=ItemStatus.REVIEW, approved_by="ann"),
        claim_row(id="i4", status=ItemStatus.REVIEW),
        claim_row(id="i5", notice=notice_row(id="n2"), status=ItemStatus.REFUSED),
    )
    assert [i.id for i, _ in course.tellable(case_view(claims=claims))] == ["i1", "i2", "i3"]
    assert course.untold(case_view(claims=claims))
    assert not course.untold(case_view(claims=()))
    assert Want.DOWN == "down"
    assert to_json(PRESENT)["presence"] == "present"
