"""`StorageConformance`: inherit it in a test file, override `environment` and `adapter`, and run pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest

from adapters.conformance.environment import FixturesToGive, Setting, StorageEnvironment, digest, proof_for, read_all
from adapters.conformance.hostile import HostileCustomerCases
from adapters.conformance.names import ODD_NAMES, NameCases
from adapters.conformance.removing import RemovalCases
from adapters.conformance.restarts import RestartCases
from adapters.contract import (
    BlockReceipt,
    Capabilities,
    Denied,
    NotFound,
    Observation,
    Origin,
    Presence,
    Ref,
    StorageAdapter,
    from_json,
    to_json,
)

__all__ = ["ODD_NAMES", "StorageConformance", "StorageEnvironment", "proof_for", "read_all"]

BODY = bytes(range(256)) * 8


class StorageConformance(NameCases, HostileCustomerCases, RemovalCases, RestartCases, FixturesToGive):
    """The promises of `StorageAdapter`, each a case. Set the class attributes where your store differs."""

    required: ClassVar[frozenset[str]] = frozenset({"block", "exact_unblock", "remove"})
    """What `probe` must find on the store of this test. Words as in `Capabilities.can`."""

    odd_names: ClassVar[Mapping[str, bytes]] = ODD_NAMES
    """Names every store must take as they are; leave out only what the store itself refuses."""

    not_restored: ClassVar[frozenset[str]] = frozenset()
    """Keys of `Version.attributes` that no store of this kind can put back, such as a change time. Also `modified_at`
    and `public`, where an undo that lists its losses cannot keep them."""

    gone: ClassVar[frozenset[int]] = frozenset({403, 404, 410, 451})
    secrets: ClassVar[tuple[str, ...]] = ()
    """Passwords and tokens this test gave the adapter; none may show in its repr."""

    large_body_bytes: ClassVar[int] = 5 * 1024 * 1024

    @pytest.fixture
    def stored(self, environment: StorageEnvironment) -> Callable[[bytes, bytes], Ref]:
        """put(name, body) -> Ref, as the customer."""
        return environment.put

    @pytest.fixture
    def setting(
        self, adapter: StorageAdapter, environment: StorageEnvironment, stored: Callable[[bytes, bytes], Ref]
    ) -> Setting:
        return Setting(adapter=adapter, environment=environment, ref=stored(b"field.jpg", BODY), body=BODY)

    @pytest.fixture
    def capabilities(self, adapter: StorageAdapter) -> Capabilities:
        return adapter.probe()

    # --- what the store says of itself

    def test_probe_finds_required_capabilities(self, capabilities: Capabilities) -> None:
        assert self.required <= set(capabilities.can)
        assert capabilities.name

    def test_probe_disturbs_nothing(self, setting: Setting) -> None:
        before = setting.adapter.observe(setting.ref)
        setting.adapter.probe()
        assert setting.adapter.observe(setting.ref) == before
        assert setting.environment.public_get(setting.ref) == (200, setting.body)

    def test_repr_shows_no_secret(self, setting: Setting) -> None:
        shown = repr(setting.adapter)
        assert "field.jpg" not in shown
        assert not any(secret in shown for secret in self.secrets)

    # --- observing

    def test_observe_describes_without_body(self, setting: Setting) -> None:
        seen = setting.adapter.observe(setting.ref)
        assert seen.presence is Presence.PRESENT
        assert seen.versions[0].current
        assert seen.versions[0].size_bytes == len(setting.body)
        assert seen.other_names == ()

    def test_observe_twice_is_equal(self, setting: Setting) -> None:
        assert setting.adapter.observe(setting.ref) == setting.adapter.observe(setting.ref)

    def test_absent_is_a_value(self, setting: Setting) -> None:
        setting.environment.customer_delete(setting.ref)
        seen = setting.adapter.observe(setting.ref)
        assert seen.presence is Presence.ABSENT
        assert seen.versions == ()

    def test_observation_survives_json(self, setting: Setting) -> None:
        seen = setting.adapter.observe(setting.ref)
        assert from_json(Observation, to_json(seen)) == seen

    def test_outside_scope_is_denied(self, setting: Setting) -> None:
        other = setting.environment.add_other_name(setting.ref, in_scope=False)
        if other is None:
            pytest.skip("this store has no names outside the customer's part")
        strange = Ref(locator=other.locator, scope=setting.ref.scope)
        with pytest.raises(Denied):
            setting.adapter.observe(strange)
        with pytest.raises(Denied):
            setting.adapter.block(strange, Observation(ref=strange, presence=Presence.PRESENT), "op-1")

    # --- reading

    def test_bytes_come_back_exactly(self, setting: Setting) -> None:
        pin = setting.adapter.observe(setting.ref).pins[0]
        with setting.adapter.open(setting.ref, pin) as reader:
            assert b"".join(iter(lambda: reader.read(1000), b"")) == setting.body

    def test_empty_object_reads_empty(self, adapter: StorageAdapter, stored: Callable[[bytes, bytes], Ref]) -> None:
        ref = stored(b"empty.bin", b"")
        with adapter.open(ref, adapter.observe(ref).pins[0]) as reader:
            assert reader.read(10) == b""

    def test_large_body_streams_bounded(
        self, adapter: StorageAdapter, environment: StorageEnvironment, stored: Callable[[bytes, bytes], Ref]
    ) -> None:
        body = (b"%08d" * 1024 % tuple(range(1024))) * (self.large_body_bytes // 8192)
        ref = stored(b"large.bin", body)
        receipt = Setting(adapter=adapter, environment=environment, ref=ref, body=body).block()
        with adapter.open(ref, receipt.pins[0]) as reader:
            chunks = list(iter(lambda: reader.read(64 * 1024), b""))
        assert max(map(len, chunks)) <= 64 * 1024
        assert digest(b"".join(chunks)) == digest(body)

    def test_offset_starts_there(self, setting: Setting) -> None:
        receipt = setting.block()
        with setting.adapter.open(setting.ref, receipt.pins[0], offset=1000) as reader:
            assert b"".join(iter(lambda: reader.read(4096), b"")) == setting.body[1000:]

    # --- blocking

    def test_block_closes_every_door(self, setting: Setting) -> None:
        receipt = setting.block()
        assert setting.environment.public_get(setting.ref)[0] in self.gone
        assert setting.environment.customer_get(setting.ref)[0] in self.gone
        assert setting.adapter.observe(setting.ref).presence is Presence.BLOCKED
        assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.BLOCKED
        assert receipt.op_id == "op-1"
        assert receipt.doors

    def test_block_reads_no_body(self, setting: Setting) -> None:
        seen = setting.adapter.observe(setting.ref)
        before = setting.environment.body_bytes_read()
        setting.adapter.block(setting.ref, seen, "op-1")
        if before is None:
            pytest.skip("this environment cannot count what was read")
        assert setting.environment.body_bytes_read() == before

    def test_blocked_bytes_stay_readable(self, setting: Setting) -> None:
        receipt = setting.block()
        assert read_all(setting.adapter, setting.ref, receipt) == setting.body

    def test_block_absent_raises_not_found(self, setting: Setting) -> None:
        seen = setting.adapter.observe(setting.ref)
        setting.environment.customer_delete(setting.ref)
        with pytest.raises(NotFound):
            setting.adapter.block(setting.ref, seen, "op-1")

    def test_block_repeats_by_op_id(self, setting: Setting) -> None:
        seen = setting.adapter.observe(setting.ref)
        first = setting.adapter.block(setting.ref, seen, "op-1")
        assert setting.adapter.block(setting.ref, seen, "op-1") == first
        assert setting.restarted().adapter.block(setting.ref, seen, "op-1") == first

    def test_receipt_survives_json_and_restart(self, setting: Setting) -> None:
        receipt = setting.block()
        kept = from_json(BlockReceipt, to_json(receipt))
        assert kept == receipt
        later = setting.restarted()
        assert later.adapter.origin_state(setting.ref, kept).origin is Origin.BLOCKED
        assert read_all(later.adapter, setting.ref, kept) == setting.body
        later.adapter.unblock(setting.ref, kept)
        assert setting.environment.public_get(setting.ref) == (200, setting.body)

    def test_freeze_is_promised_or_declined(self, setting: Setting, capabilities: Capabilities) -> None:
        receipt = setting.block()
        frozen = setting.adapter.freeze(setting.ref, receipt)
        assert frozen.promised == ("freeze" in capabilities.can)
        assert frozen.how
        assert setting.adapter.freeze(setting.ref, receipt) == frozen
        assert read_all(setting.adapter, setting.ref, receipt) == setting.body

    # --- undoing

    def test_unblock_restores_everything(self, setting: Setting, capabilities: Capabilities) -> None:
        before = setting.adapter.observe(setting.ref)
        receipt = setting.block()
        setting.adapter.freeze(setting.ref, receipt)
        losses = setting.adapter.unblock(setting.ref, receipt).losses
        # A store that must rebuild says what came back otherwise; whoever promises exactness has nothing to say.
        assert (losses == ()) == ("exact_unblock" in capabilities.can)
        assert self._comparable(setting.adapter.observe(setting.ref)) == self._comparable(before)
        assert setting.environment.public_get(setting.ref) == (200, setting.body)

    def test_unblock_twice_is_harmless(self, setting: Setting) -> None:
        receipt = setting.block()
        first = setting.adapter.unblock(setting.ref, receipt)
        assert setting.restarted().adapter.unblock(setting.ref, receipt) == first
        assert setting.environment.public_get(setting.ref) == (200, setting.body)

    def test_block_again_after_unblock(self, setting: Setting) -> None:
        setting.adapter.unblock(setting.ref, setting.block())
        again = setting.block("op-2")
        assert setting.environment.public_get(setting.ref)[0] in self.gone
        assert read_all(setting.adapter, setting.ref, again) == setting.body

    def _comparable(self, seen: Observation) -> list[object]:
        """All of an observation that an exact undo must bring back; pins may hold a change time."""
        return [seen.presence, seen.other_names, seen.resolved, seen.public] + [
            (
                version.size_bytes,
                None if "modified_at" in self.not_restored else version.modified_at,
                version.current,
                {key: item for key, item in version.attributes.items() if key not in self.not_restored},
            )
            for version in seen.versions
        ]
