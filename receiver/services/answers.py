"""What goes back over the wire, whole: the faces only copy it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def to_json(value: Any) -> bytes:
    """Compact, members sorted, so that a receipt that is told again has the very same bytes. These are signed."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def json_answer(value: Any, *, content_type: str = JSON, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status=200, headers={"Content-Type": content_type, **(headers or {})}, body=to_json(value))
