"""Whether stored rows say what the signed bytes beside them say: the public side writes both, and may be broken into.

`verify_stored` proves the bytes. Nothing else proves that the rows were made from them: a good signature beside other
URLs, another act or a person's yes that nobody gave would let whoever owns the public side take down anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from receiver.domain.clock import to_micros
from receiver.domain.notice import Notice
from receiver.domain.rows import DirectionRow, ItemRow, MessageRow, NoticeView
from receiver.intake.direction import parse_direction
from receiver.intake.errors import IntakeError
from receiver.intake.limits import Limits
from receiver.intake.notice import parse_notice
from receiver.quarantine.directions import HELD
from receiver.steps.received_rows import stored_details, stored_handling

WIDEST = Limits(max_body_bytes=16 * 1024 * 1024, max_items=10_000, max_depth=64)
"""What was within the settings when it came in must still be readable after they were made narrower."""


def unlike_signed(view: NoticeView, messages: Mapping[str, MessageRow]) -> str | None:
    """A word for the first difference, or None. `messages` are those verified just now, by id."""
    try:
        return _notice(view, messages) or _directions(view, messages) or _approvals(view)
    except IntakeError:
        return "stored-body-unreadable"


def _notice(view: NoticeView, messages: Mapping[str, MessageRow]) -> str | None:
    row = view.notice
    message = messages.get(row.message_id)
    if message is None:
        return None
    signed = parse_notice(message.body, WIDEST)
    same = (
        (message.issuer, signed.issuer, signed.notice_id) == (row.issuer, row.issuer, row.notice_id)
        and (signed.category, signed.kind, to_micros(signed.issued_at)) == (row.category, row.kind, row.issued_at)
        and (signed.deadline_at is None or to_micros(signed.deadline_at) == row.deadline_at)
        and _same_handling(signed, row.handling)
    )
    if not same:
        return "stored-notice-differs"
    mine = {item.item_id: (item.url, stored_details(item)) for item in signed.items}
    theirs = {item.item_id: (item.url, _as_received(item)) for item in view.items}
    return None if len(view.items) == len(theirs) and mine == theirs else "stored-items-differ"


def _same_handling(signed: Notice, stored: Mapping[str, Any]) -> bool:
    """Telling the customer may be allowed later, by direction; that takes nothing down."""
    ours = {**stored_handling(signed.handling), "customer_notice": stored.get("customer_notice")}
    return ours == dict(stored)


def _as_received(item: ItemRow) -> dict[str, Any]:
    return {name: value for name, value in item.details.items() if name != HELD}


def _directions(view: NoticeView, messages: Mapping[str, MessageRow]) -> str | None:
    for row in view.directions:
        message = messages.get(row.message_id)
        if message is not None and not _same_direction(row, message, view):
            return "stored-direction-differs"
    return None


def _same_direction(row: DirectionRow, message: MessageRow, view: NoticeView) -> bool:
    """The body does not name the notice; the signed path does."""
    signed = parse_direction(message.body, WIDEST)
    path = unquote(urlsplit(str(message.covered.get("target", ""))).path)
    until = None if signed.until is None else to_micros(signed.until)
    return (
        (message.issuer, signed.issuer) == (view.notice.issuer, view.notice.issuer)
        and path == f"/v1/notices/{view.notice.notice_id}/directions"
        and (signed.direction_id, signed.direction, signed.items) == (row.direction_id, row.kind, row.items)
        and (until, signed.police_reference) == (row.until_at, row.reference)
        and to_micros(signed.issued_at) == row.issued_at
    )


def _approvals(view: NoticeView) -> str | None:
    """A person's yes is a decision, which the public side cannot write."""
    agreed = {d.item for d in view.decisions if d.kind == "approve" and d.state == "done"}
    lacking = any(item.approved_by is not None and item.id not in agreed for item in view.items)
    return "stored-approval-unfounded" if lacking else None
