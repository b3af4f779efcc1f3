"""Number the entries and sign checkpoints. One sequencer runs at a time; the caller holds the lock that makes it so."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from receiver.domain.clock import Clock, to_micros
from receiver.domain.entry import BATCH_ENTRIES
from receiver.domain.ports import LedgerStore
from receiver.domain.tree import Tree, append
from receiver.ledger.checkpoint import Signer, Verifier
from receiver.ledger.copies import CopySet
from receiver.ledger.errors import LedgerCopyError, LedgerForkError
from receiver.ledger.history import contradiction, lost_by_copy, read_note

CHECKPOINT_SECONDS = 3_600


@dataclass(frozen=True, kw_only=True)
class SignedCheckpoint:
    size: int
    root: bytes
    note: str
    created_at: int
    copies: tuple[str, ...]
    """The copies that hold it. Empty: weighty acts must wait."""
    problems: tuple[str, ...]
    """Copies that failed or lost something, in words for a page."""


class Sequencer:
    def __init__(self, store: LedgerStore, signer: Signer, copies: CopySet, clock: Clock) -> None:
        self._store = store
        self._signer = signer
        self._copies = copies
        self._clock = clock
        self._verifier = Verifier(signer.vkey)

    def run_once(self) -> int:
        """Number up to 1,000 waiting entries in one transaction; returns how many. 1,000 means: run again at once.

        Raises LedgerConflictError when another sequencer was faster, TreeError when tiles and size do not fit.
        """
        pending = self._store.pending_entries(BATCH_ENTRIES)
        if not pending:
            return 0
        size = self._store.ledger_size()
        added = append(self._store.tile, size, (leaf for _, leaf in pending))
        numbered = [(entry, size + place) for place, (entry, _) in enumerate(pending)]
        self._store.append_to_ledger(size, numbered, added.tiles)
        return len(pending)

    def checkpoint_due(self, now: dt.datetime | None = None) -> bool:
        """True an hour after the last one, also when nothing happened, and when the clock stands before it."""
        last = self._store.last_checkpoint()
        if last is None:
            return True
        age_micros = to_micros(now or self._clock.now()) - last.created_at
        return not 0 <= age_micros < CHECKPOINT_SECONDS * 1_000_000

    def checkpoint(self, now: dt.datetime | None = None) -> SignedCheckpoint:
        """Sign what is numbered by now and give it to the copies.

        Raises LedgerForkError, and signs nothing, when our entries contradict what was signed before, here or in a
        copy. A copy that cannot be reached is told in `problems`.
        """
        moment = now or self._clock.now()
        size = self._store.ledger_size()
        tree = Tree(self._store.tile, size)
        problems = self._check_history(tree)
        root = tree.root()
        note = self._signer.sign(size=size, root=root, now=moment)
        self._store.save_checkpoint(size, note)
        taken = self._copies.put(note)
        for name in taken.names:
            self._store.record_copy(size, name)
        return SignedCheckpoint(
            size=size,
            root=root,
            note=note,
            created_at=to_micros(moment),
            copies=taken.names,
            problems=(*problems, *taken.problems),
        )

    def _check_history(self, tree: Tree) -> list[str]:
        alarms, problems = [], []
        last = self._store.last_checkpoint()
        notes = [("the last checkpoint", last.note)] if last else []
        for copy in self._copies:
            try:
                content = copy.read_end()
            except LedgerCopyError:
                continue  # Writing to it fails too, and is told then.
            if content.last:
                notes.append((f"the newest checkpoint of copy {copy.name}", content.last))
            lost = lost_by_copy(copy.name, content, self._verifier, last)
            if lost:
                problems.append(lost)
        for where, note in notes:
            checkpoint, wrong = read_note(where, note, self._verifier)
            alarms.append(contradiction(where, checkpoint, tree) if checkpoint else wrong)
        found = [alarm for alarm in alarms if alarm]
        if found:
            raise LedgerForkError(
                "; ".join(found) + ". Nothing was signed: keep everything as it is and compare copies"
            )
        return problems
