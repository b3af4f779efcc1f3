"""One part of the chain lies: the issuer is never told `disabled` or `removed`, nor a seal noted, that is not so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from adapters.contract import (
    BlockReceipt,
    CacheKey,
    Observation,
    Origin,
    OriginState,
    PurgeStatus,
    PurgeTicket,
    Ref,
    RemoveReceipt,
    SealProof,
)
from adapters.memory.cache import Fetch, MemoryCache
from adapters.memory.storage import MemoryStorage
from tests.conformance.memory_lies import LIES, LyingMemoryStore
from tests.doubles.databases import Database, sqlite_database, sqlite_template  # noqa: F401 - fixtures
from tests.doubles.failing import SayingGate
from tests.doubles.make_world import make_world
from tests.doubles.world import HOST, World

BODY = b"colour field"
URL = f"https://{HOST}/public/a.jpg"
URL_ALONE = "https://gate.example.net/gallery.php?id=7"
HIDING = {"looks find nothing"}
"""The store says that nothing is there, so nothing is blocked; the gate alone keeps it down, and that is true too."""
STORE_LIES = [name for name in LIES if name != "slow"]


class SayingStore(MemoryStorage):
    """Says that it did what it did not do: every call named in `only_said`."""

    def __init__(self, *only_said: str) -> None:
        super().__init__()
        self.only_said = set(only_said)

    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        names = dict(self.store.names)
        receipt = super()._block(ref, observation, op_id)
        if "block" in self.only_said:
            self.store.names.update(names)
        return receipt

    def _origin_state(self, ref: Ref, receipt: BlockReceipt) -> OriginState:
        if "block" in self.only_said:
            return OriginState(origin=Origin.BLOCKED)
        return super()._origin_state(ref, receipt)

    def _remove(self, ref: Ref, proof: SealProof, receipt: BlockReceipt, op_id: str) -> RemoveReceipt:
        if "remove" in self.only_said:
            return RemoveReceipt(outcome="removed")
        return super()._remove(ref, proof, receipt, op_id)


class SayingCache(MemoryCache):
    """Says one thing of every purge, and keeps what it has, until it `is_honest`."""

    def __init__(self, origin: Fetch, said: PurgeStatus) -> None:
        super().__init__(origin)
        self._said, self.is_honest = said, False

    def _purge(self, keys: Sequence[CacheKey], op_id: str) -> PurgeTicket:
        if self.is_honest:
            return super()._purge(keys, op_id)
        return PurgeTicket(op_id=op_id, status=self._said)

    def _status(self, ticket: PurgeTicket) -> PurgeStatus:
        # A cache in memory knows no tickets of its own.
        return PurgeStatus.UNKNOWN if self.is_honest else super()._status(ticket)


@pytest.fixture
def world(sqlite_database: Database, tmp_path: Path) -> Iterator[World]:  # noqa: F811 - the fixture above
    with closing(sqlite_database.open()) as db:
        made = make_world(tmp_path, db, remove_after_days=1)
        made.store = MemoryStorage(LyingMemoryStore())
        made.rebuild()
        made.put("/public/a.jpg", BODY)
        yield made


def assert_truthful(world: World, notice: str) -> None:
    """Whatever was told is so."""
    told = {status for _, status in world.told(notice)}
    if told & {"disabled", "removed"}:
        assert world.public_get(URL) is None
    seals = [seal for case in world.cases_of(notice) for seal in case.seals]
    assert all(body == BODY for name, body in world.vault.sealed.items() if not name.endswith("-manifest"))
    if "removed" in told:
        assert not world.memory.blocks
        assert world.origin(URL) is None
        assert seals
    if seals:
        assert BODY in world.vault.sealed.values()


@pytest.mark.parametrize("lie", STORE_LIES)
def test_lying_store_makes_no_false_word(world: World, lie: str) -> None:
    store = world.memory
    assert isinstance(store, LyingMemoryStore)
    notice = world.notify(URL)
    for _ in range(4):
        with store.lying(lie):
            world.run()
        assert_truthful(world, notice)
        world.later(minutes=12)
    assert_all_ends_well(world, notice, sealed=lie not in HIDING)


@pytest.mark.parametrize("lie", STORE_LIES)
def test_lie_about_removal_is_not_passed_on(world: World, lie: str) -> None:
    store = world.memory
    assert isinstance(store, LyingMemoryStore)
    notice = world.notify(URL)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    world.later(days=1, hours=2)
    for _ in range(3):
        with store.lying(lie):
            world.run()
        assert_truthful(world, notice)
        world.later(minutes=12)
    assert_all_ends_well(world, notice)
    world.later(days=2)
    retry_what_is_stuck(world, notice)
    world.run()
    assert_truthful(world, notice)
    assert world.statuses(notice) == ["removed"]


def assert_all_ends_well(world: World, notice: str, *, sealed: bool = True) -> None:
    """Once the truth is told again; a person may have had to say `retry`."""
    for _ in range(6):
        retry_what_is_stuck(world, notice)
        world.run()
        world.later(minutes=12)
    assert_truthful(world, notice)
    assert world.statuses(notice)[0] in {"disabled", "removed"}
    assert not sealed or any(case.seals for case in world.cases_of(notice))


def retry_what_is_stuck(world: World, notice: str) -> None:
    for case in world.cases_of(notice):
        if "stuck" in {case.exposure.state, case.evidence.state}:
            world.decide("retry", case=case.case.id)


def test_removal_only_said_is_not_told(world: World) -> None:
    """The adapter itself lies: its word alone is not passed on."""
    store = SayingStore("remove")
    world.store = store
    world.rebuild()
    world.put("/public/a.jpg", BODY)
    notice = world.notify(URL)
    world.run()
    for _ in range(4):
        world.later(hours=10)
        world.run()
    assert world.statuses(notice) == ["disabled"]
    assert "still holds it" in (world.case_of(notice).evidence.last_error or "")
    store.only_said.clear()
    world.later(hours=10)
    world.run()
    assert world.statuses(notice) == ["removed"]


def test_block_only_said_is_not_told(world: World) -> None:
    """Blocked, the store says, and serves it; no gate stands before it."""
    world.store, world.gate = SayingStore("block"), SayingGate()
    world.rebuild()
    world.put("/public/a.jpg", BODY)
    notice = world.notify(URL)
    for _ in range(15):
        world.run()
        world.later(minutes=1)
    assert world.public_get(URL) == BODY
    assert "disabled" not in {status for _, status in world.told(notice)}


def test_gate_only_said_is_not_told(world: World) -> None:
    """A URL that is nothing but a URL: the gate says that it denies, and does not."""
    world.gate, world.cache = SayingGate(), MemoryCache(lambda _url: BODY)
    world.rebuild()
    notice = world.notify(URL_ALONE)
    for _ in range(5):
        world.run()
        world.later(minutes=12)
    assert world.public_get(URL_ALONE) == BODY
    assert "disabled" not in {status for _, status in world.told(notice)}


@pytest.mark.parametrize("status", list(PurgeStatus))
def test_purge_only_said_is_not_told(world: World, status: PurgeStatus) -> None:
    """It stays in the cache, and no gate stands before that."""
    world.gate, world.cache = SayingGate(), (cache := SayingCache(world.origin, status))
    world.rebuild()
    assert world.public_get(URL) == BODY
    notice = world.notify(URL)
    for _ in range(4):
        world.run()
        assert world.public_get(URL) == BODY
        assert "disabled" not in {status for _, status in world.told(notice)}
        world.later(minutes=12)
    cache.is_honest = True
    assert_all_ends_well(world, notice)
