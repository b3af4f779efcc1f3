"""What comes after a block: freeze, unblock, remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from adapters.contract import (
    Changed,
    Conflict,
    FreezeReceipt,
    NotFound,
    RemoveReceipt,
    Retryable,
    UnblockReceipt,
    from_json,
    to_json,
)
from adapters.s3.attributes import attributes_of, differing
from adapters.s3.erasing import Eraser, Kept
from adapters.s3.listing import Listing, key_of, list_key
from adapters.s3.moving import MoveRung, retained_words
from adapters.s3.probing import Proof
from adapters.s3.record import BLOCKED, REMOVED, REMOVING, UNDOING, UNDONE, Record, Records
from adapters.s3.rungs import Rung
from adapters.s3.wire import Wire

_LATER = "a later block took these bytes over; they come back with that one"


class Releaser:
    def __init__(self, wire: Wire, records: Records, rungs: Mapping[str, Rung], move: MoveRung) -> None:
        self._wire, self._records, self._rungs, self._move = wire, records, rungs, move
        self._eraser = Eraser(wire)
        self._bucket = wire.settings.bucket

    # --- freeze

    def freeze(self, record: Record, proof: Proof) -> FreezeReceipt:
        if record.rung == "move":
            if proof.quarantine_closed:
                unchecked = ("No customer account was there to try the quarantine with.",)
                return FreezeReceipt(
                    promised=True,
                    how="the bytes lie in a bucket of the host's own",
                    residual=unchecked if proof.quarantine_unchecked else (),
                )
            return FreezeReceipt(promised=False, how="strangers or customers can reach the quarantine")
        if not proof.holds:
            return FreezeReceipt(promised=False, how="this store has no legal hold that customers cannot lift")
        key = key_of(record.ref)
        # Written down first: a hold that nobody remembers could not be told from the customer's own.
        held = tuple(
            replace(one, frozen=one.frozen or one.stored.attributes.get("LegalHold") != "ON") for one in record.taken
        )
        record = self._records.save(replace(record, taken=held))
        for one in record.taken:
            if one.frozen:
                self._eraser.set_hold(key, one.stored, on=True)
        return FreezeReceipt(promised=True, how="legal hold on every version")

    def _thaw(self, record: Record, key: str) -> None:
        for one in record.taken:
            if one.frozen:
                try:
                    self._eraser.set_hold(key, one.stored, on=False)
                except NotFound:
                    continue  # it is gone, and that is said where the losses are

    # --- unblock

    def unblock(self, record: Record, new: Sequence[str], listing: Listing, others: Sequence[Record]) -> UnblockReceipt:
        """`new` are versions that neither this block nor another holds; `others` all blocks there ever were."""
        if record.state == UNDONE:
            if record.rung == "move":
                self._move.drop_copies(record)
            return from_json(UnblockReceipt, dict(record.result))
        if record.state != UNDOING:
            if self._taken_later(record, others):
                self._rungs[record.rung].reopen(record)
                return self._undone(record, (_LATER,))
            if new:
                raise Conflict("something new stands at the name of the blocked object")
            baseline = tuple(stored.version_id for stored in listing.versions)
            record = self._records.save(replace(record, state=UNDOING, baseline=baseline))
        key = key_of(record.ref)
        if record.rung == "move":
            record = self._move.reopen(record)
            losses = self._move.losses(record)
        else:
            losses = self._lost(record, key)
            self._thaw(record, key)
            record = self._rungs[record.rung].reopen(record) if record.rung else record
            losses = (*losses, *self._worn(record, key))
        if record.uploads_aborted:
            losses = (*losses, f"{record.uploads_aborted} unfinished upload(s) were aborted")
        receipt = self._undone(record, losses)
        if record.rung == "move":
            self._move.drop_copies(record)
        return receipt

    def _undone(self, record: Record, losses: tuple[str, ...]) -> UnblockReceipt:
        receipt = UnblockReceipt(losses=losses)
        self._records.save(replace(record, state=UNDONE, result=to_json(receipt)))
        return receipt

    def _lost(self, record: Record, key: str) -> tuple[str, ...]:
        there = {stored.pin for stored in list_key(self._wire, self._bucket, key).versions}
        gone = [one for one in record.taken if one.stored.pin not in there]
        if len(gone) == len(record.taken):
            raise NotFound("the blocked versions are not there any more")
        return (f"{len(gone)} version(s) were deleted or overwritten while blocked",) if gone else ()

    def _worn(self, record: Record, key: str) -> tuple[str, ...]:
        """SeaweedFS drops the content type when a hold is set; whatever a hold changed is said."""
        words: dict[str, None] = {}
        for one in record.taken:
            if one.frozen:
                try:
                    now = attributes_of(self._wire, self._bucket, key, one.stored)
                except NotFound:
                    continue
                words |= {f"not as before: {name}": None for name in differing(one.stored.attributes, now)}
        return tuple(words)

    def _taken_later(self, record: Record, others: Sequence[Record]) -> bool:
        ours = {one.stored.pin for one in record.taken}
        return record.rung != "move" and any(
            ours <= {one.stored.pin for one in other.taken} for other in others if other.begun_at > record.begun_at
        )

    # --- remove

    def remove(self, record: Record, op_id: str) -> RemoveReceipt:
        if record.state in {UNDOING, UNDONE}:
            raise Conflict("it is not blocked any more")
        key = key_of(record.ref)
        if record.state not in {REMOVING, REMOVED} and record.rung != "move":
            self._same_as_sealed(record, key)
        record = self._records.save(replace(record, state=REMOVING))
        originals = [one.stored for one in record.taken]
        kept = self._eraser.erase(key, originals)
        aborted = self._eraser.abort_uploads(key)
        refused = {item.stored.pin for item in kept}
        if any(left.pin not in refused for left in self._eraser.still_there(key, originals)):
            raise Retryable("the store says it deleted a version that is still there")
        if record.rung == "move":
            self._move.drop_copies(record)
        elif not kept:
            record = self._rungs[record.rung].reopen(record)
        residual = (f"{aborted} unfinished upload(s) to the name were aborted",) if aborted else ()
        receipt = _receipt(kept, residual)
        # What a retention keeps stays denied, so that block is still one to ask about.
        state = BLOCKED if kept and record.rung != "move" else REMOVED
        removals = {**record.removals, op_id: to_json(receipt)}
        self._records.save(replace(record, state=state, removals=removals))
        return receipt

    def _same_as_sealed(self, record: Record, key: str) -> None:
        there = {stored.pin for stored in list_key(self._wire, self._bucket, key).versions}
        if any(one.stored.pin not in there for one in record.taken):
            raise Changed("the blocked bytes are not those that were sealed")


def _receipt(kept: Sequence[Kept], residual: tuple[str, ...]) -> RemoveReceipt:
    if not kept:
        return RemoveReceipt(outcome="removed", residual=residual)
    until = max(item.until for item in kept)
    return RemoveReceipt(
        outcome="unreachable_retained", reason=retained_words(until), until=until or None, residual=residual
    )
