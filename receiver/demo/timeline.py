"""The live time-line: one line for each thing that happened, with the time since the notice left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from rich.console import Console

RECEIPT = "receipt"
ORIGIN_GONE = "origin gone"
FRONT_GONE = "front gone"
SEALED = "sealed"
CALLED_BACK = "called back"
LEDGER = "ledger"
CUSTODY = "vault"


class Timeline:
    """Lines come from several threads; each step counts once."""

    def __init__(self) -> None:
        out = Console(highlight=False)
        self._out = out if out.is_terminal else Console(highlight=False, width=200)
        self._lock = threading.Lock()
        self._steps: set[str] = set()
        self._begun: float | None = None

    def say(self, words: str, *, style: str = "") -> None:
        with self._lock:
            self._out.print(words, style=style or None, markup=False, soft_wrap=True)

    def begin(self, words: str) -> None:
        """The notice's first byte: from here time is counted."""
        self._begun = time.monotonic()
        self._line(self._begun, words, "bold")

    def step(self, name: str, words: str) -> None:
        now = time.monotonic()
        with self._lock:
            if name in self._steps:
                return
            self._steps.add(name)
        self._line(now, words, "green")

    def missing(self, wanted: Iterable[str]) -> list[str]:
        with self._lock:
            return [name for name in wanted if name not in self._steps]

    def _line(self, now: float, words: str, style: str) -> None:
        passed = now - (self._begun if self._begun is not None else now)
        self.say(f"  t+{passed:7.3f} s  {words}", style=style)
