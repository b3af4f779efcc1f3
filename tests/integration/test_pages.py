"""Each condition that a person must know of raises exactly one page, however often it is met."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.contract import AdapterError, Retryable
from receiver.domain.backoff import PAGE_AFTER_ATTEMPTS
from receiver.domain.errors import VaultError
from receiver.engine.sweeps import EVERY_SECONDS
from receiver.wiring import worker as worker_parts
from tests.doubles.calling import call_people
from tests.doubles.make_world import make_world
from tests.doubles.staff import BOB, Staff, make_staff
from tests.doubles.world import World

URL_PATH = "/a.jpg"
BODY = b"colour field" * 50


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.db.close()


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    made = make_staff(tmp_path)
    yield made
    made.close()


def pages(world: World) -> list[str]:
    return [page.kind for page in call_people(world)]


def about(world: World) -> list[tuple[str, str]]:
    return [(page.kind, page.subject) for page in call_people(world)]


def keep_trying(world: World) -> None:
    for _ in range(PAGE_AFTER_ATTEMPTS + 4):
        world.run()
        world.later(minutes=11)


def test_a_store_that_is_away_calls_once(world: World) -> None:
    world.failures["store.block"] = Retryable("away")
    world.notify(world.put(URL_PATH, BODY))
    keep_trying(world)
    assert about(world) == [("place.failing", "store www"), ("seen.unclear", "www")]


def test_a_store_that_cannot_be_asked_calls_once(world: World) -> None:
    world.failures["store.observe"] = Retryable("away")
    world.notify(world.put(URL_PATH, BODY))
    keep_trying(world)
    assert about(world) == [("place.failing", "store www")]


def test_a_vault_that_is_away_calls_once(world: World) -> None:
    world.vault.broken = VaultError("the vault cannot be written")
    world.notify(world.put(URL_PATH, BODY))
    keep_trying(world)
    assert about(world) == [("place.failing", "vault")]


def test_an_issuer_that_is_away_calls_once(world: World) -> None:
    """Not while it is tried, which takes hours on purpose: when the letter is given up."""
    world.mailbox.answer = 503
    world.notify(world.put(URL_PATH, BODY))
    keep_trying(world)
    assert pages(world) == []
    for _ in range(60):
        world.later(hours=2)
        world.run()
    assert pages(world) == ["callback.dead"]


def test_a_vault_that_lies_calls_once(world: World) -> None:
    world.failures["store.open"] = AdapterError("a bug")
    world.notify(world.put(URL_PATH, BODY))
    keep_trying(world)
    assert pages(world).count("evidence.stuck") == 1


def test_a_notice_that_is_not_verified_calls_once(world: World) -> None:
    world.verify = lambda _message: "signature"
    world.rebuild()
    world.notify(world.put(URL_PATH, BODY))
    keep_trying(world)
    assert pages(world) == ["notice.not_verified"]


def test_a_pause_calls_once(staff: Staff) -> None:
    staff.services.desk.pause("all", BOB)
    staff.services.desk.resume("all", BOB)
    staff.services.desk.pause("all", BOB)
    (page,) = staff.world.db.open_pages(5)
    assert (page.kind, page.count) == ("paused", 1)


def test_the_worker_watches_by_itself() -> None:
    """Without its sweep none of the alarms would ever be raised."""
    text = Path(worker_parts.__file__).read_text(encoding="utf-8")
    assert f'Sweep(name="alarms", every_seconds={EVERY_SECONDS["alarms"]}, job=build_alarms(' in text
