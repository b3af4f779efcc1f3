"""Tables, rows and schema versions agree with one another."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, text

from receiver.domain.outcome import Table
from receiver.store import (
    DataKeyError,
    SchemaError,
    UnsafePlaceError,
    current_version,
    known_version,
    open_store,
    places,
)
from receiver.store import upgrade as upgrade_tables
from receiver.store.codec import COLUMNS
from receiver.store.places import filesystem_magic, refuse_network_filesystem
from receiver.store.rowmaker import TABLE_OF
from receiver.store.tables import metadata

KEY = bytes(32)


@pytest.mark.parametrize("kind", TABLE_OF, ids=lambda kind: kind.__name__)
def test_every_field_has_its_column(kind: type[Any]) -> None:
    assert {field.name for field in fields(kind)} <= set(TABLE_OF[kind].columns.keys())


def test_every_named_table_exists() -> None:
    assert {table.value for table in Table} <= set(metadata.tables)
    for table, columns in COLUMNS.items():
        assert set(columns) <= set(metadata.tables[table].columns.keys())


def test_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/r.db"
    upgrade_tables(url)
    with create_engine(url, poolclass=NullPool).connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []


def test_second_upgrade_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/r.db"
    assert current_version(url) is None
    assert upgrade_tables(url) == upgrade_tables(url) == known_version() == current_version(url)


def test_upgrades_at_once_agree(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/r.db"
    code = f"from receiver.store import upgrade; upgrade({url!r})"
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3]) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert current_version(url) == known_version()


def test_newer_tables_are_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/r.db"
    upgrade_tables(url)
    with create_engine(url, poolclass=NullPool).begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match="newer than this program"):
        upgrade_tables(url)
    with pytest.raises(SchemaError, match="newer than this program"):
        open_store(url, data_key=KEY, data_dir=tmp_path, create=True)
    with pytest.raises(SchemaError, match="newer than this program"):
        open_store(url, data_key=KEY, data_dir=tmp_path)


def test_absent_tables_name_the_command(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="db upgrade"):
        open_store(f"sqlite:///{tmp_path}/r.db", data_key=KEY, data_dir=tmp_path)


def test_other_data_key_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/r.db"
    open_store(url, data_key=KEY, data_dir=tmp_path, create=True).close()
    open_store(url, data_key=KEY, data_dir=tmp_path).close()
    with pytest.raises(DataKeyError, match="another data key"):
        open_store(url, data_key=b"\x01" * 32, data_dir=tmp_path)


def test_foreign_databases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="mysql"):
        upgrade_tables("mysql://localhost/x")
    with pytest.raises(SchemaError, match="memory"):
        upgrade_tables("sqlite://")
    with pytest.raises(UnsafePlaceError, match="create it first"):
        upgrade_tables(f"sqlite:///{tmp_path}/none/r.db")


def test_network_filesystem_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_network_filesystem(tmp_path)
    monkeypatch.setattr(places, "_NETWORK", {filesystem_magic(tmp_path): "NFS"})
    with pytest.raises(UnsafePlaceError, match="NFS"):
        upgrade_tables(f"sqlite:///{tmp_path}/r.db")
    assert not (tmp_path / "r.db").exists()


def test_database_file_is_private(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/r.db", data_key=KEY, data_dir=tmp_path, create=True).close()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("r.db*")} == {0o600}
