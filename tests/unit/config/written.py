"""Settings files as tests write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from receiver.config import ConfigError, load_config

MINIMAL = """
[server]
public_origins = ["https://notices.host.example"]
"""

Write = Callable[[str], Path]


def ids_of(path: Path, **environ: str) -> dict[str, str]:
    """Setting to problem id."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ)
    return {problem.setting: problem.id for problem in caught.value.problems}
