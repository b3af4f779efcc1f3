"""What a case wants: a pure function of its standing claims, holds and people's decisions (core-model §6).

Every direction or decision only changes those rows and computes `want` again; the tracks then move towards it.
"""

from __future__ import annotations

from receiver.domain.rows import ActRow, CaseView, ClaimRow, SealRow
from receiver.domain.status import FINAL, URL_ADAPTER, Act, Exposure, ItemStatus, Want

MICROS_PER_MINUTE = 60_000_000
MICROS_PER_DAY = 86_400_000_000


def is_standing(claim: ClaimRow, *, url_alone: bool) -> bool:
    """Whether the claim still asks for something.

    An item in review stands only once a person approved it, or where the case is the URL alone, which is denied
    meanwhile. A shadow item never stands.
    """
    item = claim.item
    if item.withdrawn_at is not None or item.status in FINAL:
        return False
    if item.status is ItemStatus.REVIEW and item.approved_by is None:
        return url_alone and item.reason != "shadow"
    return True


def standing(view: CaseView) -> tuple[ClaimRow, ...]:
    url_alone = view.case.adapter == URL_ADAPTER
    return tuple(claim for claim in view.claims if is_standing(claim, url_alone=url_alone))


def live_acts(view: CaseView, *kinds: str) -> tuple[ActRow, ...]:
    """Acts of these kinds that were begun and not taken back or failed for good, finished or not."""
    return tuple(act for act in view.acts if act.kind in kinds and act.result not in ("undone", "failed"))


def has_hold(view: CaseView, now: int) -> bool:
    return any(h.released_at is None and (h.until_at is None or h.until_at > now) for h in view.holds)


def want(view: CaseView, *, now: int, keep_up_decide_minutes: int) -> Want:
    """`none`, `down`, `leave` or `up`; `now` in microseconds."""
    claims = standing(view)
    acted = bool(live_acts(view, "block", "deny"))
    preserving = any(claim.act is Act.PRESERVE_ONLY for claim in claims)
    removing = [claim for claim in claims if claim.act is not Act.PRESERVE_ONLY]
    if preserving and not acted and (not removing or _may_stay_up(view, removing, now, keep_up_decide_minutes)):
        return Want.LEAVE
    if removing:
        return Want.DOWN
    if preserving:
        return Want.LEAVE
    if acted and has_hold(view, now):
        return Want.DOWN
    return Want.UP if acted else Want.NONE


def _may_stay_up(view: CaseView, removing: list[ClaimRow], now: int, minutes: int) -> bool:
    """Police ask to leave it up and somebody else orders it down: two people may keep it up; silence means down."""
    decided = {d.kind: d.state for d in view.decisions if d.kind in ("keep_up", "take_down")}
    if decided.get("take_down") in ("approved", "done"):
        return False
    if decided.get("keep_up") in ("approved", "done"):
        return True
    first_order = min(claim.notice.created_at for claim in removing)
    return now < first_order + minutes * MICROS_PER_MINUTE


def round_seals(view: CaseView) -> tuple[SealRow, ...]:
    """The checked seals of the present round."""
    return tuple(s for s in view.seals if s.round == view.case.round and s.destroyed_at is None)


def may_remove(view: CaseView, *, now: int, wanted: Want, preserve: str, remove_after_days: int) -> bool:
    """Whether the customer's copy may be deleted: the point of no return, asked in the intent's transaction."""
    case, seals = view.case, round_seals(view)
    return (
        wanted is Want.DOWN
        and view.exposure.state == Exposure.WATCH
        and case.blocked_at is not None
        and bool(seals)
        and all(seal.hash_match is not False for seal in seals)
        and not has_hold(view, now)
        and not any(claim.act is Act.BLOCK_ONLY for claim in standing(view))
        and preserve == "sealed_copy"
        and now >= case.blocked_at + remove_after_days * MICROS_PER_DAY
    )
