"""The questions about a notice that comes in: the same on both databases, by index, and honest when they fail."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from receiver.domain.errors import StoreUnavailableError
from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, Outcome, Table
from receiver.steps.receive import receive_notice
from receiver.store import SqlStore
from receiver.store.received import _Question
from tests.doubles.databases import Database
from tests.doubles.store_rows import AT
from tests.doubles.web_side import web_side_over


def put(store: SqlStore, table: Table, **values: Any) -> None:
    (result,) = store.commit([Outcome(changes=(Insert(table=table, values=values),))])
    assert result.error is None


def test_nonce_and_notice_come_together(store: SqlStore) -> None:
    side = web_side_over(store)
    receive_notice(side.hotline.notice(), side.ports)
    put(store, Table.NONCE, issuer="hotline", nonce="used", request_sha256="x", status_path="", expires_at=AT)
    nonce, notice = store.find_nonce("hotline", "used"), store.find_notice("hotline", "N-1")
    assert nonce is not None
    assert notice is not None
    assert store.find_received("hotline", "used", "N-1") == (nonce, notice)
    assert store.find_received("hotline", "new", "N-1") == (None, notice)
    assert store.find_received("hotline", "used", "N-2") == (nonce, None)
    assert store.find_received("other", "used", "N-1") == (None, None)


def test_key_is_found_by_issuer(store: SqlStore) -> None:
    put(store, Table.ISSUER_KEY, issuer="iwf", kid="k1", thumbprint="t", state="active", revoked_at=AT)
    assert [store.find_key("iwf", "k1")] == list(store.key_overlay())
    assert store.find_key("other", "k1") is None


def test_committed_row_is_seen_at_once(store: SqlStore) -> None:
    """No transaction of an earlier question is left open on the line that is used again."""
    for number in range(3):
        nonce = new_id()
        assert store.find_received("iwf", nonce, "N") == (None, None)
        put(store, Table.NONCE, issuer="iwf", nonce=nonce, request_sha256="x", status_path="", expires_at=number)
        assert store.find_received("iwf", nonce, "N")[0] is not None


@pytest.mark.parametrize("name", ["_key", "_received"])
def test_questions_go_by_index(name: str, sqlite_database: Database) -> None:
    store = sqlite_database.open()
    question: _Question = getattr(store, name)
    with store._db.read() as conn:
        values = ("x",) * len(question._words._order or ())
        plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {question._words.sql}", values)]
    store.close()
    assert len(values) > 1
    assert [step for step in plan if "SEARCH" in step]
    assert not [step for step in plan if "SCAN" in step and "CONSTANT" not in step and "any_row" not in step]


def test_file_that_went_away_is_unavailable(sqlite_database: Database) -> None:
    store = sqlite_database.open()
    store._db.backend.reader.dispose()
    shutil.rmtree(sqlite_database.data_dir)
    with pytest.raises(StoreUnavailableError):
        store.find_key("iwf", "k1")
    store.close()


def test_failed_question_gives_up_its_line(store: SqlStore) -> None:
    lost: list[Any] = []
    event.listen(store._db.backend.reader.pool, "invalidate", lambda *given: lost.append(given))
    with store._db.write() as conn:
        conn.exec_driver_sql("ALTER TABLE nonce RENAME TO nonce_gone")
    with pytest.raises((StoreUnavailableError, DBAPIError)):
        store.find_received("iwf", "n", "N")
    with store._db.write() as conn:
        conn.exec_driver_sql("ALTER TABLE nonce_gone RENAME TO nonce")
    assert len(lost) == 1
    assert store.find_received("iwf", "n", "N") == (None, None)
