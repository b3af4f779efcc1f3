"""Paging by key, so that a million rows open as fast as ten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from receiver.services.lists import PAGE_ROWS


def next_key(rows: Sequence[Mapping[str, Any]], key: str) -> str | None:
    """Where the next page begins, or None on the last."""
    return max(row[key] for row in rows) if len(rows) >= PAGE_ROWS else None
