"""The kit fails adapters that have one defect, each by the case that is about it."""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Callable
from dataclasses import replace

import pytest

from adapters.conformance.environment import Setting
from adapters.conformance.storage import BODY, StorageConformance
from adapters.contract import (
    AdapterError,
    BlockReceipt,
    FreezeReceipt,
    NotFound,
    Observation,
    Origin,
    OriginState,
    Pin,
    Presence,
    Reader,
    Ref,
    RemoveReceipt,
    SealProof,
    StorageAdapter,
    UnblockReceipt,
)
from adapters.memory import MemoryStorage, MemoryStore
from tests.conformance.test_memory import MemoryEnvironment


class Overwrites(MemoryStorage):
    def _unblock(self, ref: Ref, receipt: BlockReceipt) -> UnblockReceipt:
        block = self.store.blocks.pop(receipt.op_id)
        self.store.names.update(dict.fromkeys(block.names, block.taken))
        return UnblockReceipt()


class IgnoresPins(MemoryStorage):
    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        return super()._block(ref, self._observe(ref), op_id)


class ForgetsOperations(MemoryStorage):
    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        if op_id in self.store.blocks:
            raise NotFound("nothing is there to block")
        return super()._block(ref, observation, op_id)


class LeavesOtherNames(MemoryStorage):
    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        others = {name: self.store.names[name] for name in self._names_of(self.store.names[ref.locator])}
        receipt = super()._block(ref, observation, op_id)
        del others[ref.locator]
        self.store.names.update(others)
        return receipt


class ReadsBodies(MemoryStorage):
    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        with self.open(ref, observation.pins[0]) as reader:
            reader.read()
        return super()._block(ref, observation, op_id)


class ShortReader(Reader):
    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def _read(self, size: int) -> bytes:
        return self.reader.read(size)[:-1]

    def _close(self) -> None:
        self.reader.close()


class LosesBytes(MemoryStorage):
    def _open(self, ref: Ref, pin: Pin, offset: int) -> ShortReader:
        return ShortReader(super()._open(ref, pin, offset))


class NormalisesNames(MemoryStorage):
    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        receipt = super()._block(ref, observation, op_id)
        form = unicodedata.normalize("NFC", ref.locator.decode())
        for name in [name for name in self.store.names if unicodedata.normalize("NFC", name.decode()) == form]:
            del self.store.names[name]
        return receipt


class BlocksByPrefix(MemoryStorage):
    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        receipt = super()._block(ref, observation, op_id)
        for name in [name for name in self.store.names if name.startswith(ref.locator)]:
            del self.store.names[name]
        return receipt


class TellsNames(MemoryStorage):
    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        try:
            return super()._block(ref, observation, op_id)
        except AdapterError as exc:
            raise type(exc)(f"{ref.locator!r}: {exc}") from exc


class ShowsNames(MemoryStorage):
    def __repr__(self) -> str:
        return f"MemoryStorage({list(self.store.names)})"


class PretendsToRemove(MemoryStorage):
    def _remove(self, ref: Ref, proof: SealProof, receipt: BlockReceipt, op_id: str) -> RemoveReceipt:
        return RemoveReceipt(outcome="removed")


class RemovesTwice(MemoryStorage):
    def _remove(self, ref: Ref, proof: SealProof, receipt: BlockReceipt, op_id: str) -> RemoveReceipt:
        self.store.removed.clear()
        return super()._remove(ref, proof, receipt, op_id)


class AlwaysBlocked(MemoryStorage):
    def _origin_state(self, ref: Ref, receipt: BlockReceipt) -> OriginState:
        return OriginState(origin=Origin.BLOCKED)


class PretendsToFreeze(MemoryStorage):
    def _freeze(self, ref: Ref, receipt: BlockReceipt) -> FreezeReceipt:
        return FreezeReceipt(promised=True, how="trust me")


class RaisesOnAbsent(MemoryStorage):
    def _observe(self, ref: Ref) -> Observation:
        seen = super()._observe(ref)
        if seen.presence is Presence.ABSENT:
            raise NotFound("nothing is there")
        return seen


class LosesAttributes(MemoryStorage):
    def _unblock(self, ref: Ref, receipt: BlockReceipt) -> UnblockReceipt:
        found = super()._unblock(ref, receipt)
        target = self.store.names[ref.locator]
        target.versions = [(replace(version, modified_at=0), body) for version, body in target.versions]
        return found


class ActsOutsideScope(MemoryStorage):
    def _check_scope(self, ref: Ref) -> None:
        pass


class HidesOtherNames(MemoryStorage):
    def _observe(self, ref: Ref) -> Observation:
        return replace(super()._observe(ref), other_names=())


class BlocksNothing(MemoryStorage):
    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        before = dict(self.store.names)
        receipt = super()._block(ref, observation, op_id)
        self.store.names.update(before)
        return receipt


CAUGHT_BY = {
    ActsOutsideScope: "test_outside_scope_is_denied",
    AlwaysBlocked: "test_reupload_is_replaced",
    BlocksByPrefix: "test_longer_name_stays_up",
    BlocksNothing: "test_block_closes_every_door",
    ForgetsOperations: "test_block_repeats_by_op_id",
    HidesOtherNames: "test_other_name_outside_scope_reported",
    IgnoresPins: "test_rewrite_before_block_is_changed",
    LeavesOtherNames: "test_other_name_in_scope_blocked",
    LosesAttributes: "test_unblock_restores_everything",
    LosesBytes: "test_bytes_come_back_exactly",
    NormalisesNames: "test_names_are_never_normalised",
    Overwrites: "test_unblock_never_overwrites",
    PretendsToFreeze: "test_frozen_bytes_refuse_late_write",
    PretendsToRemove: "test_remove_really_removes",
    RaisesOnAbsent: "test_absent_is_a_value",
    ReadsBodies: "test_block_reads_no_body",
    RemovesTwice: "test_remove_repeats_by_op_id",
    ShowsNames: "test_repr_shows_no_secret",
    TellsNames: "test_messages_name_no_locator",
}


Kind = Callable[[MemoryStore], MemoryStorage]


class RestartsAs(MemoryEnvironment):
    def __init__(self, store: MemoryStore, kind: Kind) -> None:
        super().__init__(store)
        self.kind = kind

    def restart(self, adapter: StorageAdapter) -> StorageAdapter:
        return self.kind(self.store)


def run_case(kind: Kind, name: str) -> None:
    """Call one case of the kit as pytest would."""
    store = MemoryStore()
    environment = RestartsAs(store, kind)
    adapter = kind(store)
    ready = {"adapter": adapter, "environment": environment, "stored": environment.put, "capabilities": adapter.probe()}
    case = getattr(StorageConformance(), name)
    wanted = inspect.signature(case).parameters
    if "setting" in wanted:
        ref = environment.put(b"field.jpg", BODY)
        ready["setting"] = Setting(adapter=adapter, environment=environment, ref=ref, body=BODY)
    case(**{word: ready[word] for word in wanted})


@pytest.mark.parametrize(("kind", "name"), CAUGHT_BY.items(), ids=[kind.__name__ for kind in CAUGHT_BY])
def test_defect_is_caught(kind: Kind, name: str) -> None:
    run_case(MemoryStorage, name)
    with pytest.raises((AssertionError, AdapterError, pytest.fail.Exception)):
        run_case(kind, name)


def test_always_blocked_hides_no_leak() -> None:
    run_case(MemoryStorage, "test_reopened_door_is_leaking")
    with pytest.raises(AssertionError):
        run_case(AlwaysBlocked, "test_reopened_door_is_leaking")


def test_fixtures_must_be_given() -> None:
    for fixture in ("environment", "adapter"):
        wrapped = inspect.unwrap(getattr(StorageConformance, fixture).__wrapped__)
        with pytest.raises(NotImplementedError, match=fixture):
            wrapped(*[None] * len(inspect.signature(wrapped).parameters))
