"""What the tests of the filesystem adapter share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.adapters.agent_in_thread import agent, storage  # noqa: F401 - pytest finds fixtures by their names here
from tests.unit.adapters.docroot import Docroot


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Docroot]:
    made = Docroot(tmp_path)
    yield made
    made.clear()
