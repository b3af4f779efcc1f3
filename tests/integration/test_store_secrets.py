"""What lies in the database's files, and what its errors say: no secret in clear."""

from __future__ import annotations

from sqlalchemy import text

from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, LedgerNote, NewEvent, Outcome, Table, Update
from receiver.domain.status import ItemStatus, Track
from receiver.store import SqlStore
from tests.doubles.databases import Database
from tests.doubles.store_rows import AT, BODY, HOST, LOCATOR, URL, case_outcome, commit, message_values, notice_outcome

SECRETS = (URL.encode(), HOST.encode(), LOCATOR, BODY, b"raw-body-marker", b"secret-host", b"customer-folder", b"POL-7")


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
    commit(store, outcome.plus(made), rest)
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
    commit(store, outcome)
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
