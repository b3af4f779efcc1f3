"""What `check` found, as values: one line each, with what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It runs, and something is lost by it."""
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    about: str
    """`settings`, `database`, `adapters.www`."""
    level: Level
    words: str


def ok(about: str, words: str) -> Finding:
    return Finding(about=about, level=Level.OK, words=words)


def warn(about: str, words: str) -> Finding:
    return Finding(about=about, level=Level.WARN, words=words)


def fail(about: str, words: str) -> Finding:
    return Finding(about=about, level=Level.FAIL, words=words)
