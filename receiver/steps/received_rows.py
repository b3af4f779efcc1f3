"""What is written when a notice is taken (T1): message, notice, items, their first events, entry and wake-up."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from receiver.domain.clock import MICROSECONDS, rfc3339, to_micros
from receiver.domain.ids import new_id
from receiver.domain.notice import Handling, Notice, NoticeItem, VerifiedNotice, VerifiedRequest
from receiver.domain.outcome import Insert, LedgerNote, NewEvent, Outcome, Table, Wake
from receiver.domain.policy import Policy
from receiver.domain.rows import ItemRow, NoticeRow
from receiver.domain.status import PRIORITY, ItemStatus, Track
from receiver.domain.telling import Facts, event_data

MICROS_PER_HOUR = 3600 * MICROSECONDS
CHANNEL = "https"
_NOT_KEPT = frozenset({"authorization", "cookie", "proxy-authorization"})
_MAX_HOST_CHARACTERS = 255
_USUAL_HOST = re.compile(r"https?://([a-z0-9.-]+)(?::[0-9]+)?(?:[/?#]|\Z)", re.ASCII)


def message_insert(verified: VerifiedRequest, *, id: str, now: int) -> Insert:  # noqa: A002 - the column's name
    """The signed bytes, with all the worker needs to verify them again."""
    request = verified.request
    kept = [
        [name, value]
        for name, value in request.headers
        if name.lower() not in _NOT_KEPT or name.lower() in verified.covered
    ]
    return Insert(
        table=Table.MESSAGE,
        values={
            "id": id,
            "channel": CHANNEL,
            "issuer": verified.issuer,
            "body": request.body,
            "sha256": hashlib.sha256(request.body).hexdigest(),
            "signature_input": verified.signature_input,
            "signature": verified.signature,
            "covered": {"method": request.method, "target": request.target, "headers": kept},
            "key_thumbprint": verified.key_thumbprint,
            "created_at": now,
        },
    )


def record_notice(
    taken: VerifiedNotice, *, now: int, policy: Policy, status_url: str
) -> tuple[Outcome, dict[str, Any]]:
    """The whole of T1 but the nonce, and the receipt that tells of it. `now` is microseconds UTC."""
    notice = _notice_row(taken, now=now, policy=policy, status_url=status_url)
    items = [_item_row(item, notice.id, now) for item in taken.notice.items]
    outcome = Outcome(
        changes=(
            message_insert(taken.verified, id=notice.message_id, now=now),
            _notice_insert(notice),
            *(_item_insert(item) for item in items),
        ),
        events=_received(items, notice, now, policy),
        notes=(_accepted_note(taken, notice),),
        wakes=(resolve_wake(notice.id),),
    )
    return outcome, dict(notice.receipt)


def resolve_wake(notice: str) -> Wake:
    return Wake(track=Track.RESOLVE, subject=notice, state="resolve", priority=PRIORITY[Track.RESOLVE])


def _notice_row(taken: VerifiedNotice, *, now: int, policy: Policy, status_url: str) -> NoticeRow:
    notice = taken.notice
    body_sha256 = hashlib.sha256(notice.raw).hexdigest()
    deadline = notice.deadline_at
    return NoticeRow(
        id=new_id(),
        notice_id=notice.notice_id,
        issuer=notice.issuer,
        message_id=new_id(),
        body_sha256=body_sha256,
        issued_at=to_micros(notice.issued_at),
        category=notice.category,
        kind=notice.kind,
        handling=stored_handling(notice.handling),
        deadline_at=now + policy.deadline_hours * MICROS_PER_HOUR if deadline is None else to_micros(deadline),
        receipt=_receipt(notice, now=now, body_sha256=body_sha256, status_url=status_url),
        last_sequence=0,
        created_at=now,
    )


def _receipt(notice: Notice, *, now: int, body_sha256: str, status_url: str) -> dict[str, Any]:
    return {
        "schema": "takedown-receipt/1",
        "receipt_id": new_id(),
        "notice_id": notice.notice_id,
        "issuer": notice.issuer,
        "received_at": rfc3339(now),
        "body_sha256": body_sha256,
        "items": [{"item_id": item.item_id, "status": ItemStatus.RECEIVED.value} for item in notice.items],
        "status_url": status_url,
    }


def stored_handling(handling: Handling) -> dict[str, Any]:
    """As the worker reads it; times in microseconds UTC, like every time of ours."""
    return {name: _micros(value) for name, value in vars(handling).items()}


def _micros(value: Any) -> Any:
    return to_micros(value) if isinstance(value, dt.datetime) else value


def _text(value: dt.datetime | None) -> str | None:
    return None if value is None else rfc3339(value)


def stored_details(item: NoticeItem) -> dict[str, Any]:
    """What an item's row keeps of it beside the URL."""
    details: dict[str, Any] = {
        "referrer": item.referrer,
        "hashes": dict(item.hashes) or None,
        "media_type": item.media_type,
        "classification": dict(item.classification) if item.classification else None,
        "hosting_ip": item.hosting_ip,
        "first_seen": _text(item.first_seen),
        "last_seen": _text(item.last_seen),
        "note": item.note,
    }
    return {name: value for name, value in details.items() if value is not None}


def _item_row(item: NoticeItem, notice: str, now: int) -> ItemRow:
    return ItemRow(
        id=new_id(),
        notice=notice,
        item_id=item.item_id,
        url=item.url,
        canonical=None,
        host=host_of(item.url),
        status=ItemStatus.RECEIVED,
        reason=None,
        status_at=now,
        approved_by=None,
        withdrawn_at=None,
        iccam_at=None,
        details=stored_details(item),
    )


def host_of(url: str) -> str:
    """What stands in lists. The real reading of the URL is resolution's; here anything odd is just no host."""
    usual = _USUAL_HOST.match(url)
    if usual is not None:
        return usual[1][:_MAX_HOST_CHARACTERS]
    try:
        return (urlsplit(url).hostname or "")[:_MAX_HOST_CHARACTERS]
    except ValueError:
        return ""


def _notice_insert(row: NoticeRow) -> Insert:
    return Insert(table=Table.NOTICE, values=vars(row))


def _item_insert(row: ItemRow) -> Insert:
    return Insert(table=Table.ITEM, values={**vars(row), "status": row.status.value})


def _received(items: Sequence[ItemRow], notice: NoticeRow, now: int, policy: Policy) -> tuple[NewEvent, ...]:
    """Items that were just received have nothing to tell apart but their names."""
    status = ItemStatus.RECEIVED
    told = event_data(items[0], notice, status, now=now, policy=policy, reason=None, facts=Facts())
    return tuple(
        [
            NewEvent(
                notice=notice.id,
                item=item.id,
                item_id=item.item_id,
                status=status,
                data={**told, "item_id": item.item_id},
                delivered=True,
            )
            for item in items
        ]
    )


def _accepted_note(taken: VerifiedNotice, notice: NoticeRow) -> LedgerNote:
    return LedgerNote(
        kind="notice.accepted",
        subject=notice.id,
        actor=f"issuer:{notice.issuer}",
        detail={
            "notice_id": notice.notice_id,
            "issuer": notice.issuer,
            "category": notice.category,
            "kind": notice.kind,
            "items": len(taken.notice.items),
            "body_sha256": notice.body_sha256,
            "key_thumbprint": taken.verified.key_thumbprint,
            "receipt_id": str(notice.receipt["receipt_id"]),
        },
    )
