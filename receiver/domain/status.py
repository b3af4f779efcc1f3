"""What an item can come to: the issuer's words, and who moves next after each."""

from __future__ import annotations

from enum import StrEnum


class ItemStatus(StrEnum):
    RECEIVED = "received"  # worker: signature good, recorded durably
    REVIEW = "review"  # person: a person must decide first; the reason is given
    PRESERVED_LIVE = "preserved_live"  # issuer or deadline: police asked to leave it up; evidence is sealed
    DISABLED = "disabled"  # clock: unreachable, and every look from outside agrees
    REMOVED = "removed"  # clock: the customer's copies are deleted too
    REAPPEARED = "reappeared"  # worker: the same URL or bytes came back; acted on again
    FAILED = "failed"  # person: we could not, or not yet everywhere; work may go on
    NEEDS_INFORMATION = "needs_information"  # issuer: nothing exact enough to act on
    UNAVAILABLE = "unavailable"  # nobody: nothing was there and no cache serves it; we did nothing
    MOVED = "moved"  # nobody: the URL now leads elsewhere
    NOT_HOSTED = "not_hosted"  # nobody: not ours
    REFUSED = "refused"  # nobody: a person at the host decided against
    RESTORED = "restored"  # nobody: content is back exactly as it was
    WITHDRAWN = "withdrawn"  # nobody: taken back before anything was done, or others keep the resource down


FINAL = frozenset(
    {
        ItemStatus.UNAVAILABLE,
        ItemStatus.MOVED,
        ItemStatus.NOT_HOSTED,
        ItemStatus.REFUSED,
        ItemStatus.RESTORED,
        ItemStatus.WITHDRAWN,
    }
)

DOWN = frozenset({ItemStatus.DISABLED, ItemStatus.REMOVED})

ICCAM_ACTION: dict[ItemStatus, int] = {
    ItemStatus.MOVED: 0,
    ItemStatus.DISABLED: 3,
    ItemStatus.REMOVED: 3,
    ItemStatus.UNAVAILABLE: 4,
}
"""ICCAM action types; given once per item. `restored` stays without: NotIllegal is the issuer's to give."""


class Public(StrEnum):
    REACHABLE = "reachable"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


PUBLIC: dict[ItemStatus, Public] = {
    ItemStatus.DISABLED: Public.UNREACHABLE,
    ItemStatus.REMOVED: Public.UNREACHABLE,
    ItemStatus.UNAVAILABLE: Public.UNREACHABLE,
    ItemStatus.PRESERVED_LIVE: Public.REACHABLE,
    ItemStatus.REAPPEARED: Public.REACHABLE,
    ItemStatus.RESTORED: Public.REACHABLE,
}
"""What each status says of reachability; `unknown` where it is not listed."""


class Act(StrEnum):
    """What a claim asks for."""

    REMOVE = "remove"
    BLOCK_ONLY = "block_only"
    PRESERVE_ONLY = "preserve_only"


class Want(StrEnum):
    """What the standing claims, holds and decisions of a case add up to."""

    NONE = "none"
    DOWN = "down"
    LEAVE = "leave"
    UP = "up"


class Track(StrEnum):
    """Subject: a notice for `resolve` and `deliver`, a case for the others."""

    RESOLVE = "resolve"
    EXPOSURE = "exposure"
    EVIDENCE = "evidence"
    DELIVER = "deliver"


class Exposure(StrEnum):
    IDLE = "idle"  # nobody
    DENY = "deny"  # worker
    BLOCK = "block"  # worker
    PURGE = "purge"  # worker
    CONFIRM = "confirm"  # worker
    WATCH = "watch"  # clock
    UNBLOCK = "unblock"  # worker
    OPEN = "open"  # nobody: closed
    STUCK = "stuck"  # person


class Evidence(StrEnum):
    WAIT = "wait"  # worker
    SEAL = "seal"  # worker
    SEALED = "sealed"  # clock
    REMOVE = "remove"  # worker
    VAULTED = "vaulted"  # clock
    STUCK = "stuck"  # person


class Verdict(StrEnum):
    """Of a case's URL, from outside."""

    UNSEEN = "unseen"
    UP = "up"
    GONE = "gone"
    INCONCLUSIVE = "inconclusive"


PRIORITY: dict[Track, int] = {Track.RESOLVE: 0, Track.EXPOSURE: 1, Track.DELIVER: 2, Track.EVIDENCE: 3}
"""Claimed class by class: a live URL before its evidence, both before re-checks."""
SLOW_LANE = 8
"""Letters to peers that failed wait here, so that one dead endpoint never delays the others."""
RECHECK_PRIORITY = 9
"""Looks at what is already down; they never stand before live work."""

UNCONFIRMED = "unconfirmed"
"""The reason of `failed` while no look from outside could say that it is gone."""

URL_ADAPTER = "url"
"""The adapter name of a case that is a URL alone, where nothing behind it can be told apart."""
