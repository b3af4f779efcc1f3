"""Names for rows: ULIDs that sort by time, and case codes that people type."""

from __future__ import annotations

import os
import secrets
import threading
import time

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80
_PAIRS = tuple(one + other for one in CROCKFORD for other in CROCKFORD)
_SHIFTS = tuple(range(120, -1, -10))
"""A row of a large notice costs two ids, so they are written two letters at a time."""


class _UlidSource:
    """Monotonic within the process: two ids made in the same millisecond still sort in order of making."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> str:
        fresh = (time.time_ns() // 1_000_000) << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8))
        with self._lock:
            # A clock that steps back must not make ids that sort before those already given out.
            self._last = max(fresh, self._last + 1)
            value = self._last
        return "".join([_PAIRS[(value >> shift) & 1023] for shift in _SHIFTS])


_SOURCE = _UlidSource()


def new_id() -> str:
    """A ULID: 26 characters, sorts by time of making."""
    return _SOURCE.next()


def new_case_code() -> str:
    """``K7QX-93FM``: 40 random bits, so it cannot be guessed or counted."""
    text = "".join(secrets.choice(CROCKFORD) for _ in range(8))
    return f"{text[:4]}-{text[4:]}"


def parse_case_code(text: str) -> str | None:
    """Read a code as people type it (small letters, no hyphen, O for 0), or None."""
    plain = text.strip().upper().replace("-", "").replace("O", "0").replace("I", "1").replace("L", "1")
    if len(plain) != 8 or any(letter not in CROCKFORD for letter in plain):
        return None
    return f"{plain[:4]}-{plain[4:]}"
