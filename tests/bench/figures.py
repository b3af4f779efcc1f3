"""What a measurement gives back, and what it is told."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value. `ratio` is against what was run beside it; `reached` is None where no goal names it."""

    goal: str
    name: str
    value: float
    unit: str
    wanted: str = ""
    beside: str = ""
    beside_value: float | None = None
    ratio: float | None = None
    reached: bool | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Options:
    """`quick` makes every run so short that its figures mean nothing: it shows that the bench itself works."""

    quick: bool = False
    peers: bool = False
    large: bool = False
    folder: Path
    """For everything the run makes; on the disk whose fsync counts."""
    cache: Path
    """Keeps what takes minutes to make: the large database, the peer's packages."""

    def pick(self, quick: float, full: float) -> float:
        return quick if self.quick else full

    def count(self, quick: int, full: int) -> int:
        return quick if self.quick else full


@dataclass(kw_only=True)
class Breakdown:
    """A table that belongs to a goal but has no goal of its own: where time, commits and fsyncs go."""

    goal: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]] = field(default_factory=list)


@dataclass(kw_only=True)
class Measured:
    figures: list[Figure] = field(default_factory=list)
    breakdowns: list[Breakdown] = field(default_factory=list)

    def add(self, *figures: Figure) -> None:
        self.figures += figures


def quantile(values: Sequence[float], share: float) -> float:
    """By nearest rank, so that the p99 is a value that was seen."""
    if not values:
        raise BenchError("nothing was measured")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    if not values:
        raise BenchError("nothing was measured")
    return statistics.median(values)


class BenchError(Exception):
    """A measurement could not be made, or what was measured did not do its work; the words say which."""
