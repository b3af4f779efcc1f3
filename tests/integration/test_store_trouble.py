"""Full disks, lost servers, failing syncs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from receiver.domain.errors import StoreUnavailableError
from receiver.domain.ids import new_id
from receiver.domain.outcome import Outcome, Wake
from receiver.domain.status import Track
from receiver.store import SqlStore, StoreBrokenError, open_store, tables
from receiver.store.backend import Failure
from tests.doubles.databases import Database, PostgresServer
from tests.doubles.store_rows import commit, notice_outcome
from tests.support import need_program, wait_until

ROOT = Path(__file__).parents[2]


def fill(store: SqlStore) -> None:
    for _ in range(2000):
        outcome, _, _ = notice_outcome(new_id(), items=25)
        commit(store, outcome)


def notices_in(database: Database) -> set[str]:
    with database.engine().connect() as conn:
        return set(conn.execute(select(tables.notice.c.notice_id)).scalars())


def test_full_disk_loses_nothing_and_recovers(sqlite_database: Database) -> None:
    store = sqlite_database.open()
    outcome, notice, _ = notice_outcome()
    commit(store, outcome)
    limit_pages(store, 200)
    with pytest.raises(StoreUnavailableError, match="free space"):
        fill(store)
    kept = notices_in(sqlite_database)
    assert store.load_notice(notice).items
    with pytest.raises(StoreUnavailableError):
        fill(store)
    limit_pages(store, 1_000_000)
    more, _, _ = notice_outcome("N-2")
    commit(store, more)
    assert notices_in(sqlite_database) == kept | {"N-2"}
    store.close()


def limit_pages(store: SqlStore, pages: int) -> None:
    """The limit belongs to a connection; the pool hands out the same one as long as nobody else asks."""
    with store._db.backend.reader.connect() as conn:
        conn.exec_driver_sql(f"PRAGMA max_page_count={pages}")


def test_disk_error_under_commit_ends_process(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = sqlite_database.open()
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    assert store._db.backend.classify(error, writing=True) is Failure.BROKEN
    assert store._db.backend.classify(error, writing=False) is Failure.AWAY

    def fail(_connection: Any) -> None:
        raise error

    monkeypatch.setattr(store._db.backend.reader.dialect, "do_commit", fail)
    outcome, _, _ = notice_outcome()
    with pytest.raises(StoreBrokenError, match="must end"):
        store.commit([outcome])
    monkeypatch.undo()
    with pytest.raises(StoreBrokenError, match="must end"):
        store.commit([outcome])
    assert store.find_notice("iwf", "N-1") is None
    store.close()
    fresh = sqlite_database.open()
    commit(fresh, outcome)
    fresh.close()


def test_busy_file_is_unavailable(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.store.sqlite._BUSY_SECONDS", 0.1)
    store = sqlite_database.open()
    outcome, _, _ = notice_outcome()
    stranger = sqlite3.connect(sqlite_database.data_dir / "receiver.db", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError):
        store.commit([outcome])
    stranger.execute("ROLLBACK")
    stranger.close()
    commit(store, outcome)
    store.close()


def test_absent_server_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        open_store(f"postgresql:///x?host={tmp_path}", data_key=bytes(32), data_dir=tmp_path)


def test_lost_server_comes_back(postgres_database: Database, postgres_server: PostgresServer) -> None:
    store = postgres_database.open()
    outcome, notice, _ = notice_outcome()
    commit(store, outcome)
    listener, lead = store.wake_listener(), store.try_lead("sequencer")
    assert lead is not None
    more, _, _ = notice_outcome("N-2")
    postgres_server.crash()
    try:
        with pytest.raises(StoreUnavailableError):
            store.commit([more])
        with pytest.raises(StoreUnavailableError):
            store.load_notice(notice)
        with pytest.raises(StoreUnavailableError):
            store.try_lead("sequencer")
        assert not lead.held()
        listener.wait(0.2)
    finally:
        postgres_server.start()
    commit(store, more)
    assert store.find_notice("iwf", "N-2") is not None
    wake = Outcome(wakes=(Wake(track=Track.DELIVER, subject=notice),))
    wait_until(lambda: store.commit([wake])[0].error is None and listener.wait(0.1), "the listener hears again")
    again = store.try_lead("sequencer")
    assert again is not None
    again.release()
    listener.close()
    lead.release()
    store.close()


def test_lost_answer_is_asked_for(postgres_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = postgres_database.open()
    dialect = store._db.backend.writer.dialect
    really_commit, breaks = dialect.do_commit, ["after"]

    def do_commit(connection: Any) -> None:
        breaks_when = breaks.pop() if breaks else "never"
        if breaks_when != "before":
            really_commit(connection)
        if breaks_when != "never":
            connection.dbapi_connection.close()
            raise psycopg.OperationalError("the line broke")

    monkeypatch.setattr(dialect, "do_commit", do_commit)
    outcome, notice, _ = notice_outcome()
    commit(store, outcome)
    assert store.load_notice(notice).items

    breaks.append("before")
    more, _, _ = notice_outcome("N-2")
    with pytest.raises(StoreUnavailableError):
        store.commit([more])
    commit(store, more)

    # The server crashed, forgot the transaction, and gave its number to another one, which it committed.
    breaks.append("before")
    monkeypatch.setattr(store._db.backend, "committed", lambda _transaction: True)
    lost, lost_notice, _ = notice_outcome("N-3")
    with pytest.raises(StoreUnavailableError):
        store.commit([lost])
    assert store.find_notice("iwf", "N-3") is None
    commit(store, lost)
    assert store.load_notice(lost_notice).items
    store.close()


def test_number_the_server_forgot_is_not_committed(postgres_database: Database) -> None:
    store = postgres_database.open()
    with store._db.write() as conn:
        known = store._db.backend.transaction_id(conn)
    assert store._db.backend.committed(str(known))
    assert not store._db.backend.committed(str(int(str(known)) + 1_000_000))
    store.close()


WRITER = """
import sys
from pathlib import Path
from receiver.domain.errors import StoreUnavailableError
from receiver.store import StoreBrokenError, open_store
from tests.doubles.store_rows import notice_outcome
url, key, folder = sys.argv[1:]
store = open_store(url, data_key=bytes.fromhex(key), data_dir=Path(folder))
for number in range(6):
    try:
        (result,) = store.commit([notice_outcome(f"N-{number}")[0]])
        print("written" if result.error is None else "refused")
    except StoreUnavailableError:
        print("unavailable")
    except StoreBrokenError:
        print("broken")
"""


def write_under(fault: str, database: Database) -> list[str]:
    strace = need_program("strace")
    log = f"{make_url(database.url).database}-wal"
    words = [database.url, database.data_key.hex(), str(database.data_dir)]
    inject = ["-qq", "-f", "-o", "/dev/null", "-P", log, "-e", f"inject={fault}"]
    command = [strace, *inject, sys.executable, "-c", WRITER, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def test_failed_fsync_ends_writing(sqlite_database: Database) -> None:
    sqlite_database.open().close()
    said = write_under("fdatasync:error=EIO:when=3", sqlite_database)
    assert "broken" in said
    assert set(said[said.index("broken") :]) == {"broken"}
    store = sqlite_database.open()
    found = notices_in(sqlite_database)
    assert {f"N-{n}" for n, word in enumerate(said) if word == "written"} <= found
    store.close()


def test_disk_full_for_a_moment_passes(sqlite_database: Database) -> None:
    sqlite_database.open().close()
    said = write_under("pwrite64:error=ENOSPC:when=20..22", sqlite_database)
    assert "unavailable" in said
    assert said[-1] == "written"
    store = sqlite_database.open()
    found = notices_in(sqlite_database)
    assert found == {f"N-{n}" for n, word in enumerate(said) if word == "written"}
    store.close()
