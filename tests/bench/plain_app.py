"""What P3 is measured against: Flask under the same gunicorn, making the same inserts in one transaction, no more.

It verifies nothing, encrypts nothing and signs nothing. Its rows are as long as the product's, and like there rows of
one table go in one statement. It has the product's own lock around its writers: without it SQLite's waiting would slow
this application down and flatter ours.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, request
from sqlalchemy import Connection, LargeBinary, Table, create_engine, event, insert
from sqlalchemy.types import Boolean, Integer

from receiver.domain.ids import new_id
from receiver.processes.gunicorn_app import Face, Listen
from receiver.store import tables, upgrade
from receiver.store.sqlite import WriteLock

LENGTHS = {
    "message": {"signature_input": 229, "signature": 124, "covered": 597},
    "nonce": {"request_sha256": 64, "status_path": 34},
    "notice": {"body_sha256": 64, "handling": 177},
    "item": {"url": 89, "host": 50, "url_hmac": 64, "details": 117},
    "event": {"data": 432},
    "entry_detail": {"data": 502},
}
"""What the product's columns hold of such notices, in characters or bytes."""
OTHER_TEXT, OTHER_BYTES = 20, 32
RECEIPT_CHARACTERS = (204, 42)
"""For the notice, and more for each item."""
EMPTY = frozenset({"canonical", "reason", "approved_by", "last_error", "reference"})


def make_app(database: Path, items: int) -> Flask:
    engine = create_engine(f"sqlite:///{database}", pool_size=16, connect_args={"isolation_level": None, "timeout": 30})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN IMMEDIATE"))
    lock = WriteLock(database.with_suffix(".lock"))
    app = Flask("plain")

    @app.get("/readyz")
    def ready() -> str:
        return "ready"

    @app.post("/v1/notices")
    def take() -> tuple[dict[str, Any], int]:
        body = request.environ["wsgi.input"].read(request.content_length or 0)
        with engine.connect() as conn, lock.held(), conn.begin():
            notice = insert_notice(conn, body, items)
        return {"notice_id": notice}, 202

    return app


def insert_notice(conn: Connection, body: bytes, items: int) -> str:
    """The rows of one notice, table by table as the product writes them."""
    now = int(time.time() * 1_000_000)
    message, notice = new_id(), new_id()
    _put(conn, tables.message, now, [{"id": message, "body": body}])
    _put(conn, tables.nonce, now, [{"issuer": "demo-hotline", "nonce": new_id(), "expires_at": now}])
    whole, each = RECEIPT_CHARACTERS
    receipt = "x" * (whole + each * items)
    row = {"id": notice, "notice_id": notice, "message_id": message, "receipt": receipt}
    _put(conn, tables.notice, now, [row])
    names = [new_id() for _ in range(items)]
    _put(conn, tables.item, now, [{"id": name, "notice": notice, "item_id": str(n)} for n, name in enumerate(names)])
    events = [
        {"id": new_id(), "notice": notice, "item": name, "item_id": str(n), "sequence": n}
        for n, name in enumerate(names)
    ]
    _put(conn, tables.event, now, events)
    entry = new_id()
    _put(conn, tables.entry, now, [{"id": entry, "kind": "notice.accepted", "subject": notice, "seq": None}])
    _put(conn, tables.entry_detail, now, [{"entry": entry}])
    _put(conn, tables.work, now, [{"track": "resolve", "subject": notice, "due_at": None, "owner": None}])
    return notice


def _put(conn: Connection, table: Table, now: int, rows: list[dict[str, Any]]) -> None:
    filled = FILLERS.setdefault(table.name, _filler(table))
    conn.execute(insert(table), [{**filled, "created_at": now, **row} for row in rows])


FILLERS: dict[str, dict[str, Any]] = {}


def _filler(table: Table) -> dict[str, Any]:
    """Something of the right kind and length for every column."""
    lengths = LENGTHS.get(table.name, {})
    found: dict[str, Any] = {}
    for column in table.columns:
        if column.nullable and column.name in EMPTY:
            found[column.name] = None
        elif isinstance(column.type, LargeBinary):
            found[column.name] = os.urandom(lengths.get(column.name, OTHER_BYTES))
        elif isinstance(column.type, Boolean):
            found[column.name] = False
        elif isinstance(column.type, Integer):
            found[column.name] = 0
        else:
            found[column.name] = "x" * lengths.get(column.name, OTHER_TEXT)
    return found


def _on_connect(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def main(database: Path, port: int, items: int) -> None:
    if not database.exists():
        upgrade(f"sqlite:///{database}")

    def build() -> tuple[Any, Callable[[], None]]:
        return make_app(database, items), lambda: None

    Face(Listen(bind=f"127.0.0.1:{port}"), build=build).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
