"""A plain notice and a plain direction, as changed, and the faults that are found in them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from receiver.domain.notice import Direction, Notice
from receiver.intake.direction import parse_direction
from receiver.intake.errors import IntakeError
from receiver.intake.limits import Limits
from receiver.intake.notice import parse_notice

NOW = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)
PLAIN: dict[str, Any] = {
    "notice_id": "IWF-2026-000123",
    "issuer": "iwf",
    "issued_at": "2026-11-22T09:30:00Z",
    "category": "csam",
    "items": [{"item_id": "1", "url": "https://img.example.net/a/b.jpg"}],
}
DIRECTION = {
    "schema": "takedown-direction/1",
    "direction_id": "d-1",
    "issuer": "iwf",
    "issued_at": "2026-11-22T09:30:00Z",
    "direction": "withdraw",
}


def notice(limits: Limits = Limits(), **changes: Any) -> Notice:  # noqa: B008  # frozen
    return parse_notice(json.dumps({**PLAIN, **changes}).encode(), limits)


def direction(**changes: Any) -> Direction:
    return parse_direction(json.dumps({**DIRECTION, **changes}).encode())


def faults(caught: pytest.ExceptionInfo[IntakeError]) -> dict[str, str]:
    return {fault.pointer: fault.message for fault in caught.value.errors}
