"""The memory adapters pass the kit they are the reference for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.conformance.environment import LEFT_OUT, StorageEnvironment, Writer
from adapters.conformance.late import LateStorageConformance
from adapters.conformance.storage import StorageConformance
from adapters.contract import BlockReceipt, Ref, StorageAdapter
from adapters.memory import MemoryStorage, MemoryStore

OURS, OTHERS = b"acme", b"other"


class MemoryEnvironment(StorageEnvironment):
    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    def put(self, name: bytes, body: bytes) -> Ref:
        ref = Ref(locator=OURS + b"/" + name, scope=OURS)
        self.store.write_as_customer(ref.locator, body)
        return ref

    def public_get(self, ref: Ref) -> tuple[int, bytes | None]:
        body = self.store.fetch_as_public(ref.locator)
        return (404, None) if body is None else (200, body)

    def customer_write(self, ref: Ref, body: bytes) -> None:
        self.store.write_as_customer(ref.locator, body)

    def customer_delete(self, ref: Ref) -> None:
        self.store.delete_as_customer(ref.locator)

    def add_other_name(self, ref: Ref, in_scope: bool) -> Ref | None:
        scope = OURS if in_scope else OTHERS
        other = Ref(locator=scope + b"/other.jpg", scope=scope)
        self.store.link_as_customer(ref.locator, other.locator)
        return other

    def open_writer(self, ref: Ref) -> Writer:
        return self.store.open_writer_as_customer(ref.locator)

    def reopen_door(self, ref: Ref, receipt: BlockReceipt) -> bool:
        self.store.names[ref.locator] = self.store.blocks[receipt.op_id].taken
        return True

    def restart(self, adapter: StorageAdapter) -> StorageAdapter:
        return MemoryStorage(self.store)

    def body_bytes_read(self) -> int:
        return self.store.body_bytes_read


class TestMemory(LateStorageConformance, StorageConformance):
    required = frozenset({"block", "freeze", "exact_unblock", "strong_pin", "other_names", "remove"})
    keeps_versions = False

    test_what_is_not_plain_is_denied = LEFT_OUT  # there is nothing but plain objects

    @pytest.fixture
    def environment(self) -> MemoryEnvironment:
        return MemoryEnvironment(MemoryStore(keeps_versions=self.keeps_versions))

    @pytest.fixture
    def adapter(self, environment: MemoryEnvironment) -> MemoryStorage:
        return MemoryStorage(environment.store)


class TestMemoryWithVersions(TestMemory):
    keeps_versions = True

    def test_old_versions_are_blocked(
        self, adapter: MemoryStorage, environment: MemoryEnvironment, stored: Callable[[bytes, bytes], Ref]
    ) -> None:
        ref = stored(b"field.jpg", b"first")
        old = adapter.observe(ref).pins[0]
        environment.customer_write(ref, b"second")
        seen = adapter.observe(ref)
        assert [version.current for version in seen.versions] == [True, False]
        receipt = adapter.block(ref, seen, "op-1")
        assert environment.store.fetch_as_public(ref.locator, old) is None
        with adapter.open(ref, receipt.pins[1]) as reader:
            assert reader.read() == b"first"
