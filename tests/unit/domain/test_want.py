"""What a case wants: the table over all combinations, and an independent plain model over arbitrary ones."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.domain.rows import CaseView, ClaimRow
from receiver.domain.status import FINAL, Act, Exposure, ItemStatus, Want
from receiver.domain.want import (
    has_hold,
    held_blocks,
    held_seals,
    is_standing,
    leave_until,
    may_remove,
    standing,
    undecided_conflict,
    want,
)
from tests.doubles.case_rows import (
    DAY,
    NOW,
    SECOND,
    act_row,
    case_row,
    case_view,
    claim_row,
    decision_row,
    hold_row,
    notice_row,
    seal_row,
)

MINUTES = 30
CLAIMS: dict[str, tuple[ClaimRow, ...]] = {
    "none": (),
    "remove": (claim_row(),),
    "block_only": (claim_row(Act.BLOCK_ONLY),),
    "preserve": (claim_row(Act.PRESERVE_ONLY),),
    "both": (claim_row(), claim_row(Act.PRESERVE_ONLY, id="item-2")),
    "withdrawn": (claim_row(withdrawn_at=NOW),),
}
ACTS = {"no_act": (), "acted": (act_row("deny", receipt=None, ended_at=None, result=None),)}
HOLDS = {"no_hold": (), "hold": (hold_row(),)}
TABLE = {
    # claims: without an act, with one; a hold only matters where nobody asks any more
    "none": (Want.NONE, Want.UP),
    "remove": (Want.DOWN, Want.DOWN),
    "block_only": (Want.DOWN, Want.DOWN),
    "preserve": (Want.LEAVE, Want.LEAVE),
    "both": (Want.LEAVE, Want.DOWN),
    "withdrawn": (Want.NONE, Want.UP),
}


def wanted(view: CaseView, now: int = NOW) -> Want:
    return want(view, now=now, keep_up_decide_minutes=MINUTES)


@pytest.mark.parametrize(("claims", "acts", "holds"), list(itertools.product(CLAIMS, ACTS, HOLDS)))
def test_want_follows_its_table(claims: str, acts: str, holds: str) -> None:
    expected = TABLE[claims][acts == "acted"]
    if expected is Want.UP and holds == "hold":
        expected = Want.DOWN
    assert wanted(case_view(claims=CLAIMS[claims], acts=ACTS[acts], holds=HOLDS[holds])) is expected


@pytest.mark.parametrize("status", sorted(FINAL))
def test_ended_items_ask_for_nothing(status: ItemStatus) -> None:
    assert not is_standing(claim_row(status=status), url_alone=True)


@pytest.mark.parametrize(
    ("changes", "url_alone", "stands"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"reason": "shadow"}, True, False),
        ({"approved_by": "ann"}, False, True),
        ({"withdrawn_at": NOW}, True, False),
    ],
)
def test_reviewed_item_stands_when_denied(changes: dict[str, Any], url_alone: bool, stands: bool) -> None:
    assert is_standing(claim_row(status=ItemStatus.REVIEW, **changes), url_alone=url_alone) is stands


def test_url_case_counts_reviewed_items() -> None:
    claims = (claim_row(status=ItemStatus.REVIEW),)
    assert standing(case_view(claims=claims)) == ()
    assert standing(case_view(claims=claims, case=case_row(adapter="url"))) == claims


@pytest.mark.parametrize(
    ("decisions", "seconds", "expected"),
    [
        ([], MINUTES * 60 - 1, Want.LEAVE),
        ([], MINUTES * 60, Want.DOWN),
        ([("keep_up", "approved")], 1e6, Want.LEAVE),
        ([("keep_up", "done")], 1e6, Want.LEAVE),
        ([("keep_up", "asked")], 1e6, Want.DOWN),
        ([("take_down", "approved")], 0, Want.DOWN),
        ([("keep_up", "approved"), ("take_down", "done")], 0, Want.DOWN),
        ([("keep_up", "approved"), ("keep_up", "expired")], 1e6, Want.LEAVE),
    ],
)
def test_silence_about_conflict_means_down(decisions: list[tuple[str, str]], seconds: float, expected: Want) -> None:
    rows = tuple(decision_row(kind, state) for kind, state in decisions)
    view = case_view(claims=CLAIMS["both"], decisions=rows)
    assert wanted(view, NOW + int(seconds * SECOND)) is expected


def test_decision_time_runs_from_first_order() -> None:
    later = notice_row(created_at=NOW + 600 * SECOND)
    claims = (*CLAIMS["both"], claim_row(notice=later, id="item-3"))
    assert wanted(case_view(claims=claims), NOW + MINUTES * 60 * SECOND) is Want.DOWN


def test_leave_ends_by_deadline_or_silence() -> None:
    police = claim_row(Act.PRESERVE_ONLY, notice=notice_row(deadline_at=NOW + DAY))
    ends = leave_until(case_view(claims=(police,)), keep_up_decide_minutes=MINUTES)
    assert ends == NOW + DAY
    conflict = case_view(claims=(police, claim_row(id="item-2")))
    assert undecided_conflict(conflict)
    assert leave_until(conflict, keep_up_decide_minutes=MINUTES) == NOW + MINUTES * 60 * SECOND
    kept = replace(conflict, decisions=(decision_row("keep_up"),))
    assert leave_until(kept, keep_up_decide_minutes=MINUTES) == NOW + DAY
    assert leave_until(case_view(claims=CLAIMS["preserve"]), keep_up_decide_minutes=MINUTES) is None


@pytest.mark.parametrize(
    ("changes", "holds"),
    [({}, True), ({"released_at": NOW}, False), ({"until_at": NOW + 1}, True), ({"until_at": NOW}, False)],
)
def test_hold_ends_by_release_or_time(changes: dict[str, Any], holds: bool) -> None:
    assert has_hold(case_view(holds=(hold_row(**changes),)), NOW) is holds


# --- the same question, answered by a second, plainer program


_claims = st.builds(
    claim_row,
    st.sampled_from(Act),
    status=st.sampled_from(ItemStatus),
    reason=st.sampled_from([None, "shadow"]),
    approved_by=st.sampled_from([None, "ann"]),
    withdrawn_at=st.sampled_from([None, NOW]),
    notice=st.builds(notice_row, created_at=st.sampled_from([NOW - 3600 * SECOND, NOW])),
)
_acts = st.builds(act_row, st.sampled_from(["block", "deny", "purge", "allow"]), result=st.sampled_from(
    [None, "done", "undone", "failed"]
))  # fmt: skip
_holds = st.builds(hold_row, released_at=st.sampled_from([None, NOW]), until_at=st.sampled_from([None, NOW - 1]))
_said = st.builds(
    decision_row, st.sampled_from(["keep_up", "take_down"]), st.sampled_from(["asked", "approved", "refused"])
)
_views = st.builds(
    case_view,
    case=st.builds(case_row, adapter=st.sampled_from(["www", "url"])),
    claims=st.lists(_claims, max_size=3).map(tuple),
    acts=st.lists(_acts, max_size=2).map(tuple),
    holds=st.lists(_holds, max_size=2).map(tuple),
    decisions=st.lists(_said, max_size=2).map(tuple),
)


def plain_model(view: CaseView) -> str:
    """The sentences of the core model, one after the other."""
    asks = []
    for claim in view.claims:
        item = claim.item
        over = item.withdrawn_at or item.status in (
            "unavailable", "moved", "not_hosted", "refused", "restored", "withdrawn"
        )  # fmt: skip
        waits = item.status == "review" and not item.approved_by
        if not over and (not waits or (view.case.adapter == "url" and item.reason != "shadow")):
            asks.append(claim)
    down = [c for c in asks if c.act in ("remove", "block_only")]
    keep = [c for c in asks if c.act == "preserve_only"]
    did = any(a.kind in ("block", "deny") and a.result in (None, "done") for a in view.acts)
    said = {d.kind for d in view.decisions if d.state == "approved"}
    if keep and not did and not down:
        return "leave"
    if keep and not did and "take_down" not in said:
        young = all(c.notice.created_at + MINUTES * 60 * SECOND > NOW for c in down)
        if "keep_up" in said or young:
            return "leave"
    if down:
        return "down"
    if keep:
        return "leave"
    if did and any(h.released_at is None and h.until_at is None for h in view.holds):
        return "down"
    return "up" if did else "none"


@given(_views)
def test_want_agrees_with_plain_model(view: CaseView) -> None:
    assert wanted(view) == plain_model(view)


# --- the point of no return


def removable(**changes: Any) -> CaseView:
    values: dict[str, Any] = {
        "case": case_row(blocked_at=NOW),
        "acts": (act_row(),),
        "seals": (seal_row(),),
    }
    return case_view(**values | changes)


def may(view: CaseView, now: int = NOW + DAY, preserve: str = "sealed_copy") -> bool:
    return may_remove(view, now=now, wanted=wanted(view, now), preserve=preserve, remove_after_days=1)


def test_removal_waits_for_its_day() -> None:
    assert may(removable())
    assert not may(removable(), now=NOW + DAY - 1)
    assert not may(removable(), preserve="in_place")


@pytest.mark.parametrize(
    "changes",
    [
        {"claims": (claim_row(withdrawn_at=NOW),)},
        {"claims": (claim_row(), claim_row(Act.BLOCK_ONLY, id="item-2"))},
        {"exposure": Exposure.PURGE},
        {"case": case_row()},
        {"seals": ()},
        {"seals": (seal_row(hash_match=False),)},
        {"seals": (seal_row(destroyed_at=NOW),)},
        {"seals": (seal_row(pin="another"),)},
        {"holds": (hold_row(),)},
        {"acts": (act_row(begun_at=NOW + 1),)},
    ],
    ids=["withdrawn", "block_only", "not_watched", "not_blocked", "no_seal", "wrong_hash", "destroyed", "other_bytes",
         "hold", "newer_block"],
)  # fmt: skip
def test_any_doubt_bars_removal(changes: dict[str, Any]) -> None:
    assert not may(removable(**changes))


def test_seal_of_earlier_round_counts() -> None:
    assert may(removable(case=case_row(blocked_at=NOW, round=2)))


def test_removed_block_is_not_held() -> None:
    remove = act_row("remove", intent={"block": "op-block"})
    assert held_blocks(removable()) == (act_row(),)
    assert held_blocks(removable(acts=(act_row(), remove))) == ()
    assert held_seals(removable(acts=(act_row(), remove))) == ()
    assert held_blocks(removable(acts=(act_row(result="undone"), act_row(op_id="b2", receipt=None)))) == ()
