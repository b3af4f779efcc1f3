"""The staff side over a small world: real services, a real SQLite store, one account of each role."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from receiver.admin.app import create_admin_app
from receiver.domain.outcome import Outcome, Page, Table, Update
from receiver.engine.committer import Committer
from receiver.services.admin import AdminServices, make_admin_services
from receiver.services.persons import ORDER, Person, Role
from receiver.steps.tools import Tools
from tests.doubles.make_world import make_world
from tests.doubles.world import HOST, World

PASSWORD = "correct horse battery staple 42"
SECRET_PATH = "/private/colour-field-7f3a.png"
SHARED_PATH = "/shared-91.jpg"
ANN = Person(name="ann", role=Role.REVIEWER)
BOB = Person(name="bob", role=Role.APPROVER)
EVE = Person(name="eve", role=Role.APPROVER)
_CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass(kw_only=True)
class Staff:
    world: World
    committer: Committer
    services: AdminServices
    app: Flask = field(init=False)
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app = create_admin_app(self.services)

    @property
    def tools(self) -> Tools:
        return self.world.tools

    def close(self) -> None:
        self.committer.close()
        self.world.db.close()

    # --- people

    def account(self, name: str, role: str) -> None:
        self.services.people.add_user(name, role, actor="test")
        self.services.people.set_password(name, PASSWORD, actor="test")

    def one_of_each(self) -> None:
        for role in ORDER:
            self.account(f"the.{role.value}", role.value)

    def client(self, name: str | None = None) -> FlaskClient:
        """A browser; signed in where a name is given."""
        client = self.app.test_client()
        if name is not None:
            answer = post(client, "/sign-in", page="/sign-in", name=name, password=PASSWORD)
            assert (answer.status_code, answer.location) == (303, "/"), answer.text
        return client

    def bearer(self, name: str, scope: str = "act") -> dict[str, str]:
        key = f"{name}/{scope}"
        if key not in self.tokens:
            self.tokens[key] = self.services.people.issue_token(name, "test", scope, 30, actor="test")
        return {"Authorization": f"Bearer {self.tokens[key]}"}

    # --- things to look at

    def blocked_case(self) -> str:
        """The code of a case that is blocked and watched."""
        notice = self.world.notify(self.world.put(SECRET_PATH, b"noise" * 100))
        item = self.world.notice(notice).items[0].id
        self.world.commit(Outcome(changes=(Update(table=Table.ITEM, where={"id": item}, values={"host": HOST}),)))
        self.world.run()
        return self.world.case_of(notice).case.code

    def review_item(self) -> str:
        """An item that waits for a reviewer, with nothing denied meanwhile."""
        notice = self.world.notify(self.world.put("/review/text-55.txt", b"text"), category="npi")
        self.world.run()
        return self.world.notice(notice).items[0].id

    def denied_item(self) -> str:
        """An item in review whose URL a gate denies meanwhile."""
        url = self.world.put(SHARED_PATH, b"shared")
        self.world.memory.link_as_customer(b"acme" + SHARED_PATH.encode(), b"other/b.jpg")
        notice = self.world.notify(url)
        self.world.run()
        return self.world.notice(notice).items[0].id

    def dead_letter(self) -> str:
        """The notice of an event that was given up."""
        notice = self.world.notify(self.world.put("/dead/letter-3.txt", b"text"), category="npi")
        self.world.run()
        event = self.world.events(notice)[-1]
        dead = Update(table=Table.EVENT, where={"id": event.id}, values={"dead_at": 5, "delivered_at": None})
        self.world.commit(Outcome(changes=(dead,)))
        return notice

    def raised_page(self) -> str:
        self.world.commit(Outcome(pages=(Page(kind="test.call", subject="x", text="see https://a.example/b"),)))
        return next(page.id for page in self.world.db.open_pages(50) if page.kind == "test.call")

    def stuck(self, case: str, track: str, was: str) -> None:
        change = Update(
            table=Table.WORK,
            where={"track": track, "subject": case},
            values={"state": "stuck", "stuck_from": was, "due_at": None, "last_error": "at https://x.example/secret"},
        )
        self.world.commit(Outcome(changes=(change,)))

    def decisions(self, code: str) -> list[Any]:
        case = self.services.review.case_id(code)
        return list(self.world.db.load_case(case).decisions)

    def entries(self, subject: str) -> list[str]:
        return [entry.kind for entry in reversed(self.world.db.entries_about(subject, 500))]


def make_staff(folder: Path, *, https: bool = False, **policy: Any) -> Staff:
    world = make_world(folder, **policy)
    committer = Committer(world.db)
    services = make_admin_services(
        store=world.db,
        committer=committer,
        policy=world.policy,
        clock=world.clock,
        cookie_key=b"c" * 32,
        https=https,
        write=lambda: world.db.beat(world.worker),
        close=lambda: None,
        hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
    )
    return Staff(world=world, committer=committer, services=services)


def csrf_of(client: FlaskClient, page: str) -> str:
    found = _CSRF.search(client.get(page).text)
    assert found is not None, f"no form on {page}"
    return found[1]


def post(client: FlaskClient, path: str, *, page: str = "/", **fields: Any) -> TestResponse:
    """As a browser does it: with the hidden field of a form on `page`."""
    return client.post(path, data={**fields, "csrf_token": csrf_of(client, page)})
