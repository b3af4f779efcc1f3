"""The tables behind `Denials`, and how a connection to them is made."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.contract import AdapterError, Retryable
from adapters.nginx.files import sync_folder

VERSION = 1
BUSY_SECONDS = 30.0
RETRY_SECONDS = 30

TABLES = """
-- `live`: the digest of the map file that nginx was last seen to use.
-- `whole`: that map file is still in the first form, without files behind it.
CREATE TABLE mark (id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, live TEXT NOT NULL, whole INTEGER NOT NULL);

-- `live`: nginx was seen with it. `leaving`: taken back, until nginx is seen without it.
CREATE TABLE op (
    id INTEGER PRIMARY KEY, op_id TEXT NOT NULL UNIQUE, live INTEGER NOT NULL, leaving INTEGER NOT NULL);
CREATE INDEX op_pending ON op (id) WHERE live = 0 OR leaving = 1;

CREATE TABLE rule (
    op INTEGER NOT NULL, host TEXT NOT NULL, path BLOB NOT NULL, query BLOB NOT NULL, any_query INTEGER NOT NULL);
CREATE INDEX rule_op ON rule (op);

-- Taken back for good. A deny of one of them is late: it was sent before it was taken back.
CREATE TABLE spent (id INTEGER PRIMARY KEY AUTOINCREMENT, op_id TEXT NOT NULL UNIQUE);

-- What the maps are to hold: `ops` counts the operations that want the line, and no line has none.
CREATE TABLE line (
    kind INTEGER NOT NULL, place INTEGER NOT NULL, key BLOB NOT NULL, ops INTEGER NOT NULL,
    PRIMARY KEY (kind, place, key)) WITHOUT ROWID;

-- The files behind the map file that nginx was last seen to use.
CREATE TABLE node (
    kind INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (kind, place)) WITHOUT ROWID;

-- Files that nginx no longer includes; the next switch removes them.
CREATE TABLE dropped (name TEXT PRIMARY KEY) WITHOUT ROWID;

INSERT INTO mark VALUES (1, 0, '', 1);
"""


def connect(path: str) -> sqlite3.Connection:
    """The file is made if it is missing; whether it has tables is for `is_new` to say."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        sync_folder(os.path.dirname(path))
    link = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        link.execute("PRAGMA journal_mode = WAL")
        link.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        link.close()
        raise
    return link


def is_new(link: sqlite3.Connection) -> bool:
    version = link.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, VERSION):
        raise AdapterError("the gate's book is of a later version of this software")
    return bool(version == 0)


def make_tables(link: sqlite3.Connection) -> None:
    # One by one: a script would end the transaction that this is part of.
    for statement in TABLES.split(";\n"):
        link.execute(statement)
    link.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def in_our_words() -> Iterator[None]:
    """What SQLite reports, as what it means for the operator."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        why = "the gate's book cannot be read or written now; see whether its disk is full or fails"
        raise Retryable(why, after_seconds=RETRY_SECONDS) from exc
    except sqlite3.DatabaseError as exc:
        raise AdapterError("the gate's book cannot be read; restore it from a backup") from exc
