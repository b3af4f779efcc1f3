"""What the tests of the filesystem adapter share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.filesystem import blocking
from tests.doubles.kernel_calls import kernel  # noqa: F401 - pytest finds fixtures by their names here
from tests.doubles.numbers import set_numbers
from tests.unit.adapters.agent_in_thread import agent, storage  # noqa: F401 - the same
from tests.unit.adapters.docroot import MOVED, Docroot


@pytest.fixture
def few_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    set_numbers(monkeypatch, blocking, MAX_NAMES=MOVED)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Docroot]:
    made = Docroot(tmp_path)
    yield made
    made.clear()
