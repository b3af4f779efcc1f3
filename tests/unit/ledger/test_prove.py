from __future__ import annotations

from dataclasses import replace

import pytest

from receiver.ledger.checkpoint import Verifier
from receiver.ledger.errors import LedgerNotCoveredError
from receiver.ledger.prove import check_proof, prove
from tests.doubles.ledger import Ledger

# --- proofs


def test_entry_is_proven_alone(ledger: Ledger) -> None:
    ledger.add(300)
    ledger.sign()
    ledger.add(10)
    for seq in (0, 128, 299):
        proof = prove(ledger.store, ledger.store.iter_entries(seq, 1)[0])
        assert check_proof(proof, Verifier(ledger.signer.vkey)) == ()


def test_uncovered_entry_is_not_proven(ledger: Ledger) -> None:
    ledger.add(3)
    with pytest.raises(LedgerNotCoveredError):
        prove(ledger.store, ledger.store.iter_entries(0, 1)[0])
    ledger.sign()
    ledger.add(1)
    with pytest.raises(LedgerNotCoveredError):
        prove(ledger.store, ledger.store.iter_entries(3, 1)[0])


def test_false_proofs_are_refused(ledger: Ledger) -> None:
    ledger.add(20)
    ledger.sign()
    entry = ledger.store.iter_entries(5, 1)[0]
    proof, verifier = prove(ledger.store, entry), Verifier(ledger.signer.vkey)
    for false in (
        replace(proof, seq=6),
        replace(proof, size=19),
        replace(proof, hashes=proof.hashes[:-1]),
        replace(proof, entry=replace(entry, kind="other")),
        replace(proof, entry=ledger.store.iter_entries(6, 1)[0]),
        replace(proof, note=proof.note.replace("\n20\n", "\n21\n")),
        replace(proof, note=""),
    ):
        assert check_proof(false, verifier)
