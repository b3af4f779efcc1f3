"""The storage adapter for one bucket on an S3-compatible server."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from adapters.contract import (
    BlockReceipt,
    Capabilities,
    Changed,
    FreezeReceipt,
    NotFound,
    Observation,
    Origin,
    OriginState,
    Pin,
    Presence,
    Reader,
    Ref,
    RemoveReceipt,
    SealProof,
    StorageAdapter,
    UnblockReceipt,
    Unsupported,
    Version,
    from_json,
    to_json,
)
from adapters.s3.attributes import attributes_of
from adapters.s3.climbing import Climber
from adapters.s3.doors import Doors
from adapters.s3.listing import NULL, Listing, Stored, key_of, list_key, split_pin
from adapters.s3.moving import MoveRung
from adapters.s3.notes import BucketNotes
from adapters.s3.policy import Policy
from adapters.s3.probing import Prober, Proof, capabilities
from adapters.s3.reading import S3Reader, Wanted
from adapters.s3.record import BLOCKED, REMOVED, UNDONE, Record, Records, Taken, same_operation
from adapters.s3.releasing import Releaser
from adapters.s3.rungs import PolicyRung, Rung, TagRung
from adapters.s3.settings import S3Settings
from adapters.s3.wire import Wire

_STRIPES = 64


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What stands under a key now, and which of it blocks of ours hold back."""

    listing: Listing
    records: tuple[Record, ...]
    """Open ones, the newest first."""
    held: tuple[Stored, ...]

    @property
    def free(self) -> tuple[Stored, ...]:
        """What nobody holds back."""
        held = {stored.pin for stored in self.held}
        return tuple(stored for stored in self.listing.versions if stored.pin not in held)


class S3Adapter(StorageAdapter):
    """Blocking code, safe to share between threads."""

    def __init__(self, name: str, settings: S3Settings) -> None:
        self.name = name
        self.wire = Wire(settings)
        self._settings = settings
        self._records = Records(self.wire)
        self._policy = Policy(self.wire)
        self._doors = Doors(self.wire)
        self._notes = BucketNotes(self.wire)
        move = MoveRung(self.wire, self._records)
        self._rungs: Mapping[str, Rung] = {
            "policy": PolicyRung(self.wire, self._policy, lambda: self.proof.exempt),
            "tag": TagRung(self.wire, self._policy, lambda: self.proof.exempt),
            "move": move,
        }
        self._climber = Climber(self.wire, self._records, self._doors, self._rungs)
        self._releaser = Releaser(self.wire, self._records, self._rungs, move)
        self._proof: Proof | None = None
        self._proving = threading.Lock()
        self._locks = tuple(threading.RLock() for _ in range(_STRIPES))

    def __repr__(self) -> str:
        return f"S3Adapter({self.name!r})"

    def close(self) -> None:
        self.wire.close()

    # --- what the server can do

    @property
    def proof(self) -> Proof:
        """Measured once in the life of this object, and by each `probe`."""
        with self._proving:
            if self._proof is None:
                self._proof = Prober(self.wire, self._policy, self._doors).prove()
            return self._proof

    @property
    def ladder(self) -> tuple[str, ...]:
        return self._settings.ladder or self.proof.rungs

    def _probe(self) -> Capabilities:
        with self._proving:
            self._proof = None
        return capabilities(self.proof, self.ladder)

    # --- looking

    def _standing(self, ref: Ref) -> Standing:
        key = key_of(ref)
        listing = list_key(self.wire, self._settings.bucket, key)
        records = tuple(record for record in self._records.of_key(ref) if record.open)
        holding = {taken.stored.pin for record in records if record.rung for taken in self._held_by(record)}
        held = tuple(stored for stored in listing.versions if stored.pin in holding)
        return Standing(listing=listing, records=records, held=held)

    def _held_by(self, record: Record) -> tuple[Taken, ...]:
        return self._rungs[record.rung].holding(record)

    def _observe(self, ref: Ref) -> Observation:
        key, standing = key_of(ref), self._standing(ref)
        free = standing.free
        notes = self._notes.words(key, standing.listing)
        if free:
            versions = tuple(
                stored.version(attributes_of(self.wire, self._settings.bucket, key, stored)) for stored in free
            )
            public = self._doors.public(key, free)
            return Observation(ref=ref, presence=Presence.PRESENT, versions=versions, public=public, notes=notes)
        blocked = next((found for found in map(self._blocked_versions, standing.records) if found), ())
        presence = Presence.BLOCKED if blocked else Presence.ABSENT
        return Observation(ref=ref, presence=presence, versions=blocked, public=False, notes=notes)

    def _blocked_versions(self, record: Record) -> tuple[Version, ...]:
        pins = record.pins
        shown = record.taken if record.rung == "move" else self._held_by(record) if record.rung else ()
        if record.rung == "move" and not record.all_copied:
            return ()
        return tuple(
            replace(taken.stored.version(taken.stored.attributes), pin=pin)
            for taken, pin in zip(record.taken, pins, strict=True)
            if taken in shown
        )

    # --- blocking

    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        with self._lock(ref):
            key_of(ref)
            record = self._records.load(op_id) or self._begin(ref, observation, op_id)
            same_operation(record, ref)
            if record.receipt:
                return record.kept_receipt()
            self._records.index(record)
            ladder = self.ladder
            if not ladder:
                raise Unsupported("block")
            record = self._climber.climb(record, ladder)
            receipt = BlockReceipt(
                op_id=op_id,
                ref=ref,
                pins=record.pins,
                undo={"rung": record.rung, "versions": len(record.taken)},
                doors=self._rungs[record.rung].doors,
                residual=(*self._climber.residual(record), *self._notes.residual()),
            )
            self._records.save(replace(record, state=BLOCKED, receipt=to_json(receipt)))
            return receipt

    def _begin(self, ref: Ref, observation: Observation, op_id: str) -> Record:
        standing = self._standing(ref)
        if not standing.free:
            raise NotFound("nothing is there to block")
        if tuple(stored.pin for stored in standing.free) != observation.pins:
            raise Changed("it is not what was observed")
        taken = tuple(
            Taken(stored=replace(stored, attributes=version.attributes))
            for stored, version in zip(standing.free, observation.versions, strict=True)
        )
        mine = {stored.pin for stored in standing.free}
        # A rung that somebody took these very versions out of is not gone again while there is another.
        failed = tuple(
            record.rung
            for record in standing.records
            if record.state == BLOCKED and mine & {taken.stored.pin for taken in record.taken}
        )
        return self._records.create(
            Record(
                op_id=op_id,
                ref=ref,
                begun_at=time.time_ns() // 1000,
                failed=failed,
                taken=taken,
                marker_on_top=standing.listing.marker_on_top,
            )
        )

    def _origin_state(self, ref: Ref, receipt: BlockReceipt) -> OriginState:
        key, standing = key_of(ref), self._standing(ref)
        record = self._records.load(receipt.op_id)
        ours = {taken.stored.pin for taken in record.taken} if record else set()
        new = next((stored.pin for stored in standing.free if stored.pin not in ours), None)
        if record is not None and record.state == UNDONE:
            return OriginState(origin=Origin.LEAKING, doors=("the block was taken back",))
        if record is not None and record.open:
            doors = self._climber.open_doors(record, key)
            if doors:
                return OriginState(origin=Origin.LEAKING, doors=doors)
            if new is None and self._climber.still_held(record, key):
                return OriginState(origin=Origin.BLOCKED)
        return OriginState(origin=Origin.REPLACED, pin=new) if new else OriginState(origin=Origin.GONE)

    # --- keeping, reading

    def _freeze(self, ref: Ref, receipt: BlockReceipt) -> FreezeReceipt:
        with self._lock(ref):
            record = self._record(ref, receipt)
            if not record.open:
                raise NotFound("this block was undone; there is nothing of it to freeze")
            return self._releaser.freeze(record, self.proof)

    def _open(self, ref: Ref, pin: Pin, offset: int) -> Reader:
        key = key_of(ref)
        kind, place, etag, size_bytes = split_pin(pin)
        if kind == "held":
            op_id, _, number = place.rpartition(".")
            return S3Reader(self.wire, self._wanted_copy(ref, op_id, int(number), size_bytes), offset)
        wanted = Wanted(
            bucket=self._settings.bucket,
            key=key,
            version_id=place,
            etag=etag,
            size_bytes=size_bytes,
            immutable=place not in {"", NULL},
        )
        try:
            return S3Reader(self.wire, wanted, offset)
        except (NotFound, Changed):
            return S3Reader(self.wire, self._moved_copy(ref, pin), offset)

    def _moved_copy(self, ref: Ref, pin: Pin) -> Wanted:
        """A later block may have moved what an earlier one held where it stood."""
        for record in self._records.of_key(ref):
            for number, taken in enumerate(record.taken):
                if record.open and record.rung == "move" and taken.copy_etag and taken.stored.pin == pin:
                    return self._wanted_copy(ref, record.op_id, number, taken.stored.size_bytes)
        raise Changed("no stored version has this pin")

    def _wanted_copy(self, ref: Ref, op_id: str, number: int, size_bytes: int) -> Wanted:
        record = self._records.load(op_id)
        if record is None or not record.open or record.ref != ref or number >= len(record.taken):
            raise NotFound("the blocked bytes are not there any more")
        return Wanted(
            bucket=self._settings.quarantine_bucket,
            key=self._records.copy_key(op_id, number),
            version_id="",
            etag=record.taken[number].copy_etag,
            size_bytes=size_bytes,
            immutable=False,
        )

    # --- ending

    def _remove(self, ref: Ref, proof: SealProof, receipt: BlockReceipt, op_id: str) -> RemoveReceipt:
        with self._lock(ref):
            record = self._record(ref, receipt)
            if op_id in record.removals:
                return from_json(RemoveReceipt, record.removals[op_id])
            if set(proof.pins) != set(record.pins):
                raise Changed("the blocked bytes are not those that were sealed")
            return self._releaser.remove(record, op_id)

    def _unblock(self, ref: Ref, receipt: BlockReceipt) -> UnblockReceipt:
        with self._lock(ref):
            record = self._record(ref, receipt)
            if record.state == REMOVED:
                raise NotFound("the blocked bytes were removed")
            standing = self._standing(ref)
            ours = {taken.stored.pin for taken in record.taken}
            new = tuple(stored.version_id for stored in standing.free if stored.pin not in ours)
            return self._releaser.unblock(record, new, standing.listing, self._records.of_key(ref))

    def _record(self, ref: Ref, receipt: BlockReceipt) -> Record:
        record = self._records.load(receipt.op_id)
        if record is None:
            raise NotFound("the block is not there any more")
        return same_operation(record, ref)

    def _lock(self, ref: Ref) -> threading.RLock:
        return self._locks[hash(ref.locator) % _STRIPES]
