"""Store, gate and cache in memory that fail when a test says so; what they do between failures is the contract's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters.contract import BlockReceipt, CacheKey, GateReceipt, GateStatus, Observation, Pin, Ref
from adapters.memory.cache import Fetch, MemoryCache
from adapters.memory.gate import MemoryGate
from adapters.memory.storage import MemoryStorage
from adapters.memory.store import MemoryStore


class Failures(dict[str, Exception]):
    """What is raised instead of a call: by `part.call`, or by `part` for a part that is away altogether."""

    def meet(self, part: str, call: str) -> None:
        error = self.get(part, self.get(f"{part}.{call}"))
        if error is not None:
            raise error


class FailingStore(MemoryStorage):
    def __init__(self, failures: Failures, store: MemoryStore | None = None) -> None:
        super().__init__(store)
        self._failures = failures

    def _observe(self, ref: Ref) -> Any:
        self._failures.meet("store", "observe")
        return super()._observe(ref)

    def _block(self, ref: Ref, observation: Observation, op_id: str) -> Any:
        self._failures.meet("store", "block")
        return super()._block(ref, observation, op_id)

    def _freeze(self, ref: Ref, receipt: BlockReceipt) -> Any:
        self._failures.meet("store", "freeze")
        return super()._freeze(ref, receipt)

    def _open(self, ref: Ref, pin: Pin, offset: int) -> Any:
        self._failures.meet("store", "open")
        return super()._open(ref, pin, offset)

    def _origin_state(self, ref: Ref, receipt: BlockReceipt) -> Any:
        self._failures.meet("store", "origin_state")
        return super()._origin_state(ref, receipt)

    def _remove(self, *given: Any) -> Any:
        self._failures.meet("store", "remove")
        return super()._remove(*given)

    def _unblock(self, ref: Ref, receipt: BlockReceipt) -> Any:
        self._failures.meet("store", "unblock")
        return super()._unblock(ref, receipt)


class FailingGate(MemoryGate):
    def __init__(self, failures: Failures) -> None:
        super().__init__()
        self._failures = failures

    def _deny(self, targets: Sequence[Any], op_id: str) -> GateReceipt:
        self._failures.meet("gate", "deny")
        return super()._deny(targets, op_id)

    def _allow(self, receipt: GateReceipt) -> None:
        self._failures.meet("gate", "allow")
        super()._allow(receipt)


class FailingCache(MemoryCache):
    def __init__(self, failures: Failures, origin: Fetch | None = None) -> None:
        super().__init__(origin)
        self._failures = failures

    def _purge(self, keys: Sequence[CacheKey], op_id: str) -> Any:
        self._failures.meet("cache", "purge")
        return super()._purge(keys, op_id)


class SayingGate(MemoryGate):
    """Says that it denies, and does not."""

    def _deny(self, targets: Sequence[Any], op_id: str) -> GateReceipt:
        del targets
        return GateReceipt(op_id=op_id)

    def _state(self, receipt: GateReceipt) -> GateStatus:
        del receipt
        return GateStatus.DENYING
