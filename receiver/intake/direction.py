"""Reads a direction: the schema of `takedown-direction/1`."""

from __future__ import annotations

import datetime as dt

from receiver.domain.notice import Direction
from receiver.intake.errors import invalid
from receiver.intake.limits import DEFAULT_LIMITS, MAX_NOTE_CHARACTERS, Limits
from receiver.intake.members import ID_PATTERN, REQUIRED, SLUG_PATTERN, Faults, Members
from receiver.intake.notice import ID_RULE, SLUG_RULE, load_document

SCHEMA = "takedown-direction/1"
DIRECTIONS = ("withdraw", "proceed", "hold", "release_hold", "allow_customer_notice")
_TOP = frozenset(
    {"schema", "direction_id", "issuer", "issued_at", "direction", "items", "reason", "until", "police_reference"}
)
_NO_TIME = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def parse_direction(body: bytes, limits: Limits = DEFAULT_LIMITS) -> Direction:
    """What the bytes say. Raises IntakeError with every fault at once; whether it can apply is for services to say."""
    faults = Faults()
    top = Members(load_document(body, limits), "", faults)
    top.refuse_others(_TOP)
    # Required here: a direction that lost its schema must not pass for anything else.
    top.choice("schema", (SCHEMA,))
    direction = Direction(
        direction_id=top.match("direction_id", ID_PATTERN, ID_RULE),
        issuer=top.match("issuer", SLUG_PATTERN, SLUG_RULE),
        issued_at=top.time("issued_at", default=REQUIRED) or _NO_TIME,
        direction=top.choice("direction", DIRECTIONS),
        items=_read_item_ids(top, limits),
        reason=top.text("reason", MAX_NOTE_CHARACTERS, layout=True),
        until=top.time("until"),
        police_reference=top.text("police_reference", 256),
        raw=body,
    )
    if faults:
        raise invalid("direction", faults.all())
    return direction


def _read_item_ids(top: Members, limits: Limits) -> tuple[str, ...] | None:
    ids = top.value.get("items")
    if ids is None:
        return None
    if not isinstance(ids, list) or not 1 <= len(ids) <= limits.max_items:
        top.faults.add("/items", f"must be a list of 1 to {limits.max_items} item ids, or left out for all")
        return None
    for number, item_id in enumerate(ids):
        if not isinstance(item_id, str) or not ID_PATTERN.fullmatch(item_id):
            top.faults.add(f"/items/{number}", ID_RULE)
        elif item_id in ids[:number]:
            top.faults.add(f"/items/{number}", "stands twice in this direction")
    return tuple(item_id for item_id in ids if isinstance(item_id, str))
