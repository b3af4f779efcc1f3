"""Mistakes in the settings. All are reported together, each with the place in the documents that explains it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from receiver.domain.errors import ReceiverError

DOCUMENT = "docs/settings.md"


@dataclass(frozen=True, kw_only=True)
class ConfigProblem:
    """One mistake. Never holds the value, which may be a secret that was pasted into the wrong place."""

    id: str
    """Stable, `C01` and so on: what people search for."""
    setting: str
    """Where it stands, as in `issuers.iwf.callback_url`; empty for the file as a whole."""
    message: str
    hint: str
    about: str = ""
    """The setting as documented (`issuers.callback_url`), where that is not `setting` itself."""

    @property
    def anchor(self) -> str:
        return anchor_of(self.about or self.setting)

    def line(self) -> str:
        """For people: what is wrong, what to do, where to read on."""
        where = f"{self.setting}: " if self.setting else ""
        return f"{self.id} {where}{self.message}. {self.hint} (see {self.anchor})"


class ConfigError(ReceiverError):
    """The settings cannot be used. Nothing was started with them."""

    def __init__(self, problems: Sequence[ConfigProblem], rest: object = None) -> None:
        self.problems = tuple(problems)
        self.rest = rest
        """A `Config` in which tables with a mistake are as if nothing were set; `check` looks at the others."""
        super().__init__("\n".join(problem.line() for problem in self.problems))


def anchor_of(setting: str) -> str:
    """The heading of a documented setting (`issuers.callback_url`), as Markdown viewers name it."""
    name = re.sub(r"[^a-z0-9_-]", "", setting.lower())
    return f"{DOCUMENT}#{name}" if name else DOCUMENT
