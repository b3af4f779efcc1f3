"""The staff side with the rights it has where it is deployed: every act of it, under its own PostgreSQL role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text
from sqlalchemy.engine import make_url

from receiver.domain.clock import SystemClock
from receiver.domain.outcome import Insert, Outcome, Page, Table, Update
from receiver.domain.policy import IssuerPolicy, Policy
from receiver.domain.status import Track
from receiver.engine.committer import Committer
from receiver.services.admin import AdminServices, make_admin_services
from receiver.store import SqlStore
from receiver.store.grants import grants
from tests.doubles.databases import Database
from tests.doubles.staff import ANN, BOB, EVE, PASSWORD
from tests.doubles.store_rows import case_outcome, notice_outcome

ROLES = {"web": "tr_web", "admin": "tr_admin", "worker": "tr_worker"}


def as_role(database: Database, role: str) -> SqlStore:
    url = make_url(database.url).set(username=role).render_as_string(hide_password=False)
    return replace(database, url=url).open()


@pytest.fixture
def worker(postgres_database: Database) -> Iterator[SqlStore]:
    with postgres_database.engine().begin() as conn:
        for role in ROLES.values():
            if conn.execute(text(f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'")).first() is None:
                conn.execute(text(f"CREATE ROLE {role} LOGIN"))
        for statement in grants(**ROLES):
            conn.execute(text(statement))
    store = as_role(postgres_database, "tr_worker")
    yield store
    store.close()


@pytest.fixture
def services(postgres_database: Database, worker: SqlStore) -> Iterator[AdminServices]:
    store = as_role(postgres_database, "tr_admin")
    committer = Committer(store)
    me = store.register_worker("node", "admin-0", "boot", 1, "x")
    yield make_admin_services(
        store=store,
        committer=committer,
        policy=Policy(issuers={"iwf": IssuerPolicy(id="iwf")}),
        clock=SystemClock(),
        cookie_key=b"k" * 32,
        https=False,
        write=lambda: store.beat(me),
        close=lambda: None,
        hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
    )
    committer.close()
    store.close()


def commit(store: SqlStore, *outcomes: Outcome) -> None:
    for result in store.commit(outcomes):
        assert result.error is None


def blocked(worker: SqlStore) -> tuple[str, str]:
    """Ids of a case with an act of denying, and of its notice."""
    outcome, notice, (item,) = notice_outcome()
    made, case = case_outcome(item)
    act = {"op_id": "O", "case": case, "track": "exposure", "kind": "deny", "target": "g", "intent": {}, "begun_at": 1}
    commit(worker, outcome.plus(made).plus(Outcome(changes=(Insert(table=Table.ACT, values=act),))))
    return case, notice


def test_people_sign_in(services: AdminServices) -> None:
    services.people.add_user("ann", "approver", actor="test")
    services.people.set_password("ann", PASSWORD, actor="test")
    secret = services.sign_in.sign_in("ann", PASSWORD, address="192.0.2.1")
    assert services.sign_in.by_session(secret) is not None
    token = services.people.issue_token("ann", "t", "act", 5, actor="ann")
    assert services.sign_in.by_token(token) is not None
    services.people.revoke_token(services.people.tokens()[0].id, actor="ann")
    services.sign_in.sign_out(secret)
    services.people.disable("ann", actor="test")
    assert services.health.can_record()
    assert b"takedown_stuck" in services.figures.text()


def test_release_is_agreed(services: AdminServices, worker: SqlStore) -> None:
    case, _ = blocked(worker)
    code = worker.load_case(case).case.code
    said = services.review.release_case(code, ANN, "a mistake")
    assert services.lists.case(case, BOB)["decisions"][0]["state"] == "asked"
    services.review.decline(said.decision, EVE, "no")
    again = services.review.release_case(code, ANN, "a mistake")
    assert services.review.agree(again.decision, BOB).state == "approved"
    assert len(services.lists.cases(state="open_", issuer="iwf", after=None)) == 1


def test_item_is_decided(services: AdminServices, worker: SqlStore) -> None:
    outcome, notice, (item,) = notice_outcome()
    commit(worker, outcome)
    commit(worker, Outcome(changes=(Update(table=Table.ITEM, where={"id": item}, values={"status": "review"}),)))
    before = worker.load_work(Track.RESOLVE, notice)
    assert services.review.approve_item(item, ANN, "clear").state == "approved"
    after = worker.load_work(Track.RESOLVE, notice)
    assert before is not None
    assert after is not None
    assert after.nudges > before.nudges
    assert services.lists.items("review")[0]["item"] == item


def test_desk_work_is_done(services: AdminServices, worker: SqlStore) -> None:
    case, notice = blocked(worker)
    event = worker.events_of(notice)[0]
    dead = Update(table=Table.EVENT, where={"id": event.id}, values={"dead_at": 5, "delivered_at": None})
    commit(worker, Outcome(changes=(dead,), pages=(Page(kind="k", subject=case, text="t"),)))
    assert services.desk.resend_dead(notice, ANN) == 1
    services.desk.acknowledge(services.lists.pages()[0]["page"], ANN)
    services.desk.pause("issuer:iwf", BOB)
    services.desk.resume("issuer:iwf", BOB)
    assert services.lists.pauses() == []
    assert services.lists.ledger_head()["waiting"] > 3
