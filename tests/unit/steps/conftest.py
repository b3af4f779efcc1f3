"""A web side of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.web_side import WebSide, make_web_side


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebSide]:
    side = make_web_side(tmp_path)
    yield side
    side.store.close()
