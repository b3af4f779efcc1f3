"""Types the program's own commands, as an operator would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from receiver.demo.errors import DemoError

SECONDS = 60.0
SOURCE = Path(__file__).parents[2]
"""What `python -m receiver` is found from, whatever folder the demo was started in."""
SETTING_PREFIX = "TAKEDOWN_"


def command_line(*words: str | Path, config: Path | None = None) -> list[str]:
    settings = [] if config is None else ["--config", str(config)]
    return [sys.executable, "-m", "receiver", *settings, *(str(word) for word in words)]


def environment() -> dict[str, str]:
    """Settings of a real receiver on this machine must not reach the demo."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SETTING_PREFIX)}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")]))}


def type_command(*words: str | Path, config: Path | None = None, may_end: Sequence[int] = (0,)) -> str:
    """What it printed. Raises DemoError with its own last words."""
    argv = command_line(*words, config=config)
    try:
        ended = subprocess.run(
            argv, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"`takedown-receiver {words[0]}` did not end within {SECONDS:g} s") from error
    if ended.returncode not in may_end:
        said = "\n".join((ended.stderr or ended.stdout).strip().splitlines()[-12:])
        raise DemoError(f"`takedown-receiver {words[0]}` ended with {ended.returncode}:\n{said}")
    return ended.stdout


def ask_command(*words: str | Path, config: Path | None = None, may_end: Sequence[int] = (0,)) -> Mapping[str, Any]:
    """The same, for commands that print JSON."""
    found: Mapping[str, Any] = json.loads(type_command(*words, "--json", config=config, may_end=may_end))
    return found
