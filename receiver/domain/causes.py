"""What a row of work waits for, told by its own words, so that one cause calls people once.

Trouble at one of the operator's own places begins with that place in brackets: `[store www] block: the agent is away`.
Whatever begins otherwise is the trouble of that one case or notice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from receiver.domain.status import Track

SORTS = ("store", "gate", "cache", "vault", "outside")
"""`outside` are the looks at what a store serves."""
_PLACED = re.compile(rf"\[((?:{'|'.join(SORTS)})(?: [^\]]+)?)\] ")


def at(place: str, words: str) -> str:
    """The words of trouble at a place, such as `store www`, that may hold up many."""
    return f"[{place}] {words}"


def place_of(words: str) -> str | None:
    found = _PLACED.match(words)
    return None if found is None else found[1]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Rows of one track that have failed for about a minute with the same words."""

    track: Track
    subject: str | None
    """None where the words name a place: then there may be many."""
    words: str
    count: int
    oldest_at: int


@dataclass(frozen=True, kw_only=True)
class Unconfirmed:
    """Cases of one adapter whose issuers heard that nobody could see them gone."""

    adapter: str
    count: int
    oldest_at: int
    newest_at: int
