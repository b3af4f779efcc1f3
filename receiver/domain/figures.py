"""What is counted for metrics, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Told:
    """An item's issuer was told a status."""

    event: str
    issuer: str
    category: str
    adapter: str
    """Of the item's case; `none` where it never came to one."""
    status: str
    first: bool
    """Nobody was told this of the item before."""
    after_seconds: float
    """Since its notice was recorded."""


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """Evidence was sealed, read back and found whole."""

    entry: str
    adapter: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Count:
    """One counter with its labels, summed over the processes that count it."""

    name: str
    labels: Mapping[str, str]
    value: float
