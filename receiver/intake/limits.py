"""How much one notice may hold. The operator can change these; the defaults are the protocol's."""

from __future__ import annotations

from dataclasses import dataclass

MAX_URL_CHARACTERS = 8192
MAX_NOTE_CHARACTERS = 4000
MAX_ERRORS = 50
"""More faults than that help nobody and make the answer an amplifier."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    max_body_bytes: int = 1024 * 1024
    max_items: int = 250
    max_depth: int = 16
    keep_up_max_hours: int = 72


DEFAULT_LIMITS = Limits()
