"""An office on a real store: with the rule of two people, and without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.staff import Staff, make_staff


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    made = make_staff(tmp_path)
    yield made
    made.close()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Staff]:
    made = make_staff(tmp_path, two_people=False)
    yield made
    made.close()
