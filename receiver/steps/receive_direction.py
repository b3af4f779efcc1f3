"""Take a direction about a notice: its own issuer only, once, and only where it can still apply.

The row is inserted and the notice's `resolve` work made due; the worker applies it.
"""

from __future__ import annotations

import hashlib
from typing import Any

from receiver.domain.clock import rfc3339, to_micros
from receiver.domain.errors import ConflictError, StoreUnavailableError
from receiver.domain.ids import new_id
from receiver.domain.notice import Direction, UnverifiedRequest, VerifiedDirection, VerifiedRequest
from receiver.domain.outcome import Insert, LedgerNote, Outcome, Table
from receiver.domain.rows import DirectionRow, ItemRow, NoticeRow
from receiver.domain.status import FINAL, ItemStatus
from receiver.intake.direction import parse_direction
from receiver.intake.errors import FieldFault, IntakeError, invalid
from receiver.intake.same import same_notice
from receiver.steps import refusals
from receiver.steps.admission import WebPorts, authenticate, record_refusal, spend
from receiver.steps.receive import RACES, Accepted, status_path
from receiver.steps.received_rows import message_insert, resolve_wake
from receiver.steps.refusals import RefusedError
from receiver.verification.errors import BindingError
from receiver.verification.policy import bind_direction


def receive_direction(request: UnverifiedRequest, notice_id: str, web: WebPorts) -> Accepted:
    """Take a direction about the notice that the path names. Raises RefusedError with the answer."""
    try:
        received_at = web.clock.now()
        verified = authenticate(request, web, received_at)
        try:
            taken = _read(verified, web)
            notice = web.reads.find_notice(verified.issuer, notice_id)
            if notice is None:
                raise refusals.not_found()
            return _take(taken, notice, web, to_micros(received_at))
        except RefusedError as refusal:
            record_refusal(verified, refusal, "direction.refused", web)
            raise
    except (StoreUnavailableError, ConflictError) as error:
        raise refusals.not_recorded() from error


def _read(verified: VerifiedRequest, web: WebPorts) -> VerifiedDirection:
    try:
        return bind_direction(verified, parse_direction(verified.request.body, web.limits))
    except IntakeError as error:
        raise refusals.from_intake(error) from error
    except BindingError as error:
        raise refusals.from_binding(error) from error


def _take(taken: VerifiedDirection, notice: NoticeRow, web: WebPorts, now: int) -> Accepted:
    path = status_path(notice.notice_id)
    for _ in range(RACES):
        known = web.reads.find_direction(notice.id, taken.direction.direction_id)
        if known is not None:
            return _repeat(known, taken, notice, web)
        refuse_impossible(taken.direction, web.reads.load_notice(notice.id).items)
        outcome, row = _record(taken, notice, now)
        try:
            spend(taken.verified, web, outcome, status_path=path)
        except ConflictError:
            continue
        receipt = _receipt(row, notice, web, received_at=now, body=taken.direction.raw)
        return Accepted(receipt=receipt, repeated=False, verified=taken.verified)
    raise refusals.not_recorded()


def _repeat(known: DirectionRow, taken: VerifiedDirection, notice: NoticeRow, web: WebPorts) -> Accepted:
    message = web.reads.load_message(known.message_id)
    if not same_notice(message.body, taken.direction.raw):
        raise refusals.id_reused("direction")
    spend(taken.verified, web, Outcome(), status_path=status_path(notice.notice_id))
    receipt = _receipt(known, notice, web, received_at=message.created_at, body=message.body)
    return Accepted(receipt=receipt, repeated=True, verified=taken.verified)


def refuse_impossible(direction: Direction, items: tuple[ItemRow, ...]) -> None:
    """Raise RefusedError 422 where no item is left that the direction could change."""
    by_id = {item.item_id: item for item in items}
    unknown = [n for n, item_id in enumerate(direction.items or ()) if item_id not in by_id]
    if unknown:
        faults = tuple(FieldFault(pointer=f"/items/{n}", message="is not an item of this notice") for n in unknown)
        raise refusals.from_intake(invalid("direction", faults))
    named = [by_id[item_id] for item_id in direction.items] if direction.items is not None else list(items)
    if direction.direction == "proceed":
        left_up = [item.status is ItemStatus.PRESERVED_LIVE for item in named]
        if not (all(left_up) if direction.items is not None else any(left_up)):
            raise refusals.not_possible("proceed is for items whose status is preserved_live")
    elif direction.direction in ("withdraw", "hold") and all(item.status in FINAL for item in named):
        raise refusals.not_possible("every item it names has come to its final status")


def _record(taken: VerifiedDirection, notice: NoticeRow, now: int) -> tuple[Outcome, DirectionRow]:
    direction = taken.direction
    row = DirectionRow(
        id=new_id(),
        direction_id=direction.direction_id,
        notice=notice.id,
        message_id=new_id(),
        kind=direction.direction,
        items=direction.items,
        reason=direction.reason,
        until_at=None if direction.until is None else to_micros(direction.until),
        reference=direction.police_reference,
        issued_at=to_micros(direction.issued_at),
        applied_at=None,
    )
    note = LedgerNote(
        kind="direction.accepted",
        subject=notice.id,
        actor=f"issuer:{notice.issuer}",
        detail={
            "direction_id": row.direction_id,
            "direction": row.kind,
            "items": list(row.items) if row.items is not None else None,
            "body_sha256": hashlib.sha256(direction.raw).hexdigest(),
            "key_thumbprint": taken.verified.key_thumbprint,
            "receipt_id": row.id,
        },
    )
    changes = (
        message_insert(taken.verified, id=row.message_id, now=now),
        Insert(table=Table.DIRECTION, values={**vars(row), "created_at": now}),
    )
    return Outcome(changes=changes, notes=(note,), wakes=(resolve_wake(notice.id),)), row


def _receipt(row: DirectionRow, notice: NoticeRow, web: WebPorts, *, received_at: int, body: bytes) -> dict[str, Any]:
    """Made from what is stored, so that a repeat says the same."""
    return {
        "schema": "takedown-direction-receipt/1",
        "receipt_id": row.id,
        "notice_id": notice.notice_id,
        "direction_id": row.direction_id,
        "issuer": notice.issuer,
        "received_at": rfc3339(received_at),
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "status_url": web.origins[0] + status_path(notice.notice_id),
    }
