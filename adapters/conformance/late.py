"""`LateGateConformance` and `LateStorageConformance`: what arrives after it was taken back changes nothing.

A worker may be frozen between deciding upon an act and sending it. Meanwhile another takes its work over, does the act
and later takes it back. The frozen one wakes up and sends: it must neither take an innocent customer's content down
again nor bring back what a later round took down. Inherit beside `GateConformance` or `StorageConformance`, with the
same two fixtures.
"""

from __future__ import annotations

import contextlib

import pytest

from adapters.conformance.environment import FixturesToGive, Setting, StorageEnvironment, proof_for
from adapters.conformance.gate import GateEnvironment, target_for
from adapters.contract import AdapterError, Denied, GateAdapter, GateStatus, StorageAdapter

BODY = b"colour field, one of many"


class LateGateConformance(FixturesToGive):
    """Every operation of a gate is spent once it was allowed again."""

    def test_late_deny_is_refused(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        targets = [target_for(environment.host, b"/a.jpg")]
        receipt = adapter.deny(targets, "op-1")
        adapter.allow(receipt)
        for late in (adapter, environment.restart(adapter)):
            with pytest.raises(Denied):
                late.deny(targets, "op-1")
            assert environment.get(environment.host, b"/a.jpg") == 200
            assert late.state(receipt) is GateStatus.OPEN

    def test_late_allow_lets_nothing_up(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        targets = [target_for(environment.host, b"/a.jpg")]
        old = adapter.deny(targets, "op-1")
        adapter.allow(old)
        new = adapter.deny(targets, "op-2")
        environment.restart(adapter).allow(old)
        assert environment.get(environment.host, b"/a.jpg") != 200
        assert adapter.state(new) is GateStatus.DENYING

    def test_next_round_may_deny_again(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        targets = [target_for(environment.host, b"/a.jpg")]
        for number in range(3):
            receipt = adapter.deny(targets, f"op-{number}")
            assert environment.get(environment.host, b"/a.jpg") != 200
            adapter.allow(receipt)
            assert environment.get(environment.host, b"/a.jpg") == 200


class LateStorageConformance(FixturesToGive):
    """Every operation of a store is spent once it was undone."""

    @pytest.fixture
    def late(self, adapter: StorageAdapter, environment: StorageEnvironment) -> Setting:
        ref = environment.put(b"late.jpg", BODY)
        return Setting(adapter=adapter, environment=environment, ref=ref, body=BODY)

    def test_late_block_takes_nothing_down(self, late: Setting) -> None:
        """With what was observed before, and with what stands there now: a worker may hold either."""
        before = late.adapter.observe(late.ref)
        receipt = late.adapter.block(late.ref, before, "op-1")
        late.adapter.unblock(late.ref, receipt)
        again = late.restarted()
        for seen in (before, again.adapter.observe(again.ref)):
            with contextlib.suppress(AdapterError):
                again.adapter.block(again.ref, seen, "op-1")
            assert late.environment.public_get(late.ref) == (200, BODY)

    def test_late_unblock_brings_nothing_back(self, late: Setting) -> None:
        old = late.block("op-1")
        late.adapter.unblock(late.ref, old)
        late.block("op-2")
        again = late.restarted()
        with contextlib.suppress(AdapterError):
            again.adapter.unblock(again.ref, old)
        assert late.environment.public_get(late.ref)[0] != 200

    def test_late_remove_deletes_nothing(self, late: Setting) -> None:
        old = late.block("op-1")
        late.adapter.unblock(late.ref, old)
        again = late.restarted()
        with pytest.raises(AdapterError):
            again.adapter.remove(again.ref, proof_for(old, len(BODY)), old, "op-2")
        assert late.environment.public_get(late.ref) == (200, BODY)

    def test_late_freeze_holds_nothing(self, late: Setting) -> None:
        """The customer whose content came back can write and delete as before."""
        old = late.block("op-1")
        late.adapter.unblock(late.ref, old)
        again = late.restarted()
        with contextlib.suppress(AdapterError):
            again.adapter.freeze(again.ref, old)
        late.environment.customer_delete(late.ref)
        assert late.environment.public_get(late.ref)[0] != 200
        late.environment.customer_write(late.ref, b"another field")
        assert late.environment.public_get(late.ref) == (200, b"another field")
