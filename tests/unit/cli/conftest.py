"""A made folder, and the command as people type it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from receiver.cli import main
from receiver.config import Config, load_config
from receiver.keyfiles import init_folder
from receiver.vault.age import new_identity

MEMORY = """
[adapters.www]
type = "memory"

[gates.front]
type = "memory"

[caches.edge]
type = "memory"
"""


@dataclass(frozen=True, kw_only=True)
class Typed:
    """Types commands against one settings folder."""

    folder: Path

    def __call__(self, *words: str, stdin: str = "", code: int = 0) -> Result:
        argv = ["--config", str(self.folder / "config.toml"), *words]
        # Somebody else on this machine may listen on the usual ports, and `check` would say so.
        faces = {f"TAKEDOWN_SERVER__{face}_BIND": f"unix:{self.folder}/{face}.sock" for face in ("PUBLIC", "ADMIN")}
        env = faces if words[0] == "check" else {}
        result = CliRunner(env=env).invoke(main, argv, input=stdin, prog_name="takedown-receiver")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def json(self, *words: str, stdin: str = "", code: int = 0) -> Any:
        return json.loads(self(*words, "--json", stdin=stdin, code=code).stdout)


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """Made by `init`, with custodians and in-memory adapters."""
    folder = tmp_path / "receiver"
    init_folder(folder, origin="https://notices.host.example")
    recipients = [new_identity()[1] for _ in range(2)]
    (folder / "keys" / "custodians.txt").write_text("\n".join(recipients) + "\n")
    with (folder / "config.toml").open("a") as file:
        file.write(MEMORY)
    return Typed(folder=folder)


@pytest.fixture
def database(typed: Typed) -> Callable[..., Any]:
    """The same, with tables."""
    typed("db", "upgrade")
    return typed


@pytest.fixture
def database_config(database: Typed) -> Config:
    """Its settings, read."""
    return load_config(database.folder / "config.toml", {})
