"""Full disks, lost servers, racing writers, and what lies in the files."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from receiver.domain.errors import ConflictError, StoreUnavailableError
from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, LedgerNote, NewEvent, Outcome, Table, Update, Wake
from receiver.domain.status import ItemStatus, Track
from receiver.store import SqlStore, StoreBrokenError, open_store
from receiver.store.backend import Failure
from tests.doubles.databases import Database, PostgresServer
from tests.doubles.store_rows import AT, BODY, HOST, LOCATOR, URL, case_outcome, message_values, notice_outcome
from tests.support import need_program, wait_until

ROOT = Path(__file__).parents[2]
SECRETS = (URL.encode(), HOST.encode(), LOCATOR, BODY, b"raw-body-marker", b"secret-host", b"customer-folder", b"POL-7")


def put(store: SqlStore, *outcomes: Outcome) -> None:
    for result in store.commit(outcomes):
        if result.error is not None:
            raise result.error


def everything(store: SqlStore) -> tuple[str, str]:
    """One row with secrets in every table that may hold some."""
    outcome, notice, (item,) = notice_outcome()
    made, case = case_outcome(item)
    act = {"op_id": "op", "case": case, "track": Track.EXPOSURE, "kind": "block", "target": "www", "begun_at": AT}
    told = {"url": URL, "raw": BODY}
    message = new_id()
    direction = {
        "id": new_id(), "direction_id": "D", "notice": notice, "message_id": message, "kind": "hold",
        "reason": URL, "reference": "POL-7", "issued_at": AT,
    }  # fmt: skip
    decision = {
        "id": new_id(), "case": case, "kind": "release", "actor": "ann", "reason": URL, "request_sha256": "x",
        "state": "asked",
    }  # fmt: skip
    rest = Outcome(
        changes=(
            Insert(table=Table.ACT, values=act | {"intent": told}),
            Update(table=Table.ACT, where={"op_id": "op"}, values={"receipt": told}),
            Update(table=Table.ITEM, where={"id": item}, values={"canonical": URL}),
            Insert(table=Table.HOLD, values={"id": new_id(), "case": case, "origin": "iwf", "reference": "POL-7"}),
            Insert(table=Table.MESSAGE, values=message_values(message)),
            Insert(table=Table.DIRECTION, values=direction),
            Insert(table=Table.DECISION, values=decision),
        ),
        events=(NewEvent(notice=notice, item=item, item_id="1", status=ItemStatus.DISABLED, data={"url": URL}),),
        notes=(LedgerNote(kind="k", subject=case, actor=HOST, detail=told),),
    )
    put(store, outcome.plus(made), rest)
    return notice, case


def test_files_hold_no_clear_secrets(sqlite_database: Database) -> None:
    store = sqlite_database.open()
    everything(store)
    files = sorted(sqlite_database.data_dir.glob("receiver.db*"))
    assert {path.name for path in files} >= {"receiver.db", "receiver.db-wal", "receiver.db-shm"}
    live = b"".join(path.read_bytes() for path in files)
    assert b"colour-field" not in live
    assert [secret for secret in SECRETS if secret in live] == []
    store.close()
    rest = (sqlite_database.data_dir / "receiver.db").read_bytes()
    assert [secret for secret in SECRETS if secret in rest] == []


def test_postgres_holds_no_clear_secrets(postgres_database: Database) -> None:
    store = postgres_database.open()
    everything(store)
    with postgres_database.engine().connect() as conn:
        tables = conn.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        dump = repr([conn.execute(text(f'SELECT * FROM "{table}"')).all() for table in tables])
    assert "N-1" in dump
    assert [secret for secret in SECRETS if secret.decode() in dump] == []
    store.close()


def test_errors_show_no_secrets(store: SqlStore) -> None:
    outcome, notice, (item,) = notice_outcome()
    put(store, outcome)
    clash = Insert(
        table=Table.ITEM,
        values={
            "id": new_id(), "notice": notice, "item_id": "1", "url": URL, "host": HOST, "status": "received",
            "status_at": AT,
        },
    )  # fmt: skip
    bad = Update(table=Table.ITEM, where={"id": item}, values={"details": {URL: object()}, "url": URL})
    wrong = Update(table=Table.CASE, where={"locator": LOCATOR}, values={"customer": "x"})
    for result in store.commit([Outcome(changes=(change,)) for change in (clash, bad, wrong)]):
        assert result.error is not None
        words = _chain(result.error)
        assert [secret for secret in SECRETS if secret.decode() in words] == []


def _chain(error: BaseException | None) -> str:
    words = ""
    while error is not None:
        words += repr(error) + str(error)
        error = error.__cause__ or error.__context__
    return words


def test_sequences_have_no_gaps_between_threads(store: SqlStore) -> None:
    outcome, notice, items = notice_outcome(items=3)
    put(store, outcome)

    def tell(item: str) -> None:
        for number in range(15):
            event = NewEvent(notice=notice, item=item, item_id="1", status=ItemStatus.FAILED, data={"n": number})
            spoiled = Insert(table=Table.ITEM, values={"id": item, "notice": notice, "item_id": "1", "url": URL,
                                                       "host": HOST, "status": "failed", "status_at": 0})  # fmt: skip
            results = store.commit([Outcome(events=(event,)), Outcome(events=(event,), changes=(spoiled,))])
            assert [type(result.error) for result in results] == [type(None), ConflictError]

    threads = [threading.Thread(target=tell, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.sequence for event in store.events_of(notice)] == list(range(1, 3 + 45 + 1))


CHILD = """
import sys
from pathlib import Path
from receiver.domain.outcome import NewEvent, Outcome
from receiver.domain.status import ItemStatus
from receiver.store import open_store
url, key, folder, notice, item = sys.argv[1:]
store = open_store(url, data_key=bytes.fromhex(key), data_dir=Path(folder))
event = NewEvent(notice=notice, item=item, item_id="1", status=ItemStatus.FAILED, data={})
for _ in range(20):
    assert all(result.error is None for result in store.commit([Outcome(events=(event,))] * 2))
store.close()
"""


def test_sequences_have_no_gaps_between_processes(store: SqlStore, database: Database) -> None:
    outcome, notice, (item,) = notice_outcome()
    put(store, outcome)
    words = [database.url, database.data_key.hex(), str(database.data_dir), notice, item]
    children = [subprocess.Popen([sys.executable, "-c", CHILD, *words], cwd=ROOT) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    assert [event.sequence for event in store.events_of(notice)] == list(range(1, 82))


def test_crossing_batches_do_not_deadlock(store: SqlStore) -> None:
    cases, notices, items = [], [], []
    for number in range(4):
        outcome, notice, (item,) = notice_outcome(f"N-{number}")
        made, case = case_outcome(item, locator=b"l%d" % number)
        put(store, outcome.plus(made))
        cases.append(case)
        notices.append(notice)
        items.append(item)

    def bump(order: list[int]) -> None:
        for _ in range(15):
            told = [
                NewEvent(notice=notices[n], item=items[n], item_id="1", status=ItemStatus.FAILED, data={})
                for n in order
            ]
            put(store, *(Outcome(bumps=(cases[n],), events=(event,)) for n, event in zip(order, told, strict=True)))

    threads = [threading.Thread(target=bump, args=(order,)) for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.load_case(case).case.revision for case in cases] == [45] * 4


def test_unforeseen_deadlock_is_tried_again(postgres_database: Database, postgres_server: PostgresServer) -> None:
    name = make_url(postgres_database.url).database
    postgres_server.run(f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'")
    store = postgres_database.open()
    outcome, notice, _ = notice_outcome(items=2)
    put(store, outcome)

    def change(order: list[str]) -> None:
        for number in range(30):
            rows = [{"notice": notice, "item_id": item_id} for item_id in order]
            changes = [Update(table=Table.ITEM, where=row, values={"status_at": AT + number}) for row in rows]
            put(store, Outcome(changes=tuple(changes)))

    threads = [threading.Thread(target=change, args=(order,)) for order in (["1", "2"], ["2", "1"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {item.status_at for item in store.load_notice(notice).items} == {AT + 29}
    store.close()


def fill(store: SqlStore) -> None:
    for _ in range(2000):
        outcome, _, _ = notice_outcome(new_id(), items=25)
        put(store, outcome)


def test_full_disk_loses_nothing_and_recovers(sqlite_database: Database) -> None:
    store = sqlite_database.open()
    outcome, notice, _ = notice_outcome()
    put(store, outcome)
    limit_pages(store, 200)
    with pytest.raises(StoreUnavailableError, match="free space"):
        fill(store)
    kept = len(store.list_notices("iwf", None, 5000))
    assert store.load_notice(notice).items
    with pytest.raises(StoreUnavailableError):
        fill(store)
    limit_pages(store, 1_000_000)
    more, _, _ = notice_outcome("N-2")
    put(store, more)
    assert len(store.list_notices("iwf", None, 5000)) == kept + 1
    store.close()


def limit_pages(store: SqlStore, pages: int) -> None:
    """The limit belongs to a connection; the pool hands out the same one as long as nobody else asks."""
    with store._db.backend.reader.connect() as conn:
        conn.exec_driver_sql(f"PRAGMA max_page_count={pages}")


def test_disk_error_under_commit_ends_process(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = sqlite_database.open()
    error = sqlite3.OperationalError("disk I/O error")
    monkeypatch.setattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR_FSYNC, raising=False)
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
    put(fresh, outcome)
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
    put(store, outcome)
    store.close()


def test_absent_server_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        open_store(f"postgresql:///x?host={tmp_path}", data_key=bytes(32), data_dir=tmp_path)


def test_lost_server_comes_back(postgres_database: Database, postgres_server: PostgresServer) -> None:
    store = postgres_database.open()
    outcome, notice, _ = notice_outcome()
    put(store, outcome)
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
    put(store, more)
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
    commit = dialect.do_commit

    def hang_up(connection: Any) -> None:
        monkeypatch.setattr(dialect, "do_commit", commit)
        connection.dbapi_connection.close()
        raise psycopg.OperationalError("the line broke")

    def commit_and_hang_up(connection: Any) -> None:
        commit(connection)
        hang_up(connection)

    monkeypatch.setattr(dialect, "do_commit", commit_and_hang_up)
    outcome, notice, _ = notice_outcome()
    put(store, outcome)
    assert store.load_notice(notice).items

    monkeypatch.setattr(dialect, "do_commit", hang_up)
    more, _, _ = notice_outcome("N-2")
    with pytest.raises(StoreUnavailableError):
        store.commit([more])
    put(store, more)
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
    found = {notice.notice_id for notice in store.list_notices("iwf", None, 9)}
    assert {f"N-{n}" for n, word in enumerate(said) if word == "written"} <= found
    store.close()


def test_disk_full_for_a_moment_passes(sqlite_database: Database) -> None:
    sqlite_database.open().close()
    said = write_under("pwrite64:error=ENOSPC:when=20..22", sqlite_database)
    assert "unavailable" in said
    assert said[-1] == "written"
    store = sqlite_database.open()
    found = {notice.notice_id for notice in store.list_notices("iwf", None, 9)}
    assert found == {f"N-{n}" for n, word in enumerate(said) if word == "written"}
    store.close()
