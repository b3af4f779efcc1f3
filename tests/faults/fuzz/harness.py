"""What a harness is: bytes in, silence or a fault out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

MAX_SECONDS = 1.0
"""Of this process's own time, so that a busy machine does not count as a hang."""


class FaultFoundError(Exception):
    """A parser broke its promise."""


@dataclass(frozen=True, kw_only=True)
class Harness:
    name: str
    covers: tuple[str, ...]
    """`path:function` of the parsers that it drives."""
    seeds: tuple[bytes, ...]
    """Synthetic beginnings, without which a fuzzer would look for JSON for days."""
    check: Callable[[bytes], None]

    def __call__(self, data: bytes) -> None:
        """Raise whatever the parser should not have raised, or FaultFoundError for what it should have seen."""
        begun = time.process_time()
        self.check(data)
        if time.process_time() - begun > MAX_SECONDS:
            raise FaultFoundError(f"{self.name} took more than {MAX_SECONDS:g} s for {len(data)} bytes")


FOUND: dict[str, Harness] = {}


def harness(*covers: str, seeds: tuple[bytes, ...]) -> Callable[[Callable[[bytes], None]], Harness]:
    """Enter a function into the register under its own name."""

    def enter(check: Callable[[bytes], None]) -> Harness:
        made = Harness(name=check.__name__, covers=covers, seeds=seeds, check=check)
        FOUND[made.name] = made
        return made

    return enter


def must(holds: object, what: str) -> None:
    if not holds:
        raise FaultFoundError(what)


def pieces(data: bytes, count: int) -> list[bytes]:
    """The input as so many parts, divided by NUL; the last takes what is left."""
    parts = data.split(b"\0", count - 1)
    return parts + [b""] * (count - len(parts))


def text(data: bytes) -> str:
    """Any text at all, half surrogates too."""
    return data.decode("utf-8", "surrogateescape")
