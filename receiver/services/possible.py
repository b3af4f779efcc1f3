"""What a person may decide about a case or an item as it stands. Pure; each hindrance says what to do instead."""

from __future__ import annotations

from collections.abc import Sequence

from receiver.domain.policy import Policy
from receiver.domain.rows import CaseView, DecisionRow, ItemRow
from receiver.domain.status import Evidence, Exposure, ItemStatus
from receiver.domain.want import has_hold, live_acts

LEAVING = frozenset({Evidence.REMOVE, Evidence.VAULTED})
"""The customer's copy is gone or going: what comes back then is a restore, not a release."""


def is_open(decision: DecisionRow, now: int) -> bool:
    """Still to be agreed to, or agreed to and not yet done."""
    return decision.state == "approved" or (decision.state == "asked" and not is_over(decision, now))


def is_over(decision: DecisionRow, now: int) -> bool:
    return decision.state == "asked" and decision.expires_at is not None and decision.expires_at <= now


def release_hindrance(view: CaseView, now: int) -> str | None:
    """Why this case cannot be released, or None."""
    if any(d.kind == "release" and is_open(d, now) for d in view.decisions):
        return "a release is asked for already; agree to it or decline it"
    if view.exposure.state == Exposure.OPEN or not live_acts(view, "block", "deny"):
        return "nothing is blocked or denied here, so there is nothing to release"
    if _is_leaving(view):
        return "the customer's copy is removed; this needs a restore, not a release"
    if has_hold(view, now):
        return "a legal hold stands; it must be lifted first"
    return None


def agreement_hindrance(decision: DecisionRow, view: CaseView, item: ItemRow | None) -> str | None:
    """Whether what was asked for became something else meanwhile: a removal, or an item that is decided."""
    if decision.kind == "release" and _is_leaving(view):
        return "the customer's copy is removed by now; this needs a restore, not a release"
    if item is not None and (item.status is not ItemStatus.REVIEW or item.withdrawn_at is not None):
        return "the item is not in review any more; decline this"
    return None


def _is_leaving(view: CaseView) -> bool:
    return view.evidence.state in LEAVING or view.evidence.stuck_from in LEAVING


def retry_hindrance(view: CaseView) -> str | None:
    if Exposure.STUCK not in (view.exposure.state, view.evidence.state):
        return "nothing is stuck here; what is waiting goes on by itself"
    return None


def item_hindrance(item: ItemRow, decisions: Sequence[DecisionRow], now: int) -> str | None:
    """Why nobody can decide on this item, or None. `decisions` are those about it."""
    if any(is_open(d, now) for d in decisions):
        return "a decision on this item is waiting already; agree to it or decline it"
    if item.withdrawn_at is not None:
        return "its issuer took it back; what is left to decide is the release of its case"
    if item.status is not ItemStatus.REVIEW or item.approved_by is not None:
        return f"this item is not in review any more; it is {item.status.value}"
    return None


def needs_to_refuse(cases: Sequence[CaseView], policy: Policy) -> int:
    """Refusing what is denied meanwhile makes it reachable again, so that takes as many as a release."""
    return policy.agreement_needed() if any(live_acts(case, "block", "deny") for case in cases) else 1
