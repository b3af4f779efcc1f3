"""Proofs for one entry: that it is in the ledger a checkpoint was signed for, without showing any other entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from receiver.domain.entry import verify_entry
from receiver.domain.ports import StoredCheckpoint, StoredEntry
from receiver.domain.tree import Tree, proof_tiles, verify_inclusion
from receiver.ledger.checkpoint import Verifier
from receiver.ledger.errors import LedgerNotCoveredError
from receiver.ledger.history import read_note


class ProofStore(Protocol):
    """What a proof is made from: one checkpoint, and its tiles out of one transaction."""

    def last_checkpoint(self) -> StoredCheckpoint | None: ...
    def tiles_named(self, names: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        """By level and number; those that are not there are left out."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """An entry, its number, the hashes up to the root, and the signed checkpoint with that root."""

    entry: StoredEntry
    seq: int
    size: int
    hashes: tuple[bytes, ...]
    note: str


def prove(store: ProofStore, entry: StoredEntry) -> Proof:
    """Prove against the last checkpoint. Raises LedgerNotCoveredError when that does not hold the entry yet."""
    last = store.last_checkpoint()
    if entry.seq is None or last is None or entry.seq >= last.size:
        raise LedgerNotCoveredError("no checkpoint holds this entry yet; run `ledger checkpoint`, then again")
    tiles = store.tiles_named(proof_tiles(entry.seq, last.size))
    tree = Tree(lambda level, n: tiles.get((level, n)), last.size)
    return Proof(entry=entry, seq=entry.seq, size=last.size, hashes=tree.inclusion_proof(entry.seq), note=last.note)


def check_proof(proof: Proof, verifier: Verifier) -> tuple[str, ...]:
    """Name everything about a proof that does not hold; empty when the entry is proven."""
    checkpoint, wrong = read_note("the checkpoint", proof.note, verifier)
    problems = [*verify_entry(proof.entry), *([wrong] if wrong else [])]
    if checkpoint is not None and (
        checkpoint.size != proof.size
        or not verify_inclusion(proof.entry.leaf_hash, proof.seq, proof.size, proof.hashes, checkpoint.root)
    ):
        problems.append("the hashes do not lead from the entry to the signed root")
    return tuple(problems)
