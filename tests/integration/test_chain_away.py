"""A gate, a cache, the store or the vault is away, slow or at fault: nothing is lost and nothing is claimed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from adapters.contract import (
    AdapterError,
    CacheKey,
    DenyTarget,
    GateReceipt,
    PurgeStatus,
    PurgeTicket,
    Retryable,
    Unsupported,
)
from adapters.memory.cache import Fetch, MemoryCache
from adapters.memory.gate import MemoryGate
from receiver.domain.errors import VaultError
from receiver.steps.beside import Beside
from tests.doubles.world import HOST, World
from tests.integration.chain_steps import BODY, down


class ReloadingGate(MemoryGate):
    """Answers once its server has reloaded."""

    def __init__(self, reloaded: threading.Event) -> None:
        super().__init__()
        self._reloaded = reloaded

    def _deny(self, targets: Sequence[DenyTarget], op_id: str) -> GateReceipt:
        assert self._reloaded.wait(30)
        return super()._deny(targets, op_id)


class LaterCache(MemoryCache):
    """Purges nothing, and says of every ticket what `later` is, until it is well."""

    def __init__(self, origin: Fetch, later: PurgeStatus) -> None:
        super().__init__(origin)
        self._later = later
        self.asked: list[str] = []
        self.well = False

    def _purge(self, keys: Sequence[CacheKey], op_id: str) -> PurgeTicket:
        if self.well:
            return super()._purge(keys, op_id)
        self.asked.append(op_id)
        return PurgeTicket(op_id=op_id, status=PurgeStatus.PENDING)

    def _status(self, ticket: PurgeTicket) -> PurgeStatus:
        del ticket
        return self._later


def purge_later(world: World, later: PurgeStatus) -> LaterCache:
    world.cache = cache = LaterCache(world.origin, later)
    world.rebuild()
    return cache


def test_caches_are_purged_twice_more(world: World) -> None:
    _, notice = down(world)
    purges = [a for a in world.case_of(notice).acts if a.kind == "purge"]
    for seconds in (31, 280):
        world.later(seconds=seconds)
        world.run()
    assert len([a for a in world.case_of(notice).acts if a.kind == "purge"]) == len(purges) + 2
    assert world.told(notice) == [(2, "disabled")]


def test_gate_away_does_not_delay_the_block(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.failures["gate.deny"] = Retryable("gate is away")
    notice = world.notify(url)
    world.run()
    assert world.origin(url) is None
    assert world.statuses(notice) == ["disabled"]
    assert not world.gate.refuses(HOST, b"/a.jpg")
    world.failures.clear()
    world.later(minutes=20)
    world.run()
    assert world.gate.refuses(HOST, b"/a.jpg")
    assert world.told(notice) == [(2, "disabled")]


def test_gate_that_cannot_deny_is_said(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.failures["gate.deny"] = Unsupported("URLs this long")
    notice = world.notify(url)
    world.run()
    assert world.origin(url) is None
    assert world.statuses(notice) == ["disabled"]
    assert world.events(notice)[-1].data["residual"] == ["gate_not_denying: edge"]
    assert "gate.failed" in [p.kind for p in world.db.open_pages(10)]


def test_url_alone_waits_for_its_gate(world: World) -> None:
    world.failures["gate.deny"] = Retryable("gate is away")
    notice = world.notify("https://gate.example.net/gallery.php?id=7")
    world.run()
    assert world.statuses(notice) == ["received"]
    assert "gate is away" in (world.case_of(notice).exposure.last_error or "")
    for _ in range(8):
        world.later(minutes=5)
        world.run()
    assert (world.statuses(notice), world.reasons(notice)) == (["failed"], ["unconfirmed"])
    world.failures.clear()
    world.later(minutes=20)
    world.run()
    assert [s for _, s in world.told(notice)] == ["failed", "disabled"]


@pytest.mark.parametrize(("there", "status"), [(False, "unavailable"), (True, "failed")])
def test_url_alone_no_gate_takes(world: World, *, there: bool, status: str) -> None:
    world.failures["gate.deny"] = Unsupported("URLs this long")
    url = "https://gate.example.net/gallery.php?id=7"
    if there:
        world.put("/gallery.php", BODY)
    notice = world.notify(url)
    world.run()
    assert world.statuses(notice) == [status]
    assert ("exposure.stuck" in [p.kind for p in world.db.open_pages(10)]) is there


def test_slow_gate_keeps_nobody_waiting(world: World) -> None:
    """A gate that takes long to reload: blocked, purged, seen gone and told meanwhile; and taken back in order."""
    reloaded = threading.Event()
    world.gate = ReloadingGate(reloaded)
    with ThreadPoolExecutor() as pool:
        world.rebuild()
        world.tools = replace(world.tools, beside=Beside(pool))
        url = world.put("/a.jpg", BODY)
        notice = world.notify(url)
        world.run()
        assert world.statuses(notice) == ["disabled"]
        assert [act.kind for act in world.case_of(notice).acts if act.ended_at is None] == ["deny"]
        reloaded.set()
        world.decide("release", case=world.case_of(notice).case.id)
        world.run()
    assert world.public_get(url) == BODY
    assert world.statuses(notice) == ["restored"]
    assert all(act.ended_at is not None for act in world.case_of(notice).acts)


def test_slow_gate_is_heard_at_the_next_look(world: World) -> None:
    gate_answers = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(gate_answers.wait, 30)
        world.tools = replace(world.tools, beside=Beside(pool))
        notice = world.notify(world.put("/a.jpg", BODY))
        world.run()
        gate_answers.set()
        pool.submit(int).result()  # whatever waited before it has run
        world.later(seconds=31)
        world.run()
    assert all(act.ended_at is not None for act in world.case_of(notice).acts)
    assert world.told(notice) == [(2, "disabled")]


def test_slow_purge_delays_no_evidence(world: World) -> None:
    purge_later(world, PurgeStatus.PENDING)
    notice = world.notify(world.put("/a.jpg", BODY))
    world.run()
    assert world.case_of(notice).evidence.state == "sealed"
    assert world.told(notice) == []


def test_purge_that_failed_is_asked_for_again(world: World) -> None:
    cache = purge_later(world, PurgeStatus.FAILED)
    url = world.put("/a.jpg", BODY)
    notice = world.notify(url)
    world.run()
    world.later(seconds=10)
    world.run()
    assert (
        len(cache.asked) == len(set(cache.asked)) >= 2
    )  # each time under another name, which a vendor takes as a new purge
    cache.well = True
    for _ in range(3):
        world.later(minutes=5)
        world.run()
    assert world.statuses(notice) == ["disabled"]


@pytest.mark.parametrize("call", ["observe", "block", "origin_state", "freeze", "open"])
def test_store_away_is_waited_for(world: World, call: str) -> None:
    url = world.put("/a.jpg", BODY)
    world.failures[f"store.{call}"] = ConnectionError()
    notice = world.notify(url)
    world.run()
    world.failures.clear()
    world.later(minutes=20)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.origin(url) is None
    (case,) = [case for case in world.cases_of(notice) if case.case.adapter == "www"]
    assert case.evidence.state == "sealed"
    assert len([a for a in case.acts if a.kind == "block"]) == 1


def test_gates_do_not_wait_for_the_store(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.failures["store.observe"] = ConnectionError()
    notice = world.notify(url)
    world.run()
    assert world.public_get(url) is None
    assert world.origin(url) == BODY
    assert world.statuses(notice) == ["disabled"]
    assert world.events(notice)[-1].data["residual"] == ["resource_not_identified"]


def test_vault_away_is_waited_for(world: World) -> None:
    world.vault.broken = VaultError("full")
    _, notice = down(world)
    assert world.case_of(notice).evidence.state == "seal"
    world.vault.broken = None
    world.later(minutes=20)
    world.run()
    assert world.case_of(notice).evidence.state == "sealed"


def test_broken_adapter_pages_and_retry_goes_on(world: World) -> None:
    url = world.put("/a.jpg", BODY)
    world.failures["store.block"] = AdapterError("a bug")
    notice = world.notify(url)
    world.run()
    assert (world.statuses(notice), world.reasons(notice)) == (["failed"], ["stuck"])
    assert world.case_of(notice).exposure.state == "stuck"
    assert world.public_get(url) is None  # the gate denies it all the same
    assert [p.kind for p in world.db.open_pages(10)] == ["exposure.stuck"]
    world.failures.clear()
    world.decide("retry", case=world.case_of(notice).case.id)
    world.run()
    assert world.statuses(notice) == ["disabled"]


def test_purge_that_hangs_is_asked_for_again(world: World) -> None:
    cache = purge_later(world, PurgeStatus.PENDING)
    world.notify(world.put("/a.jpg", BODY))
    world.run()
    world.later(minutes=5)
    world.run()
    assert len(cache.asked) == 1
    world.later(minutes=6)
    world.run()
    assert len(set(cache.asked)) == 2


def test_store_that_was_wrong_first_is_believed_later(world: World) -> None:
    """It held nothing when we came, so a gate alone kept it down; what stands there now is blocked and sealed."""
    url = world.put("/a.jpg", BODY)
    hidden = world.memory.names.pop(b"acme/a.jpg")
    world.cache._kept[url] = BODY
    notice = world.notify(url)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    world.memory.names[b"acme/a.jpg"] = hidden
    world.later(hours=2)
    world.run()
    assert world.statuses(notice) == ["disabled"]
    assert world.case_of(notice).evidence.state == "sealed"
    assert BODY in world.vault.sealed.values()
