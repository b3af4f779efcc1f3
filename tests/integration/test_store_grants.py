"""On PostgreSQL the public side can record a notice and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, LedgerNote, NewEvent, Outcome, Page, Table, Update, Wake
from receiver.domain.status import ItemStatus, Track
from receiver.store import SchemaError, SqlStore
from receiver.store.errors import ForbiddenError
from receiver.store.grants import grants
from tests.doubles.databases import Database
from tests.doubles.store_rows import AT, case_outcome, message_values, move, nonce_values, notice_outcome

ROLES = ("tr_web", "tr_admin", "tr_worker")


@pytest.fixture
def granted(postgres_database: Database) -> Database:
    with postgres_database.engine().begin() as conn:
        for role in ROLES:
            if conn.execute(text(f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'")).first() is None:
                conn.execute(text(f"CREATE ROLE {role} LOGIN"))
        for _ in range(2):
            for statement in grants(web="tr_web", admin="tr_admin", worker="tr_worker"):
                conn.execute(text(statement))
    return postgres_database


def as_role(database: Database, role: str) -> SqlStore:
    url = make_url(database.url).set(username=role).render_as_string(hide_password=False)
    return replace(database, url=url).open()


@pytest.fixture
def web(granted: Database) -> Iterator[SqlStore]:
    store = as_role(granted, "tr_web")
    yield store
    store.close()


@pytest.fixture
def worker(granted: Database) -> Iterator[SqlStore]:
    store = as_role(granted, "tr_worker")
    yield store
    store.close()


def test_web_records_notices_and_directions(web: SqlStore, worker: SqlStore) -> None:
    me = web.register_worker("n", "web-0", "b", 1, "x")
    assert web.register_worker("n", "web-0", "c", 1, "x") != me
    outcome, notice, items = notice_outcome(items=3)
    (result,) = web.commit([outcome])
    assert result.error is None
    message = new_id()
    direction = {
        "id": new_id(), "direction_id": "D", "notice": notice, "message_id": message, "kind": "withdraw",
        "issued_at": AT,
    }  # fmt: skip
    withdrawn = Outcome(
        changes=(
            Insert(table=Table.MESSAGE, values=message_values(message)),
            Insert(table=Table.DIRECTION, values=direction),
        ),
        notes=(LedgerNote(kind="direction.accepted", subject=notice, actor="iwf"),),
        wakes=(Wake(track=Track.RESOLVE, subject=notice, state="due"),),
    )
    (result,) = web.commit([withdrawn])
    assert result.error is None
    assert web.take("issuer:iwf", 10, 60.0) == 0.0
    assert [item.id for item in web.load_notice(notice).items] == items
    assert web.find_nonce("iwf", "none") is None
    assert web.key_overlay() == ()
    assert web.pauses() == ()
    web.retire_worker("n:web-0:c")
    there = worker.register_worker("n", "worker-0", "b", 2, "x")
    assert [row.subject for row in worker.claim(there, Track.RESOLVE, 0, 5)] == [notice]


def test_web_is_refused_everything_else(web: SqlStore, worker: SqlStore) -> None:
    outcome, notice, (item,) = notice_outcome()
    made, case = case_outcome(item)
    assert worker.commit([outcome.plus(made)])[0].error is None
    key = {"issuer": "iwf", "kid": "k", "thumbprint": "t", "state": "active"}
    event = NewEvent(notice=notice, item=item, item_id="1", status=ItemStatus.DISABLED, data={})
    forbidden = [
        Outcome(changes=(Insert(table=Table.ISSUER_KEY, values=key),)),
        Outcome(changes=(Update(table=Table.ITEM, where={"id": item}, values={"status": "disabled"}, optional=True),)),
        Outcome(changes=(Insert(table=Table.PAUSE, values={"scope": "all", "actor": "x", "since_at": 1}),)),
        Outcome(changes=case_outcome(item, locator=b"other")[0].changes),
        Outcome(events=(event,)),
        Outcome(wakes=(Wake(track=Track.EXPOSURE, subject=case),)),
        Outcome(wakes=(Wake(track=Track.EVIDENCE, subject=case),)),
        Outcome(pages=(Page(kind="k", subject="s", text="t"),)),
        Outcome(bumps=(case,)),
    ]
    for outcome in forbidden:
        with pytest.raises((ForbiddenError, ProgrammingError)):  # noqa: PT012 - refused before or in its savepoint
            (result,) = web.commit([outcome])
            assert result.error is not None
            raise result.error
    assert worker.load_case(case).exposure.nudges == 0
    assert worker.load_notice(notice).items[0].status is ItemStatus.RECEIVED


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE work SET owner = 'me'",
        "UPDATE work SET epoch = 9",
        "UPDATE issuer_key SET state = 'active'",
        "UPDATE event SET delivered_at = 1",
        "UPDATE notice SET category = 'x'",
        "DELETE FROM entry",
        "UPDATE entry SET seq = 1",
        "SELECT * FROM entry_detail",
        "SELECT * FROM admin_user",
        "SELECT * FROM session",
        "DELETE FROM message",
        "INSERT INTO fact (name, value, created_at) VALUES ('a', 'b', 1)",
        "CREATE TABLE mine (id int)",
        "TRUNCATE nonce",
    ],
)
def test_web_role_is_denied(granted: Database, sql: str) -> None:
    url = make_url(granted.url).set(username="tr_web").render_as_string(hide_password=False)
    with (
        replace(granted, url=url).engine().begin() as conn,
        pytest.raises(ProgrammingError, match="permission denied"),
    ):
        conn.execute(text(sql))


def test_web_touches_no_other_rows(granted: Database, worker: SqlStore) -> None:
    other = worker.register_worker("n", "worker-0", "b", 2, "x")
    _, case = made = case_outcome()
    assert worker.commit([made[0]])[0].error is None
    url = make_url(granted.url).set(username="tr_web").render_as_string(hide_password=False)
    with replace(granted, url=url).engine().begin() as conn:
        assert conn.execute(text("UPDATE work SET due_at = 1")).rowcount == 0
        assert conn.execute(text("DELETE FROM worker")).rowcount == 0
        assert conn.execute(text("UPDATE worker SET seen_at = 0")).rowcount == 0
    worker.beat(other)
    assert worker.load_case(case).exposure.due_at == AT


def test_admin_decides_and_worker_works(granted: Database, worker: SqlStore) -> None:
    admin = as_role(granted, "tr_admin")
    outcome, notice, (item,) = notice_outcome()
    made, case = case_outcome(item)
    assert worker.commit([outcome.plus(made)])[0].error is None
    decision = {
        "id": new_id(), "case": case, "kind": "release", "actor": "ann", "reason": "r", "request_sha256": "x",
        "state": "asked",
    }  # fmt: skip
    asked = Outcome(
        changes=(Insert(table=Table.DECISION, values=decision),),
        bumps=(case,),
        notes=(LedgerNote(kind="decision.asked", subject=case, actor="ann"),),
        wakes=(Wake(track=Track.EXPOSURE, subject=case),),
    )
    assert admin.commit([asked])[0].error is None
    change = Update(table=Table.ITEM, where={"notice": notice, "item_id": "1"}, values={"reason": "x"})
    assert isinstance(admin.commit([Outcome(changes=(change,))])[0].error, ForbiddenError)
    me = worker.register_worker("n", "worker-0", "b", 2, "x")
    (row,) = worker.claim(me, Track.EXPOSURE, 1, 5)
    event = NewEvent(notice=notice, item=item, item_id="1", status=ItemStatus.DISABLED, data={})
    assert worker.commit([Outcome(work=move(row, me), events=(event,))])[0].error is None
    nonce = Insert(table=Table.NONCE, values=nonce_values("iwf", "late", expires_at=1))
    assert worker.commit([Outcome(changes=(nonce,))])[0].error is None
    assert worker.purge_nonces(2) == 1
    admin.close()


def test_odd_role_names_are_refused() -> None:
    with pytest.raises(SchemaError):
        grants(web="web; DROP", admin="a", worker="b")
    with pytest.raises(SchemaError):
        grants(web="a", admin="a", worker="b")
