"""Directions and people's decisions change claims, holds and items; the tracks follow."""

from __future__ import annotations

from typing import Any

import pytest

from receiver.domain.outcome import Insert, Outcome, Table, Update
from receiver.domain.policy import Policy
from receiver.domain.rows import CaseView, DirectionRow, NoticeView
from receiver.domain.status import Act, Evidence, Exposure, ItemStatus
from receiver.quarantine.directions import (
    Affected,
    apply_direction,
    apply_item_decision,
    apply_release,
    ask_release,
    expire_release,
    is_current,
    nobody_asked,
    released,
)
from tests.doubles.case_rows import (
    NOW,
    SECOND,
    act_row,
    case_row,
    case_view,
    claim_row,
    decision_row,
    hold_row,
    item_row,
    notice_row,
    updates,
)

DOWN = (act_row("deny"), act_row())


def direction(kind: str, **changes: Any) -> DirectionRow:
    values: dict[str, Any] = {
        "id": "direction-1",
        "direction_id": "D-1",
        "notice": "notice-1",
        "message_id": "m",
        "kind": kind,
        "items": None,
        "reason": None,
        "until_at": None,
        "reference": "P-9",
        "issued_at": NOW,
        "applied_at": None,
    }
    return DirectionRow(**values | changes)


def affected(view: CaseView | None = None, **item: Any) -> Affected:
    return Affected(item=item_row(**item), notice=notice_row(), cases=(view,) if view else ())


def direct(kind: str, *those: Affected, on_withdrawal: str = "two_people", **changes: Any) -> Outcome:
    view = NoticeView(notice=notice_row(), items=tuple(a.item for a in those), directions=(), decisions=())
    policy = Policy(on_withdrawal=on_withdrawal)
    return apply_direction(direction(kind, **changes), view, those, now=NOW + SECOND, policy=policy)


def heard(outcome: Outcome) -> list[tuple[str, str | None]]:
    return [(str(event.status), event.data["reason"]) for event in outcome.events]


def rows(outcome: Outcome, table: Table) -> list[dict[str, Any]]:
    return [dict(c.values) for c in outcome.changes if c.table is table]


def blocked(*items: str, **changes: Any) -> CaseView:
    claims = tuple(claim_row(id=i, status=ItemStatus.DISABLED) for i in items or ("item-1",))
    return case_view(**{"claims": claims, "acts": DOWN, **changes})


# --- withdraw


def test_withdrawal_before_any_act_ends_it() -> None:
    outcome = direct("withdraw", affected())
    assert heard(outcome) == [("withdrawn", None)]
    assert {"withdrawn_at": NOW + SECOND} in rows(outcome, Table.ITEM)
    assert rows(outcome, Table.DIRECTION) == [{"applied_at": NOW + SECOND}]
    assert [n.kind for n in outcome.notes] == ["direction.withdraw"]


@pytest.mark.parametrize(
    ("setting", "state", "needs"), [("two_people", "asked", 2), ("one_person", "asked", 1), ("auto", "approved", 0)]
)
def test_withdrawal_asks_whom_it_must(setting: str, state: str, needs: int) -> None:
    outcome = direct("withdraw", affected(blocked(), status=ItemStatus.DISABLED), on_withdrawal=setting)
    assert heard(outcome) == [("review", "withdrawal")]
    (asked,) = rows(outcome, Table.DECISION)
    assert (asked["kind"], asked["state"], asked["needs"], asked["actor"]) == ("release", state, needs, "issuer:iwf")
    assert asked["created_at"] == NOW + SECOND
    assert outcome.bumps == ("case-1",)


def test_all_items_of_one_resource_leave_together() -> None:
    """Were each weighed while the other still stands, nobody would be asked and nothing would ever come up."""
    view = blocked("i1", "i2")
    both = [affected(view, id=i, status=ItemStatus.DISABLED) for i in ("i1", "i2")]
    outcome = direct("withdraw", *both)
    assert heard(outcome) == [("review", "withdrawal")] * 2
    assert len(rows(outcome, Table.DECISION)) == 1


def test_others_keep_it_down_in_silence() -> None:
    outcome = direct("withdraw", affected(blocked("item-1", "other"), status=ItemStatus.DISABLED))
    assert heard(outcome) == [("withdrawn", None)]
    assert rows(outcome, Table.DECISION) == []


def test_hold_only_delays_the_way_up() -> None:
    outcome = direct("withdraw", affected(blocked(holds=(hold_row(),)), status=ItemStatus.DISABLED))
    assert heard(outcome) == [("review", "withdrawal")]
    assert len(rows(outcome, Table.DECISION)) == 1


@pytest.mark.parametrize("item", [{"status": ItemStatus.RESTORED}, {"withdrawn_at": NOW}])
def test_withdrawal_of_ended_item_does_nothing(item: dict[str, Any]) -> None:
    outcome = direct("withdraw", affected(blocked(), **item))
    assert rows(outcome, Table.ITEM) == rows(outcome, Table.DECISION) == []
    assert not outcome.wakes


# --- the others


def test_proceed_turns_claims_into_removals() -> None:
    view = case_view(claims=(claim_row(Act.PRESERVE_ONLY), claim_row(Act.PRESERVE_ONLY, id="other")))
    outcome = direct("proceed", affected(view, status=ItemStatus.PRESERVED_LIVE))
    (change,) = [c for c in outcome.changes if c.table is Table.CLAIM]
    assert isinstance(change, Update)
    assert (change.where, change.values) == ({"item": "item-1", "case": "case-1"}, {"act": "remove"})
    assert [w.track for w in outcome.wakes] == ["exposure", "evidence"]
    assert not direct("proceed", affected(case_view())).wakes


def test_hold_is_told_on_what_is_down() -> None:
    outcome = direct("hold", affected(blocked(), status=ItemStatus.DISABLED), until_at=NOW + 9)
    (hold,) = rows(outcome, Table.HOLD)
    assert (hold["origin"], hold["reference"], hold["until_at"]) == ("issuer:iwf", "P-9", NOW + 9)
    assert heard(outcome) == [("disabled", None)]
    assert outcome.events[0].data["hold"] is True


@pytest.mark.parametrize("status", [ItemStatus.RECEIVED, ItemStatus.PRESERVED_LIVE, ItemStatus.RESTORED])
def test_hold_elsewhere_changes_no_status(status: ItemStatus) -> None:
    assert not direct("hold", affected(blocked(), status=status)).events
    assert not direct("hold", affected(status=ItemStatus.DISABLED)).events


def test_issuer_releases_only_its_own_hold() -> None:
    view = blocked(holds=(hold_row(), hold_row(id="h2", origin="user:ann"), hold_row(id="h3", released_at=NOW)))
    outcome = direct("release_hold", affected(view, status=ItemStatus.DISABLED))
    assert [c.where for c in updates(outcome) if c.table is Table.HOLD] == [{"id": "hold-1"}]
    assert outcome.events[0].data["hold"] is True
    alone = direct("release_hold", affected(blocked(holds=(hold_row(),)), status=ItemStatus.DISABLED))
    assert alone.events[0].data["hold"] is False
    none = direct("release_hold", affected(blocked(), status=ItemStatus.DISABLED))
    assert not none.events


def test_customer_may_be_told_from_now_on() -> None:
    outcome = direct("allow_customer_notice", affected(blocked()))
    assert rows(outcome, Table.NOTICE) == [{"handling": {"act": "remove", "customer_notice": "allow"}}]
    assert not outcome.events


# --- people about an item


def decide(kind: str, one: Affected, **changes: Any) -> Outcome:
    row = decision_row(kind, item=one.item.id, case=None, **changes)
    return apply_item_decision(row, one, now=NOW + SECOND, policy=Policy())


@pytest.mark.parametrize(("approvals", "who"), [(("bob",), "bob"), ((), "ann")])
def test_approved_item_is_resolved_again(approvals: tuple[str, ...], who: str) -> None:
    outcome = decide("approve", affected(status=ItemStatus.REVIEW), approvals=approvals)
    assert rows(outcome, Table.ITEM) == [{"approved_by": who, "canonical": None}]
    assert rows(outcome, Table.DECISION) == [{"state": "done"}]
    assert [n.kind for n in outcome.notes] == ["item.approved"]


def test_refused_item_ends() -> None:
    outcome = decide("refuse", affected(status=ItemStatus.REVIEW))
    assert heard(outcome) == [("refused", "refused_by_host")]


def test_refused_deny_comes_up_first() -> None:
    claims = (claim_row(status=ItemStatus.REVIEW),)
    view = case_view(case=case_row(adapter="url"), claims=claims, acts=(act_row("deny"),))
    outcome = decide("refuse", affected(view, status=ItemStatus.REVIEW))
    assert not outcome.events
    assert rows(outcome, Table.ITEM) == [{"withdrawn_at": NOW + SECOND, "reason": "refused_by_host"}]
    (asked,) = [c.values for c in outcome.changes if isinstance(c, Insert)]
    assert (asked["kind"], asked["state"]) == ("release", "approved")


@pytest.mark.parametrize(
    "item",
    [{"status": ItemStatus.DISABLED}, {"status": ItemStatus.REVIEW, "withdrawn_at": NOW, "reason": "withdrawal"}],
)
def test_refusal_never_stands_in_for_a_release(item: dict[str, Any]) -> None:
    outcome = decide("refuse", affected(blocked(), **item))
    assert rows(outcome, Table.DECISION) == [{"state": "done"}]
    assert rows(outcome, Table.ITEM) == []


# --- people about a case


def test_release_ends_every_standing_claim() -> None:
    claims = (
        claim_row(id="i1", status=ItemStatus.DISABLED),
        claim_row(id="i2", status=ItemStatus.REVIEW, withdrawn_at=NOW),
        claim_row(id="i3", status=ItemStatus.REFUSED),
    )
    outcome = apply_release(case_view(claims=claims, acts=DOWN), decision_row(), now=NOW)
    assert [c.where for c in updates(outcome) if c.table is Table.ITEM] == [{"id": "i1"}]
    assert not outcome.pages
    assert outcome.notes[0].detail["approvals"] == ["ann", "bob"]


def test_removed_copy_needs_a_restore() -> None:
    view = blocked(evidence=Evidence.VAULTED)
    assert [p.kind for p in apply_release(view, decision_row(), now=NOW).pages] == ["restore.needed"]


@pytest.mark.parametrize(
    ("changes", "is_released", "is_unasked"),
    [
        ({}, False, True),
        ({"decisions": (decision_row(state="asked"),)}, False, False),
        ({"decisions": (decision_row(state="approved"),)}, True, False),
        ({"decisions": (decision_row(state="done"),)}, True, False),
        ({"decisions": (decision_row(state="refused"),)}, False, False),
        ({"decisions": (decision_row(state="expired"),)}, False, True),
        ({"decisions": (decision_row(state="asked", expires_at=NOW),)}, False, True),
        ({"decisions": (decision_row(state="asked", expires_at=NOW + 1),)}, False, False),
        ({"decisions": (decision_row("retry", "done"),)}, False, True),
        ({"decisions": (decision_row(created_at=NOW - 1),)}, False, True),
        ({"decisions": (decision_row(created_at=NOW),)}, True, False),
        ({"decisions": (decision_row(),), "evidence": Evidence.REMOVE}, False, False),
        ({"decisions": (), "evidence": Evidence.VAULTED}, False, False),
        ({"decisions": (decision_row(),), "acts": ()}, True, False),
    ],
)
def test_agreement_speaks_of_the_case_as_it_is(changes: dict[str, Any], is_released: bool, is_unasked: bool) -> None:
    view = blocked(**changes)
    assert (released(view), nobody_asked(view, NOW)) == (is_released, is_unasked)


def test_newer_notice_needs_a_new_agreement() -> None:
    newer = claim_row(id="i2", notice=notice_row(id="n2", created_at=NOW + 5 * SECOND), withdrawn_at=NOW + 6 * SECOND)
    view = blocked(claims=(claim_row(withdrawn_at=NOW), newer), decisions=(decision_row(state="done"),))
    assert not released(view)
    assert nobody_asked(view, NOW)


def test_stale_agreement_expires_with_a_page() -> None:
    stale = decision_row(created_at=NOW - 1)
    assert not is_current(blocked(decisions=(stale,)), stale)
    current = decision_row()
    assert is_current(blocked(decisions=(current,)), current)
    outcome = expire_release(blocked(), stale)
    assert rows(outcome, Table.DECISION) == [{"state": "expired"}]
    assert [p.kind for p in outcome.pages] == ["release.stale"]


def test_acts_taken_back_do_not_count() -> None:
    view = blocked(acts=(act_row(result="undone", begun_at=NOW + 99 * SECOND),), decisions=(decision_row(),))
    assert released(view)


def test_worker_asks_when_nobody_did() -> None:
    outcome = ask_release(blocked(exposure=Exposure.WATCH), now=NOW, policy=Policy(on_withdrawal="one_person"))
    (asked,) = rows(outcome, Table.DECISION)
    assert (asked["actor"], asked["needs"], outcome.bumps) == ("worker", 1, ("case-1",))
