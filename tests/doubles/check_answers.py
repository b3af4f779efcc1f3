"""What the tests of `check` share: settings with something added, and answers picked by their id."""

from __future__ import annotations

from collections.abc import Iterable

from receiver.cli.findings import Finding, Level
from receiver.config import Config, load_config
from tests.unit.cli.conftest import Typed


def config_of(typed: Typed, more: str = "") -> Config:
    with (typed.folder / "config.toml").open("a") as file:
        file.write(more)
    return load_config(typed.folder / "config.toml", {})


def answers(found: Iterable[Finding], level: Level | None = None) -> list[str]:
    """The ids, of one level where that is asked."""
    return [finding.id for finding in found if level in (None, finding.level)]


def only(found: Iterable[Finding], question: str) -> Finding:
    (finding,) = [finding for finding in found if finding.id == question]
    return finding


def changed(config: Config, **server: object) -> Config:
    return config.model_copy(update={"server": config.server.model_copy(update=server)})
