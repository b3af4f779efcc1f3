"""Slow gates, held bytes that change, clocks apart, a pause at a bad moment: nothing loops, nothing is forgotten."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.contract import Changed, DenyTarget, GateReceipt, Unsupported
from adapters.memory.gate import MemoryGate
from receiver.domain.clock import to_micros
from receiver.domain.outcome import Insert, Outcome, Table, Wake
from receiver.domain.status import Track
from receiver.steps.beside import Beside
from receiver.store import SqlStore
from tests.doubles.make_world import make_world
from tests.doubles.world import World

BODY = b"colour field"
GATE_SECONDS = 0.1


class SlowGate(MemoryGate):
    """Slower than any step; `refuses_all` makes it one that can deny nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.refuses_all = False

    def _deny(self, targets: Sequence[DenyTarget], op_id: str) -> GateReceipt:
        self.asked.append(op_id)
        time.sleep(GATE_SECONDS)
        if self.refuses_all:
            raise Unsupported("deny")
        return super()._deny(targets, op_id)


@pytest.fixture
def gate() -> SlowGate:
    return SlowGate()


@pytest.fixture
def slow_gate(tmp_path: Path, store: SqlStore, gate: SlowGate) -> World:
    """On a route without caches, so that nothing else wakes the case."""
    world = make_world(tmp_path, store)
    world.routes[:] = [replace(route, caches=()) for route in world.routes]
    world.gate = gate
    world.rebuild()
    world.tools = replace(world.tools, beside=Beside(ThreadPoolExecutor(4)))
    return world


def look_again(world: World) -> None:
    time.sleep(2 * GATE_SECONDS)
    world.later(hours=3)
    world.run()


def test_slow_answer_is_taken_by_a_later_lease(slow_gate: World, gate: SlowGate) -> None:
    notice = slow_gate.notify(slow_gate.put("/a.jpg", BODY))
    slow_gate.run()
    look_again(slow_gate)
    look_again(slow_gate)
    (deny,) = [act for act in slow_gate.case_of(notice).acts if act.kind == "deny"]
    assert deny.ended_at is not None
    assert len(gate.asked) <= 2


def test_slow_gate_that_cannot_deny_is_paged(slow_gate: World, gate: SlowGate) -> None:
    gate.refuses_all = True
    notice = slow_gate.notify(slow_gate.put("/a.jpg", BODY))
    slow_gate.run()
    look_again(slow_gate)
    look_again(slow_gate)
    assert "gate.failed" in [page.kind for page in slow_gate.db.open_pages(10)]
    assert slow_gate.case_of(notice).case.residual == ("gate_not_denying: edge",)


def test_older_block_that_changed_calls_a_person(tmp_path: Path, store: SqlStore) -> None:
    """The store shows the newest block alone, so what the older one holds cannot be sealed anew: a person is called."""
    world = make_world(tmp_path, store, remove_after_days=1)
    notice = world.notify(world.put("/a.jpg", BODY))
    world.run()
    world.put("/a.jpg", b"second field")
    world.later(hours=2)
    world.run()
    old = next(iter(world.memory.blocks.values()))
    old.taken.frozen = False
    world.memory._write(old.taken, b"rewritten while held")
    for _ in range(20):
        world.later(hours=3)
        world.run()
    case = world.case_of(notice)
    assert (case.evidence.state, case.evidence.stuck_from) == ("stuck", "seal")
    assert sum(act.kind == "remove" for act in case.acts) <= 4
    assert world.told(notice)[-1][1] == "disabled"


def test_removal_never_loops_on_changed(tmp_path: Path, store: SqlStore) -> None:
    world = make_world(tmp_path, store, remove_after_days=1)
    notice = world.notify(world.put("/a.jpg", BODY))
    world.run()
    world.failures["store.remove"] = Changed("the blocked bytes are not those that were sealed")
    for _ in range(20):
        world.later(hours=3)
        world.run()
    case = world.case_of(notice)
    assert (case.evidence.state, sum(act.kind == "remove" for act in case.acts)) == ("stuck", 1)


@pytest.mark.parametrize("ahead_seconds", [0, 30])
def test_withdrawal_under_a_clock_ahead(tmp_path: Path, store: SqlStore, ahead_seconds: int) -> None:
    """The public side's clock may be ahead of the database's: people are asked once all the same."""
    world = make_world(tmp_path, store)
    now = to_micros(world.clock.now())
    notice = world.notify(world.put("/a.jpg", BODY), created_at=now + ahead_seconds * 1_000_000)
    world.run()
    world.direct(notice, "withdraw")
    world.run(steps=50)
    assert [decision.kind for decision in world.case_of(notice).decisions] == ["release"]


@pytest.mark.parametrize("scope", ["adapter:www", "issuer:iwf", "all"])
def test_stuck_evidence_survives_a_pause(tmp_path: Path, store: SqlStore, scope: str) -> None:
    world = make_world(tmp_path, store)
    world.failures["store.open"] = Unsupported("reading it")
    notice = world.notify(world.put("/a.jpg", BODY))
    world.run()
    world.failures.clear()
    case = world.case_of(notice).case.id
    pause = Insert(table=Table.PAUSE, values={"scope": scope, "actor": "ann", "since_at": 1})
    world.commit(Outcome(changes=(pause,), wakes=(Wake(track=Track.EVIDENCE, subject=case),)))
    world.run()
    world.db.lift_pause(scope)
    world.later(minutes=1)
    world.decide("retry", case=case)
    world.run()
    assert world.case_of(notice).evidence.state == "sealed"
