"""The exposure track once it was looked at from outside: told, purged again, released, in trouble."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.contract import Observation, Presence, to_json
from receiver.domain.outcome import Table
from receiver.domain.status import Act, Exposure, ItemStatus, Want
from receiver.quarantine import confirming, course, releasing
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
    updates,
    url_row,
    work_row,
)
from tests.unit.quarantine.exposure_views import GONE, REF, UNCLEAR, UP, ctx, heard, kinds, notes, on_case, state

PRESENT = Observation(ref=REF, presence=Presence.PRESENT)


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
    assert ("seen.unclear" in notes(outcome)) is bool(expected)
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
    undone = [c.where["op_id"] for c in updates(outcome) if c.values == {"result": "undone"}]
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
    assert str(Want.DOWN) == "down"
    assert to_json(PRESENT)["presence"] == "present"
