"""What an issuer is told: one item update and one event, and only what was seen."""

from __future__ import annotations

from typing import Any

import pytest

from receiver.domain.outcome import Update
from receiver.domain.policy import Policy
from receiver.domain.status import FINAL, ICCAM_ACTION, PUBLIC, ItemStatus
from receiver.domain.telling import Facts, event_data, facts_of, tell
from tests.doubles.case_rows import NOW, SECOND, case_row, case_view, hold_row, item_row, notice_row, seal_row, url_row

POLICY = Policy(served_from="GB")


def told(item: dict[str, Any], status: ItemStatus, **more: Any) -> dict[str, Any]:
    notice = notice_row(kind=more.pop("kind", "takedown"))
    outcome = tell([(item_row(**item), notice)], status, now=NOW + SECOND, policy=POLICY, **more)
    return dict(outcome.events[0].data)


def test_event_and_item_change_together() -> None:
    outcome = tell([(item_row(), notice_row())], ItemStatus.DISABLED, now=NOW, policy=POLICY, reason="r")
    (change,), (event,) = outcome.changes, outcome.events
    assert isinstance(change, Update)
    assert change.where == {"id": "item-1"}
    assert change.values == {"status": "disabled", "reason": "r", "status_at": NOW, "iccam_at": NOW}
    assert (event.notice, event.item, event.item_id, event.status) == ("notice-1", "item-1", "1", "disabled")


def test_same_news_is_told_once() -> None:
    pair = [(item_row(status=ItemStatus.FAILED, reason="stuck"), notice_row())]
    assert not tell(pair, ItemStatus.FAILED, now=NOW, policy=POLICY, reason="stuck").events
    assert tell(pair, ItemStatus.FAILED, now=NOW, policy=POLICY, reason="unconfirmed").events
    assert tell(pair, ItemStatus.FAILED, now=NOW, policy=POLICY, reason="stuck", again=True).events


def test_iccam_action_is_given_once() -> None:
    assert told({}, ItemStatus.DISABLED)["iccam"] == {"action_type": 3, "reason_id": None}
    assert told({"iccam_at": NOW}, ItemStatus.REMOVED)["iccam"] is None
    assert told({}, ItemStatus.RESTORED)["iccam"] is None
    assert told({}, ItemStatus.DISABLED, kind="test")["iccam"] is None


def test_test_notices_are_marked() -> None:
    assert told({}, ItemStatus.DISABLED, kind="test")["test"] is True
    assert "test" not in told({}, ItemStatus.DISABLED)


@pytest.mark.parametrize("status", ItemStatus)
def test_effect_is_named_only_when_down(status: ItemStatus) -> None:
    data = told({}, status, again=True, facts=Facts(blocked_at=NOW, effective_at=NOW + 398_400, was_public=True))
    down = status in (ItemStatus.DISABLED, ItemStatus.REMOVED)
    assert data["seconds_from_receipt"] == (0.398 if down else None)
    assert data["seconds_from_issue"] == (2.398 if down else None)
    assert (data["effective_at"] is not None) is down
    assert data["public"] == PUBLIC.get(status, "unknown")
    assert data["served_from"] == "GB"


def test_clock_that_jumped_gives_no_negative_time() -> None:
    data = told({}, ItemStatus.DISABLED, facts=Facts(effective_at=NOW - 10 * SECOND))
    assert (data["seconds_from_receipt"], data["seconds_from_issue"]) == (0, 0)


def test_times_are_rfc3339_in_utc() -> None:
    data = event_data(item_row(), notice_row(), ItemStatus.REVIEW, now=NOW, policy=POLICY, reason=None, facts=Facts())
    assert data["received_at"] == data["status_at"] == "2026-09-21T14:13:20.000Z"
    assert data["blocked_at"] is None


def test_facts_are_those_of_this_round() -> None:
    view = case_view(
        case=case_row(round=2, blocked_at=NOW, residual=("copy at the edge",)),
        seals=(seal_row(hash_match=False), seal_row(id="s2", round=2, hash_match=True)),
        urls=(url_row(looks=({"status": 404},)),),
        holds=(hold_row(),),
    )
    facts = facts_of(view, NOW)
    assert (facts.hash_match, facts.hold, facts.residual) == (True, True, ("copy at the edge",))
    assert list(facts.observations) == [{"status": 404}]
    assert facts_of(case_view(), NOW).hash_match is None


def test_gone_by_itself_is_never_ours() -> None:
    """Hotlines' statistics rest on that difference."""
    ours = {ICCAM_ACTION[status] for status in (ItemStatus.DISABLED, ItemStatus.REMOVED)}
    assert ICCAM_ACTION[ItemStatus.UNAVAILABLE] not in ours
    assert ItemStatus.DISABLED not in FINAL
