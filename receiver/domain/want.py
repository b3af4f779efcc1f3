"""What a case wants: a pure function of its standing claims, holds and people's decisions (core-model §6).

Every direction or decision only changes those rows and computes `want` again; the tracks then move towards it.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    if _agreed(view, "take_down"):
        return False
    return _agreed(view, "keep_up") or now < _silence_ends(removing, minutes)


def _agreed(view: CaseView, kind: str) -> bool:
    return any(d.kind == kind and d.state in ("approved", "done") for d in view.decisions)


def _silence_ends(removing: Sequence[ClaimRow], minutes: int) -> int:
    return min(claim.notice.created_at for claim in removing) + minutes * MICROS_PER_MINUTE


def undecided_conflict(view: CaseView) -> bool:
    """Whether somebody asks to leave it up and somebody to take it down, and no person has said which."""
    sides = {claim.act is Act.PRESERVE_ONLY for claim in standing(view)}
    return len(sides) == 2 and not _agreed(view, "keep_up") and not _agreed(view, "take_down")


def leave_until(view: CaseView, *, keep_up_decide_minutes: int) -> int | None:
    """When `leave` may turn into something else by the clock alone; None where only people can change it."""
    claims = standing(view)
    moments = [c.notice.deadline_at for c in claims if c.act is Act.PRESERVE_ONLY and c.notice.deadline_at is not None]
    if undecided_conflict(view):
        moments.append(_silence_ends([c for c in claims if c.act is not Act.PRESERVE_ONLY], keep_up_decide_minutes))
    return min(moments, default=None)


def held_blocks(view: CaseView) -> tuple[ActRow, ...]:
    """Blocks whose bytes we keep from everybody at the store: done, not taken back, and not removed since."""
    removes = [act for act in view.acts if act.kind == "remove" and act.result != "failed"]
    gone = {act.intent["block"] for act in removes if act.ended_at is not None}
    blocks = live_acts(view, "block")
    return tuple(act for act in blocks if act.receipt is not None and act.op_id not in gone)


def held_seals(view: CaseView) -> tuple[SealRow, ...]:
    """The checked seals of the bytes we hold, of whichever round: the same bytes are sealed once."""
    pins = {pin["value"] for act in held_blocks(view) for pin in (act.receipt or {})["pins"]}
    return tuple(s for s in view.seals if s.pin in pins and s.destroyed_at is None)


def held_since(view: CaseView) -> int | None:
    """Since when we have held the newest of the bytes: until the time set is over an undo is exact."""
    if view.case.blocked_at is None:
        return None
    return max([view.case.blocked_at, *(act.begun_at for act in held_blocks(view))])


def _release_is_asked(view: CaseView, now: int) -> bool:
    """While people decide whether it comes back, it must stay where it can come back from."""
    asked = [d for d in view.decisions if d.kind == "release" and d.state in ("asked", "approved")]
    return any(d.expires_at is None or d.expires_at > now for d in asked)


def may_remove(view: CaseView, *, now: int, wanted: Want, preserve: str, remove_after_days: int) -> bool:
    """Whether the customer's copy may be deleted: the point of no return, asked in the intent's transaction."""
    since, seals = held_since(view), held_seals(view)
    return (
        wanted is Want.DOWN
        and view.exposure.state == Exposure.WATCH
        and since is not None
        and bool(seals)
        and all(seal.hash_match is not False for seal in seals)
        and not has_hold(view, now)
        and not _release_is_asked(view, now)
        and not any(claim.act is Act.BLOCK_ONLY for claim in standing(view))
        and preserve == "sealed_copy"
        and now >= since + remove_after_days * MICROS_PER_DAY
    )
