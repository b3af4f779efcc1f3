"""Both databases for every integration test, and a small world on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from receiver.store import SqlStore
from tests.doubles.databases import (  # noqa: F401 - pytest finds fixtures by their names here
    database,
    postgres_database,
    postgres_server,
    postgres_template,
    sqlite_database,
    sqlite_template,
    store,
)
from tests.doubles.make_world import make_world
from tests.doubles.worker_stand import build, steps  # noqa: F401 - the same
from tests.doubles.world import World


@pytest.fixture
def world(tmp_path: Path, store: SqlStore) -> World:  # noqa: F811 - the fixture imported above
    """On SQLite and on PostgreSQL."""
    return make_world(tmp_path, store)
