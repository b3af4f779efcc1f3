"""When to try again. Pure, so that a test can walk through days in a loop."""

from __future__ import annotations

import hashlib

MICROS = 1_000_000
FIRST_SECONDS = 1.0
LONGEST_SECONDS = 600.0
PAGE_AFTER_ATTEMPTS = 6
"""About a minute of failing before a person is called; the work goes on meanwhile."""


def spread(subject: str, attempts: int) -> float:
    """A number in [0, 1), fixed for a subject and attempt, so that rows that failed together do not return together."""
    digest = hashlib.sha256(f"{subject}:{attempts}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def backoff_seconds(subject: str, attempts: int, *, at_least: float = 0.0) -> float:
    """1 s, 2 s, 4 s … 10 min, each up to a quarter longer. `attempts` counts the failures so far, from 1."""
    base = min(LONGEST_SECONDS, FIRST_SECONDS * float(1 << min(attempts - 1, 20)))
    return max(at_least, base * (1 + spread(subject, attempts) / 4))
