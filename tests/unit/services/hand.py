"""A clock for limits."""

from __future__ import annotations

import datetime as dt


class Hand:
    """A clock that moves by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.seconds, dt.UTC)

    def monotonic(self) -> float:
        return self.seconds
