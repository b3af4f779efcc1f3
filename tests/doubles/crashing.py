"""Crashes at chosen moments: every call to the outside and every commit of a world's worker is a point.

A worker alone changes nothing that lasts between two calls, so a crash after one call is a crash before the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.world import World

CALLS = {
    "store": ("observe", "block", "freeze", "open", "origin_state", "remove", "unblock", "context"),
    "gate": ("deny", "allow"),
    "cache": ("purge", "status"),
    "vault": ("seal", "seal_document"),
    "mailbox": ("post",),
    "visitor": ("look",),
    "db": ("commit",),
}


class Crash(BaseException):
    """The process is gone."""


@dataclass(kw_only=True)
class Tripwire:
    """Counts the calls a world's worker makes, and dies before the one chosen. None: lives."""

    world: World
    dies_at: int | None = None
    calls: list[str] = field(default_factory=list)
    armed: bool = False

    def __post_init__(self) -> None:
        for part, names in CALLS.items():
            thing = getattr(self.world, part)
            for name in names:
                setattr(thing, name, self._wired(f"{part}.{name}", getattr(thing, name)))

    def _wired(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wired(*args: Any, **kwargs: Any) -> Any:
            if self.armed:
                if len(self.calls) == self.dies_at:
                    raise Crash(name)
                self.calls.append(name)
            return call(*args, **kwargs)

        return wired

    def work(self) -> None:
        """Let the worker work until it rests; after a crash, a new one in its place."""
        self.armed = True
        try:
            self.world.run()
        except Crash:
            self.armed, self.dies_at = False, None
            self.world.reboot()
            self.world.run()
        finally:
            self.armed = False
