"""Both databases for every integration test."""

from __future__ import annotations

from tests.doubles.databases import (  # noqa: F401 - pytest finds fixtures by their names here
    database,
    postgres_database,
    postgres_server,
    postgres_template,
    sqlite_database,
    sqlite_template,
    store,
)
