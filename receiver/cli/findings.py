"""What `check` found, as values: one answer to one of its questions, with what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from receiver.cli.checks.known import KNOWN
from receiver.config.errors import anchor_of
from receiver.logs import mask_text

Measured = Mapping[str, float | str]


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It runs, and something is lost by it."""
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    id: str
    """Stable, `D02` and so on: the question. docs/checks.md lists them all."""
    about: str
    """`database`, `adapters.www`, `issuers.iwf`."""
    level: Level
    words: str
    measured: Measured = field(default_factory=dict)
    setting: str = ""
    """The setting as documented, where it is not the question's own."""
    advice: str = ""
    """What to do, where more is known than the question's own hint says."""

    @property
    def hint(self) -> str:
        return self.advice or KNOWN[self.id].hint

    @property
    def see(self) -> str:
        return anchor_of(self.setting or KNOWN[self.id].setting)

    def as_json(self) -> dict[str, object]:
        """What libraries and servers said passes the filter of the logs: no address of content is shown in clear."""
        told: dict[str, object] = {
            "id": self.id,
            "about": mask_text(self.about),
            "level": str(self.level),
            "words": mask_text(self.words),
            "measured": {name: mask_text(v) if isinstance(v, str) else v for name, v in self.measured.items()},
            "see": self.see,
        }
        return told if self.level is Level.OK else told | {"hint": mask_text(self.hint)}


def ok(question: str, about: str, words: str, **measured: float | str) -> Finding:
    return Finding(id=question, about=about, level=Level.OK, words=words, measured=measured)


def warn(question: str, about: str, words: str, **measured: float | str) -> Finding:
    return Finding(id=question, about=about, level=Level.WARN, words=words, measured=measured)


def fail(question: str, about: str, words: str, **measured: float | str) -> Finding:
    return Finding(id=question, about=about, level=Level.FAIL, words=words, measured=measured)


_UNITS = {"ms": "ms", "seconds": "s", "days": "days", "minutes": "min"}


def measured_words(measured: Measured) -> str:
    """`commit 3.1 ms, free 12.0 GiB`: the unit stands in the name, as everywhere."""
    return ", ".join(_measured_word(name, value) for name, value in measured.items())


def counted(count: float, many: str) -> str:
    """`1 route`, `1 address`, `1 entry`, `2 routes`."""
    if count != 1:
        return f"{count} {many}"
    if many.endswith("ies"):
        return f"1 {many[:-3]}y"
    return f"1 {many.removesuffix('es' if many.endswith('sses') else 's')}"


def _measured_word(name: str, value: float | str) -> str:
    what, _, unit = name.rpartition("_")
    if name == "uid":
        return f"uid {value}"
    if name in _UNITS:
        what, unit = "", name
    if isinstance(value, str):
        return f"{name.replace('_', ' ')} {mask_text(value)}"
    if unit == "bytes":
        return f"{what.replace('_', ' ')} {_bytes(value)}"
    if unit in _UNITS:
        number = f"{value:.0f}" if value == int(value) else f"{value:.1f}"
        return f"{what.replace('_', ' ')} {number} {_UNITS[unit]}".strip()
    return counted(value, name.replace("_", " "))


def _bytes(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
