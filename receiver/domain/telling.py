"""What an issuer is told when an item's status changes: one item update and one event, never anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from receiver.domain.clock import rfc3339
from receiver.domain.outcome import Insert, NewEvent, Outcome, Table, Update
from receiver.domain.policy import Policy
from receiver.domain.rows import CaseView, ItemRow, NoticeRow
from receiver.domain.status import ICCAM_ACTION, PUBLIC, ItemStatus, Public
from receiver.domain.want import has_hold

MICROS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known when an item is told; all optional, since we say only what we saw."""

    blocked_at: int | None = None
    effective_at: int | None = None
    was_public: bool | None = None
    hash_match: bool | None = None
    observations: Sequence[Mapping[str, Any]] = ()
    residual: tuple[str, ...] = ()
    hold: bool = False


def facts_of(view: CaseView, now: int) -> Facts:
    """The facts of a case as it stands."""
    matches = [seal.hash_match for seal in view.seals if seal.round == view.case.round and seal.hash_match is not None]
    return Facts(
        blocked_at=view.case.blocked_at,
        effective_at=view.case.effective_at,
        was_public=view.case.was_public,
        hash_match=all(matches) if matches else None,
        observations=[look for url in view.urls for look in url.looks],
        residual=view.case.residual,
        hold=has_hold(view, now),
    )


def tell(
    pairs: Iterable[tuple[ItemRow, NoticeRow]],
    status: ItemStatus,
    *,
    now: int,
    policy: Policy,
    reason: str | None = None,
    facts: Facts | None = None,
    again: bool = False,
) -> Outcome:
    """Set the status of these items and tell their issuers. An item already told the same is left, unless `again`."""
    changes: list[Insert | Update] = []
    events: list[NewEvent] = []
    for item, notice in pairs:
        if item.status is status and item.reason == reason and not again:
            continue
        gives_iccam = item.iccam_at is None and status in ICCAM_ACTION and notice.kind != "test"
        values: dict[str, Any] = {"status": status.value, "reason": reason, "status_at": now}
        if gives_iccam:
            values["iccam_at"] = now
        changes.append(Update(table=Table.ITEM, where={"id": item.id}, values=values))
        data = event_data(item, notice, status, now=now, policy=policy, reason=reason, facts=facts or Facts())
        if gives_iccam:
            data["iccam"] = {"action_type": ICCAM_ACTION[status], "reason_id": None}
        events.append(NewEvent(notice=notice.id, item=item.id, item_id=item.item_id, status=status, data=data))
    return Outcome(changes=tuple(changes), events=tuple(events))


def event_data(
    item: ItemRow,
    notice: NoticeRow,
    status: ItemStatus,
    *,
    now: int,
    policy: Policy,
    reason: str | None,
    facts: Facts,
) -> dict[str, Any]:
    """The `data` member of a callback (protocol.md); `sequence` joins it when the row gets one."""
    reached = facts.effective_at if status in (ItemStatus.DISABLED, ItemStatus.REMOVED) else None
    data: dict[str, Any] = {
        "notice_id": notice.notice_id,
        "item_id": item.item_id,
        "status": status.value,
        "public": PUBLIC.get(status, Public.UNKNOWN).value,
        "received_at": _at(notice.created_at),
        "status_at": _at(now),
        "blocked_at": _when(facts.blocked_at),
        "effective_at": _when(reached),
        "seconds_from_receipt": _seconds(reached, notice.created_at),
        "seconds_from_issue": _seconds(reached, notice.issued_at),
        "was_public": facts.was_public,
        "hash_match": facts.hash_match,
        "iccam": None,
        "reason": reason,
        "served_from": policy.served_from,
        "checked": {"observations": [dict(look) for look in facts.observations]},
        "residual": list(facts.residual),
        "hold": facts.hold,
    }
    if notice.kind == "test":
        data["test"] = True
    return data


@lru_cache(maxsize=64)
def _at(at: int) -> str:
    """All items of a notice are told the same times."""
    return rfc3339(at)


def _when(at: int | None) -> str | None:
    return None if at is None else _at(at)


def _seconds(later: int | None, earlier: int) -> float | None:
    return None if later is None else round(max(0, later - earlier) / MICROS, 3)
