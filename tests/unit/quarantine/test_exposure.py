"""The exposure track's decisions at their edges, X1 to X18 of the core model."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.contract import BlockReceipt, NotFound, Observation, Origin, OriginState, Pin, Presence
from receiver.domain.outcome import Insert
from receiver.domain.status import Exposure, ItemStatus, Verdict
from receiver.quarantine import course, releasing
from receiver.quarantine import exposure as decide
from receiver.quarantine.course import Seen
from receiver.quarantine.journal import Done
from tests.doubles.case_rows import (
    DAY,
    NOW,
    SECOND,
    act_row,
    case_row,
    case_view,
    claim_row,
    seal_row,
    url_row,
)
from tests.unit.quarantine.exposure_views import GONE, REF, UNCLEAR, UP, ctx, heard, kinds, notes, on_case, seen, state

OURS = ("img.example.net",).__contains__
"""Whether a host is one of ours."""
BEGUN: dict[str, Any] = {"receipt": None, "ended_at": None, "result": None}
RECEIPT = BlockReceipt(op_id="op-block", ref=REF, pins=(Pin("pin-1"),), residual=("a copy stays",))
ABSENT = Observation(ref=REF, presence=Presence.ABSENT)


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
    assert [(p.kind, p.subject) for p in outcome.pages] == [("gate.failed", "[gate edge] cannot deny: no such rule")]
    assert outcome.changes[0].values["result"] == "failed"


def test_earlier_version_stays_in_quarantine() -> None:
    claims = (claim_row(status=ItemStatus.REVIEW, withdrawn_at=NOW),)
    view = case_view(exposure=Exposure.UNBLOCK, claims=claims, acts=(act_row(op_id="b1"), act_row(op_id="b2")))
    outcome = releasing.unblocked(ctx(view), [])
    assert outcome.events[0].data["residual"] == ["earlier_version_kept"]
    assert outcome.work is not None
    assert outcome.work.due_at is None


def test_long_wait_is_told() -> None:
    view = case_view(case=case_row(blocked_at=NOW), exposure=Exposure.PURGE)
    assert not course.waiting(ctx(view, NOW + 899 * SECOND), [], "away", 0).events
    outcome = course.waiting(ctx(view, NOW + 900 * SECOND), [], "away", 0)
    assert heard(outcome) == [("failed", "unconfirmed")]
    assert notes(outcome) == ["seen.unclear"]
