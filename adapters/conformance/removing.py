"""Cases about deleting the customer's copy: never without proof, never more than the proof covers."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest

from adapters.conformance.environment import Setting, proof_for, read_all
from adapters.contract import AdapterError, Changed, Denied, Origin, Pin, Presence, RemoveReceipt, from_json, to_json


class RemovalCases:
    gone: ClassVar[frozenset[int]]

    def test_remove_needs_matching_proof(self, setting: Setting) -> None:
        receipt = setting.block()
        proof = proof_for(receipt, len(setting.body))
        for pins in ((), (Pin("another"),), (*receipt.pins, Pin("another"))):
            with pytest.raises(Denied):
                setting.adapter.remove(setting.ref, replace(proof, pins=pins), receipt, "op-9")
        assert read_all(setting.adapter, setting.ref, receipt) == setting.body

    def test_remove_really_removes(self, setting: Setting) -> None:
        receipt = setting.block()
        setting.adapter.freeze(setting.ref, receipt)
        done = setting.adapter.remove(setting.ref, proof_for(receipt, len(setting.body)), receipt, "op-9")
        assert from_json(RemoveReceipt, to_json(done)) == done
        assert setting.environment.public_get(setting.ref)[0] in self.gone
        if done.outcome == "unreachable_retained":
            assert done.reason
            return
        assert done.outcome == "removed"
        assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.GONE
        assert setting.adapter.observe(setting.ref).presence is Presence.ABSENT
        with pytest.raises(AdapterError):
            read_all(setting.adapter, setting.ref, receipt)
        with pytest.raises(AdapterError):
            setting.adapter.unblock(setting.ref, receipt)

    def test_remove_repeats_by_op_id(self, setting: Setting) -> None:
        receipt = setting.block()
        proof = proof_for(receipt, len(setting.body))
        first = setting.adapter.remove(setting.ref, proof, receipt, "op-9")
        assert setting.restarted().adapter.remove(setting.ref, proof, receipt, "op-9") == first

    def test_remove_spares_new_upload(self, setting: Setting) -> None:
        receipt = setting.block()
        try:
            setting.environment.customer_write(setting.ref, b"uploaded again")
        except PermissionError:
            pytest.skip("this store lets nothing new stand at a blocked name")
        setting.adapter.remove(setting.ref, proof_for(receipt, len(setting.body)), receipt, "op-9")
        assert setting.environment.public_get(setting.ref) == (200, b"uploaded again")

    def test_remove_refuses_changed_bytes(self, setting: Setting) -> None:
        late = setting.environment.open_writer(setting.ref)
        if late is None:
            pytest.skip("no write outlives the block here")
        receipt = setting.block()
        proof = proof_for(receipt, len(setting.body))
        try:
            late(b"written late")
        except OSError:
            assert setting.adapter.remove(setting.ref, proof, receipt, "op-9").outcome
            return
        with pytest.raises(Changed):
            setting.adapter.remove(setting.ref, proof, receipt, "op-9")

    def test_remove_takes_other_names_along(self, setting: Setting) -> None:
        other = setting.environment.add_other_name(setting.ref, in_scope=True)
        if other is None:
            pytest.skip("this store has no other names")
        receipt = setting.block()
        setting.adapter.remove(setting.ref, proof_for(receipt, len(setting.body)), receipt, "op-9")
        assert setting.environment.public_get(other)[0] in self.gone
        assert setting.adapter.observe(other).presence is Presence.ABSENT
