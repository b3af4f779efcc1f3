"""Settings files, written as an operator would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.written import Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return put
