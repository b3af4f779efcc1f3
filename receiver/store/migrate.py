"""Bringing the tables up to date, under a lock, and refusing tables from the future."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from receiver.store.database import Database, backend_for
from receiver.store.errors import SchemaError

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 0x74616B65
"""Among all programs on this PostgreSQL server that take advisory locks, the one for our migrations."""


def upgrade(url: str) -> str:
    """Bring the tables to this program's version, in one transaction, and return that version.

    Whoever comes second waits and finds nothing to do. Raises SchemaError for tables from a newer program.
    """
    if current_version(url) == known_version():
        # Most processes find it so, and many may not write here at all.
        return known_version()
    with _opened(url) as db, db.write() as conn:
        if db.backend.name == "postgresql":
            # A migration of many rows may take longer than any step.
            conn.execute(text("SET LOCAL statement_timeout = 0"))
            conn.execute(text("SET LOCAL lock_timeout = 0"))
            conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        _refuse_newer(_version(conn))
        config = _config()
        config.attributes["connection"] = conn
        command.upgrade(config, "head")
    return known_version()


def current_version(url: str) -> str | None:
    """The version of the tables in the database, or None where there are none yet."""
    with _opened(url) as db, db.read() as conn:
        return _version(conn)


def known_version() -> str:
    """The version of the tables that this program works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def refuse_wrong_schema(url: str) -> None:
    """Raises SchemaError unless the tables are exactly those of this program."""
    found = current_version(url)
    if found == known_version():
        return
    _refuse_newer(found)
    state = "has no tables yet" if found is None else f"has tables of version {found}"
    raise SchemaError(f"the database {state}, this program needs {known_version()}; run `takedown-receiver db upgrade`")


def _refuse_newer(found: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaError(
            f"the database has tables of version {found}, which is newer than this program ({known_version()});"
            " install the newer program again, or restore the backup made before its upgrade"
        )


def _version(conn: Connection) -> str | None:
    return MigrationContext.configure(conn).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    path = make_url(url).database or "."
    backend = backend_for(url, Path(path).parent)
    try:
        yield Database(backend)
    finally:
        backend.close()
