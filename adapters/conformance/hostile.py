"""Cases with a customer who works against us: rewrites, swaps, re-uploads, keeps descriptors open."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ClassVar

import pytest

from adapters.conformance.environment import Setting, StorageEnvironment, Writer, digest, read_all
from adapters.contract import Changed, Conflict, Denied, NotFound, Origin, Ref, StorageAdapter

LARGE_BYTES = 4 * 1024 * 1024


class HostileCustomerCases:
    """Nothing of the customer's is overwritten, and no other bytes pass for the blocked ones."""

    gone: ClassVar[frozenset[int]]

    def test_rewrite_before_block_is_changed(self, setting: Setting) -> None:
        seen = setting.adapter.observe(setting.ref)
        setting.environment.customer_write(setting.ref, b"something else")
        with pytest.raises(Changed) as caught:
            setting.adapter.block(setting.ref, seen, "op-1")
        assert "field.jpg" not in str(caught.value)
        assert setting.environment.public_get(setting.ref) == (200, b"something else")

    def test_same_size_rewrite_is_changed(self, setting: Setting) -> None:
        seen = setting.adapter.observe(setting.ref)
        setting.environment.customer_write(setting.ref, bytes(reversed(setting.body)))
        with pytest.raises(Changed):
            setting.adapter.block(setting.ref, seen, "op-1")

    def test_rewrite_while_reading_is_noticed(
        self, adapter: StorageAdapter, environment: StorageEnvironment, stored: Callable[[bytes, bytes], Ref]
    ) -> None:
        body = b"first bytes" * (LARGE_BYTES // 11)
        ref = stored(b"large.bin", body)
        with adapter.open(ref, adapter.observe(ref).pins[0]) as reader:
            got = reader.read(1000)
            environment.customer_write(ref, b"other bytes" * (LARGE_BYTES // 11))
            try:
                got += b"".join(iter(lambda: reader.read(64 * 1024), b""))
            except Changed:
                return
        # A store that keeps old versions, or a rewrite by rename, may go on; then with the pinned bytes only.
        assert digest(got) == digest(body)

    def test_old_pin_reads_no_new_bytes(self, setting: Setting) -> None:
        pin = setting.adapter.observe(setting.ref).pins[0]
        setting.environment.customer_write(setting.ref, b"something else")
        try:
            with setting.adapter.open(setting.ref, pin) as reader:
                got = b"".join(iter(lambda: reader.read(64 * 1024), b""))
        except Changed:
            return
        assert got == setting.body

    def test_reupload_is_replaced(self, setting: Setting) -> None:
        receipt = setting.block()
        self._reupload(setting)
        state = setting.adapter.origin_state(setting.ref, receipt)
        assert state.origin is Origin.REPLACED
        assert state.pin is not None
        assert state.pin not in receipt.pins
        assert read_all(setting.adapter, setting.ref, receipt) == setting.body

    def test_reupload_blocks_in_next_round(self, setting: Setting) -> None:
        first = setting.block()
        self._reupload(setting)
        second = setting.block("op-2")
        assert setting.environment.public_get(setting.ref)[0] in self.gone
        assert read_all(setting.adapter, setting.ref, first) == setting.body
        assert read_all(setting.adapter, setting.ref, second) == b"uploaded again"

    def test_unblock_never_overwrites(self, setting: Setting) -> None:
        receipt = setting.block()
        self._reupload(setting)
        with pytest.raises(Conflict) as caught:
            setting.adapter.unblock(setting.ref, receipt)
        assert "field.jpg" not in str(caught.value)
        assert setting.environment.public_get(setting.ref) == (200, b"uploaded again")
        setting.environment.customer_delete(setting.ref)
        setting.adapter.unblock(setting.ref, receipt)
        assert setting.environment.public_get(setting.ref) == (200, setting.body)

    def test_reopened_door_is_leaking(self, setting: Setting) -> None:
        receipt = setting.block()
        if not setting.environment.reopen_door(setting.ref, receipt):
            pytest.skip("no door can be opened from outside here")
        state = setting.adapter.origin_state(setting.ref, receipt)
        assert state.origin is Origin.LEAKING
        assert state.doors

    def test_late_write_never_passes_unseen(self, setting: Setting) -> None:
        late = self._writer(setting)
        receipt = setting.block()
        with suppress(OSError):
            late(b"written late")
        try:
            assert read_all(setting.adapter, setting.ref, receipt) == setting.body
        except Changed:
            return

    def test_frozen_bytes_refuse_late_write(self, setting: Setting) -> None:
        late = self._writer(setting)
        receipt = setting.block()
        if not setting.adapter.freeze(setting.ref, receipt).promised:
            pytest.skip("this store does not promise a freeze")
        with pytest.raises(OSError):  # noqa: PT011  # which one is the store's affair
            late(b"written late")
        assert read_all(setting.adapter, setting.ref, receipt) == setting.body

    def test_what_is_not_plain_is_denied(self, adapter: StorageAdapter, environment: StorageEnvironment) -> None:
        ref = environment.put_not_plain(b"strange")
        if ref is None:
            pytest.skip("this store holds plain objects only")
        with pytest.raises(Denied):
            adapter.observe(ref)

    def test_two_workers_block_once(self, setting: Setting) -> None:
        seen = setting.adapter.observe(setting.ref)
        with ThreadPoolExecutor(4) as pool:
            receipts = list(pool.map(lambda _: setting.adapter.block(setting.ref, seen, "op-1"), range(8)))
        assert receipts == receipts[:1] * 8
        assert read_all(setting.adapter, setting.ref, receipts[0]) == setting.body

    def test_reading_what_is_gone_raises(self, setting: Setting) -> None:
        pin = setting.adapter.observe(setting.ref).pins[0]
        setting.environment.customer_delete(setting.ref)
        with pytest.raises((NotFound, Changed)), setting.adapter.open(setting.ref, pin) as reader:
            reader.read(10)

    def _reupload(self, setting: Setting) -> None:
        try:
            setting.environment.customer_write(setting.ref, b"uploaded again")
        except PermissionError:
            pytest.skip("this store lets nothing new stand at a blocked name")

    def _writer(self, setting: Setting) -> Writer:
        late = setting.environment.open_writer(setting.ref)
        if late is None:
            pytest.skip("no write outlives the block here")
        return late
