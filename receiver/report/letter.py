"""Callbacks as CloudEvents: what one POST to an issuer holds, and what its answer means."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from receiver.domain.clock import from_micros, rfc3339
from receiver.domain.rows import EventRow, NoticeRow

BATCH_TYPE = "application/cloudevents-batch+json"
SINGLE_TYPE = "application/cloudevents+json"
MAX_BATCH = 250


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One POST: its body and the events it carries, in order."""

    content_type: str
    body: bytes
    events: tuple[EventRow, ...]


def cloud_event(event: EventRow, notice: NoticeRow, source: str) -> dict[str, Any]:
    """CloudEvents 1.0, structured (protocol.md); the id stays the same over all tries."""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": f"takedown.item.{event.status.value}",
        "subject": f"{notice.notice_id}/{event.item_id}",
        "time": rfc3339(event.created_at),
        "datacontenttype": "application/json",
        "data": {**event.data, "sequence": event.sequence},
    }


def write_letter(events: Sequence[EventRow], notice: NoticeRow, source: str) -> Letter:
    """One event stands alone; several go as a batch, accepted or failed whole."""
    chosen = tuple(events[:MAX_BATCH])
    bodies = [cloud_event(event, notice, source) for event in chosen]
    single = len(bodies) == 1
    body = json.dumps(bodies[0] if single else bodies, separators=(",", ":"), ensure_ascii=False).encode()
    return Letter(content_type=SINGLE_TYPE if single else BATCH_TYPE, body=body, events=chosen)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the issuer's endpoint made of a letter."""

    accepted: bool
    gone: bool = False
    """410: the issuer wants no more of these."""
    words: str = ""
    retry_after_seconds: float = 0.0


def read_answer(status: int, headers: Mapping[str, str], now: int) -> Answer:
    """2xx is heard; 410 ends it; everything else, redirects too, is tried again."""
    if 200 <= status < 300:
        return Answer(accepted=True)
    if status == 410:
        return Answer(accepted=False, gone=True, words="the endpoint answered 410")
    return Answer(
        accepted=False, words=f"the endpoint answered {status}", retry_after_seconds=_retry_after(headers, now)
    )


def _retry_after(headers: Mapping[str, str], now: int) -> float:
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), 24 * 3600.0)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return min(max(0.0, (moment - from_micros(now)).total_seconds()), 24 * 3600.0)
