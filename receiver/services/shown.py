"""Rows as people see them: plain values for the pages and the API alike. URLs are defanged here, and nowhere else left.

Never in these values: content, locators, pins, plain hashes, journalled intents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from receiver.domain.canonical import canonical_json
from receiver.domain.clock import rfc3339
from receiver.domain.policy import Policy
from receiver.domain.ports import CaseLine, ItemLine, PageRow, StoredEntry
from receiver.domain.rows import ActRow, DecisionRow, EventRow, ItemRow, NoticeRow, PauseRow, SealRow, WorkRow
from receiver.domain.web import defang

Shown = dict[str, Any]
HOUR_MICROS = 3_600_000_000
MAX_TEXT = 500
_URL = re.compile(r"[a-z][a-z0-9+.-]{1,10}:(?://|%2f%2f)\S+", re.IGNORECASE)

WHO_IS_NEXT: Mapping[str, str] = {
    "idle": "nobody",
    "open": "nobody",
    "stuck": "a person",
    "watch": "the clock",
    "sealed": "the clock",
    "vaulted": "the clock",
    "resolved": "nobody",
}
"""Of a track in this state; the worker in every other."""


def masked(text: str | None) -> str | None:
    """Text from elsewhere, cut, with whatever looks like a web address defanged."""
    if text is None:
        return None
    return _URL.sub(lambda found: defang(found[0]), text[: MAX_TEXT * 2])[:MAX_TEXT]


def host(name: str) -> str:
    return name.replace(".", "[.]")


def when(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)


def due(notice: NoticeRow, policy: Policy) -> int:
    """When this notice should be done with: as it says, or as the operator promised."""
    return notice.deadline_at or notice.created_at + policy.deadline_hours * HOUR_MICROS


def case_line(line: CaseLine, now: int) -> Shown:
    return {
        "code": line.case.code,
        "exposure": line.exposure,
        "evidence": line.evidence,
        "next": WHO_IS_NEXT.get(line.exposure, "the worker"),
        "hosts": [host(name) for name in line.hosts],
        "issuers": list(line.issuers),
        "customer": line.case.customer,
        "oldest_at": when(line.oldest_at),
        "age": age(line.oldest_at, now),
        "last_error": masked(line.last_error),
        "after": line.case.id,
    }


def age(at: int, now: int) -> str:
    """In words, so that nobody has to subtract: `5 min`, `3 h`, `2 d`."""
    minutes = max(0, now - at) // 60_000_000
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def item_line(line: ItemLine, codes: list[str], policy: Policy, now: int) -> Shown:
    at = due(line.notice, policy)
    return {
        "item": line.item.id,
        "issuer": line.notice.issuer,
        "notice_id": line.notice.notice_id,
        "item_id": line.item.item_id,
        "category": line.notice.category,
        "kind": line.notice.kind,
        "url": defang(line.item.url),
        "status": line.item.status.value,
        "reason": line.item.reason,
        "approved_by": line.item.approved_by,
        "withdrawn_at": when(line.item.withdrawn_at),
        "received_at": when(line.notice.created_at),
        "age": age(line.notice.created_at, now),
        "deadline_at": when(at),
        "overdue": at <= now,
        "cases": codes,
    }


def claim(item: ItemRow, notice: NoticeRow, act: str, *, stands: bool) -> Shown:
    return {
        "item": item.id,
        "issuer": notice.issuer,
        "notice_id": notice.notice_id,
        "item_id": item.item_id,
        "category": notice.category,
        "act": act,
        "status": item.status.value,
        "reason": item.reason,
        "stands": stands,
        "url": defang(item.url),
        "received_at": when(notice.created_at),
    }


def track(work: WorkRow) -> Shown:
    return {
        "track": work.track.value,
        "state": work.state,
        "next": WHO_IS_NEXT.get(work.state, "the worker"),
        "due_at": when(work.due_at),
        "attempts": work.attempts,
        "stuck_from": work.stuck_from,
        "last_error": masked(work.last_error),
    }


def act(row: ActRow) -> Shown:
    """Without its intent, which names the resource."""
    return {
        "at": when(row.begun_at),
        "kind": row.kind,
        "target": row.target,
        "ended_at": when(row.ended_at),
        "result": row.result or ("under way" if row.ended_at is None else "done"),
    }


def seal(row: SealRow) -> Shown:
    return {
        "seal": row.id,
        "round": row.round,
        "size_bytes": row.size_bytes,
        "sha256_sealed": row.sha256_sealed,
        "hash_match": row.hash_match,
        "checked_at": when(row.checked_at),
        "removed_at": when(row.removed_at),
        "retention_until_at": when(row.retention_until_at),
        "destroyed_at": when(row.destroyed_at),
    }


def decision(row: DecisionRow, code: str | None, now: int) -> Shown:
    over = row.state == "asked" and row.expires_at is not None and row.expires_at <= now
    return {
        "decision": row.id,
        "kind": row.kind,
        "case": code,
        "item": row.item,
        "actor": row.actor,
        "reason": masked(row.reason),
        "state": "expired" if over else row.state,
        "approvals": list(row.approvals),
        "needs": row.needs,
        "asked_at": when(row.created_at),
        "age": age(row.created_at, now),
        "expires_at": when(row.expires_at),
    }


def event(row: EventRow) -> Shown:
    told = "dead letter" if row.dead_at is not None else "waiting" if row.delivered_at is None else "delivered"
    return {
        "event": row.id,
        "at": when(row.created_at),
        "notice": row.notice,
        "item_id": row.item_id,
        "sequence": row.sequence,
        "status": row.status.value,
        "reason": masked(row.data.get("reason")),
        "told": told,
        "delivered_at": when(row.delivered_at),
        "dead_at": when(row.dead_at),
    }


def entry(row: StoredEntry) -> Shown:
    """A line of the time-line; the detail is gone once it was erased."""
    detail = (row.detail or {}).get("detail")
    said = ", ".join(f"{name}: {_word(value)}" for name, value in detail.items()) if isinstance(detail, dict) else ""
    return {
        "at": when(row.at),
        "kind": row.kind,
        "actor": (row.detail or {}).get("actor", "(erased)"),
        "detail": masked(said),
        "number": row.seq,
    }


def _word(value: object) -> str:
    if isinstance(value, bytes):
        return "(bytes)"
    return value if isinstance(value, str) else canonical_json(value).decode()


def look(kept: Mapping[str, Any]) -> Shown:
    names = ("at", "vantage", "address", "status", "verdict", "note")
    return {name: kept[name] for name in names if name in kept}


def page(row: PageRow, case: str | None, now: int) -> Shown:
    return {
        "page": row.id,
        "kind": row.kind,
        "text": masked(row.text),
        "case": case,
        "count": row.count,
        "raised_at": when(row.created_at),
        "age": age(row.created_at, now),
    }


def pause(row: PauseRow) -> Shown:
    return {"scope": row.scope, "actor": row.actor, "since_at": when(row.since_at)}
