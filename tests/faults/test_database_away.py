"""The database dies and comes back while notices arrive and are worked on: senders wait, and nothing is lost."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.doubles.databases import (  # noqa: F401 - pytest finds fixtures by their names here
    Database,
    PostgresServer,
    postgres_database,
    postgres_server,
    postgres_template,
)
from tests.faults.one_receiver import Answered, OneReceiver, one_receiver
from tests.faults.scale import SEED, TORTURE
from tests.support import wait_until

NOTICES = 60 if TORTURE else 12
CRASHES = 10 if TORTURE else 2
DRAIN_SECONDS = 60.0
ONCE = ("notice.accepted", "case.opened", "url.denied", "resource.blocked", "evidence.sealed", "seen.gone")


@pytest.fixture
def receiver(postgres_database: Database, tmp_path: Path) -> Iterator[OneReceiver]:  # noqa: F811 - the fixture above
    with one_receiver(postgres_database, tmp_path) as made:
        yield made


class Issuer(threading.Thread):
    """Sends one notice after the other, each until it is taken."""

    def __init__(self, receiver: OneReceiver, dice: random.Random) -> None:
        super().__init__()
        self._receiver, self._pauses = receiver, [dice.random() * 0.2 for _ in range(NOTICES)]
        self.turned_away: list[Answered] = []
        self.taken = 0
        self.error: BaseException | None = None

    def waits(self, before: int) -> bool:
        return self.error is not None or len(self.turned_away) > before

    def run(self) -> None:
        try:
            for number, pause in enumerate(self._pauses):
                self._receiver.put(number)
                self._receiver.send_until_taken(number, self.turned_away, seconds=DRAIN_SECONDS)
                self.taken += 1
                time.sleep(pause)
        except BaseException as exc:  # noqa: BLE001 - told in the test's own thread
            self.error = exc


def test_dead_database_costs_nothing_but_time(
    receiver: OneReceiver,
    postgres_database: Database,  # noqa: F811 - as above
    postgres_server: PostgresServer,  # noqa: F811 - as above
) -> None:
    print(f"SEED={SEED}")  # noqa: T201 - to run the same again
    dice = random.Random(SEED)
    issuer = Issuer(receiver, dice)
    issuer.start()
    for crash in range(CRASHES):
        before = issuer.taken
        wait_until(lambda: issuer.taken > before or not issuer.is_alive(), "notices come", seconds=DRAIN_SECONDS)  # noqa: B023 - used at once
        time.sleep(dice.random() * 0.2)
        away = len(issuer.turned_away)
        postgres_server.crash()
        if issuer.is_alive() and crash == 0:
            try:
                wait_until(lambda: issuer.waits(away), "a sender is told to wait", seconds=DRAIN_SECONDS)  # noqa: B023
            finally:
                postgres_server.start()
        else:
            time.sleep(dice.random())
            postgres_server.start()
    returned = time.monotonic()
    issuer.join(DRAIN_SECONDS * 2)
    if issuer.error is not None:
        raise issuer.error
    assert issuer.turned_away
    assert {answer.status for answer in issuer.turned_away} == {503}
    assert all((answer.retry_after or "").isdigit() for answer in issuer.turned_away)
    wait_until(lambda: is_drained(receiver, postgres_database), "all is done", seconds=DRAIN_SECONDS)
    print(f"{len(issuer.turned_away)} answers 503; drained {time.monotonic() - returned:.1f} s after the last return")  # noqa: T201
    assert_nothing_lost(receiver, postgres_database)


def is_drained(receiver: OneReceiver, database: Database) -> bool:
    sealed = rows(database, "SELECT count(*) FROM seal")[0][0]
    return receiver.told("disabled") >= NOTICES and int(sealed) >= NOTICES


def assert_nothing_lost(receiver: OneReceiver, database: Database) -> None:
    assert rows(database, "SELECT count(*) FROM notice") == [(NOTICES,)]
    assert rows(database, "SELECT DISTINCT status FROM item") == [("disabled",)]
    assert rows(database, "SELECT count(*) FROM work WHERE state = 'stuck'") == [(0,)]
    for number in range(NOTICES):
        assert receiver.world.public_get(f"https://img.example.net/public/{number}.jpg") is None
        assert b"colour field %d" % number in receiver.world.vault.sealed.values()
    entered = Counter((kind, subject) for kind, subject in rows(database, "SELECT kind, subject FROM entry"))
    assert {kind for kind, _ in entered} >= set(ONCE)
    assert not [kind for (kind, _), count in entered.items() if kind in ONCE and count != 1]
    events = rows(database, "SELECT notice, status FROM event WHERE status = 'disabled'")
    assert len(events) == len(set(events)) == NOTICES


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    engine = database.engine()
    try:
        with engine.connect() as link:
            return [tuple(row) for row in link.execute(text(query))]
    finally:
        engine.dispose()
