"""What an issuer may read of its own notice: the same as the callbacks say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from receiver.domain.clock import rfc3339
from receiver.domain.errors import ConflictError, StoreUnavailableError
from receiver.domain.notice import UnverifiedRequest, VerifiedRequest
from receiver.domain.outcome import Outcome
from receiver.domain.rows import EventRow, ItemRow, NoticeView
from receiver.domain.status import PUBLIC, Public
from receiver.steps import refusals
from receiver.steps.admission import WebPorts, authenticate, spend


@dataclass(frozen=True, kw_only=True)
class Status:
    body: Mapping[str, Any]
    verified: VerifiedRequest


def read_status(request: UnverifiedRequest, notice_id: str, web: WebPorts) -> Status:
    """Answer a signed question. Raises RefusedError; another issuer's notice is 404."""
    verified = ask(request, web)
    try:
        notice = web.reads.find_notice(verified.issuer, notice_id)
        if notice is None:
            raise refusals.not_found()
        view, events = web.reads.load_notice(notice.id), web.reads.events_of(notice.id)
    except StoreUnavailableError as error:
        raise refusals.not_recorded() from error
    return Status(body=status_of(view, events), verified=verified)


def ask(request: UnverifiedRequest, web: WebPorts) -> VerifiedRequest:
    """A signed question of a known issuer, with its nonce spent. Raises RefusedError."""
    try:
        verified = authenticate(request, web, web.clock.now())
        spend(verified, web, Outcome())
    except (StoreUnavailableError, ConflictError) as error:
        raise refusals.not_recorded() from error
    return verified


def status_of(view: NoticeView, events: Sequence[EventRow]) -> dict[str, Any]:
    """The body of `takedown-status/1`."""
    last = {event.item: event for event in events}
    return {
        "schema": "takedown-status/1",
        "notice_id": view.notice.notice_id,
        "issuer": view.notice.issuer,
        "received_at": rfc3339(view.notice.created_at),
        "items": [_item(item, last.get(item.id)) for item in view.items],
        "events": [{**event.data, "sequence": event.sequence} for event in events],
        "undelivered": sum(event.delivered_at is None for event in events),
    }


def _item(item: ItemRow, last: EventRow | None) -> dict[str, Any]:
    told: Mapping[str, Any] = last.data if last is not None else {}
    return {
        "item_id": item.item_id,
        "status": item.status.value,
        "public": PUBLIC.get(item.status, Public.UNKNOWN).value,
        "reason": item.reason,
        "status_at": rfc3339(item.status_at),
        "residual": list(told.get("residual", ())),
        "hold": bool(told.get("hold", False)),
    }
