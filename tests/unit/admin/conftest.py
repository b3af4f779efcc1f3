"""An office with one person of each role."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.staff import Staff, make_staff


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    made = make_staff(tmp_path)
    made.one_of_each()
    yield made
    made.close()
