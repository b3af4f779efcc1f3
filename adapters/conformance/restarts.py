"""A crash after the act and before its receipt was written down: the next process does it again, and it is the same."""

from __future__ import annotations

from adapters.conformance.environment import Setting, digest, proof_for, read_all


class RestartCases:
    """What was observed and the op_id are all that survives us; the store is as the act left it."""

    def test_block_whose_receipt_was_lost(self, setting: Setting) -> None:
        seen = setting.adapter.observe(setting.ref)
        receipt = setting.adapter.block(setting.ref, seen, "op-1")
        again = setting.restarted()
        assert again.adapter.block(setting.ref, seen, "op-1") == receipt
        assert setting.environment.public_get(setting.ref)[0] != 200
        assert digest(read_all(again.adapter, setting.ref, receipt)) == digest(setting.body)

    def test_unblock_whose_receipt_was_lost(self, setting: Setting) -> None:
        receipt = setting.block()
        setting.adapter.unblock(setting.ref, receipt)
        setting.restarted().adapter.unblock(setting.ref, receipt)
        assert setting.environment.public_get(setting.ref) == (200, setting.body)

    def test_removal_whose_receipt_was_lost(self, setting: Setting) -> None:
        receipt = setting.block()
        proof = proof_for(receipt, len(setting.body))
        first = setting.adapter.remove(setting.ref, proof, receipt, "op-2")
        assert setting.restarted().adapter.remove(setting.ref, proof, receipt, "op-2") == first

    def test_freeze_whose_receipt_was_lost(self, setting: Setting) -> None:
        receipt = setting.block()
        frozen = setting.adapter.freeze(setting.ref, receipt)
        assert setting.restarted().adapter.freeze(setting.ref, receipt).promised == frozen.promised
