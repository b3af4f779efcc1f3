"""What `check` asks of a database beyond whether it opens: is a commit kept, and what may this role do."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from receiver.store.database import Part
from receiver.store.grants import FACES, columns_of

_SAFE_SETTINGS = {"fsync": "on", "full_page_writes": "on"}


@dataclass(frozen=True, kw_only=True)
class DatabaseFacts:
    kind: str
    version: str
    size_bytes: int
    unsafe: tuple[str, ...]
    """Settings under which a confirmed commit can be lost, in words."""
    role_fits: tuple[str, ...]
    """Of web, admin and worker: those whose every grant this role has. Empty for SQLite, which has no roles."""
    role_lacks: tuple[str, ...]
    """What the role lacks of the face that it is nearest to."""
    role_is_owner: bool
    """It may do anything, whatever the grants say."""


class Probes(Part):
    def facts(self) -> DatabaseFacts:
        """Raises StoreUnavailableError."""
        with self._db.read() as conn:
            return _postgres(conn) if self._db.backend.name == "postgresql" else _sqlite(conn)


def _sqlite(conn: Connection) -> DatabaseFacts:
    def pragma(name: str) -> str:
        return str(conn.exec_driver_sql(f"PRAGMA {name}").scalar_one())

    unsafe = [] if pragma("journal_mode") == "wal" else ["it keeps no write-ahead log"]
    # 2 is FULL, 3 is EXTRA: less, and the last commits are gone after a power cut.
    unsafe += [] if pragma("synchronous") in ("2", "3") else ["its commits are not synced"]
    return DatabaseFacts(
        kind="SQLite",
        version=str(conn.exec_driver_sql("SELECT sqlite_version()").scalar_one()),
        size_bytes=int(pragma("page_count")) * int(pragma("page_size")),
        unsafe=tuple(unsafe),
        role_fits=(),
        role_lacks=(),
        role_is_owner=False,
    )


def _postgres(conn: Connection) -> DatabaseFacts:
    def value(query: str) -> str:
        return str(conn.execute(text(query)).scalar_one())

    shown = {name: value(f"SHOW {name}") for name in (*_SAFE_SETTINGS, "synchronous_commit")}
    unsafe = [f"{name} is {shown[name]}" for name, wanted in _SAFE_SETTINGS.items() if shown[name] != wanted]
    unsafe += ["synchronous_commit is off"] if shown["synchronous_commit"] == "off" else []
    lacks = {face: _lacks(conn, face) for face in FACES}
    nearest = min(FACES, key=lambda face: len(lacks[face]))
    owner = "SELECT bool_or(pg_has_role(current_user, relowner, 'MEMBER')) FROM pg_class WHERE oid = 'notice'::regclass"
    return DatabaseFacts(
        kind="PostgreSQL",
        version=value("SHOW server_version").split(" ")[0],
        size_bytes=int(value("SELECT pg_database_size(current_database())")),
        unsafe=tuple(unsafe),
        role_fits=tuple(face for face in FACES if not lacks[face]),
        role_lacks=lacks[nearest],
        role_is_owner=value(owner) == "True",
    )


def _lacks(conn: Connection, face: str) -> tuple[str, ...]:
    """`UPDATE on notice`, for each grant of this face that the role of this connection does not have."""
    found = []
    for table, allowed in FACES[face].items():
        for act in allowed:
            verb, columns = columns_of(act)
            asked = [
                conn.execute(_HAS_COLUMN, {"t": f'"{table}"', "c": column, "p": verb}).scalar_one()
                for column in columns
            ] or [conn.execute(_HAS_TABLE, {"t": f'"{table}"', "p": verb}).scalar_one()]
            if not all(asked):
                found.append(f"{verb} on {table}")
    return tuple(found)


_HAS_TABLE = text("SELECT has_table_privilege(:t, :p)")
_HAS_COLUMN = text("SELECT has_column_privilege(:t, :c, :p)")
