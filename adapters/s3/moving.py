"""The last rung: copy every version into the private quarantine, then delete each where it stood.

Nothing is deleted before every copy was compared; that point is written down, so a crash before it undoes to nothing
lost and a crash after it goes on.
"""

from __future__ import annotations

from dataclasses import replace

from adapters.contract import Changed, Conflict, Denied, NotFound, Retryable, Unsupported
from adapters.s3.attributes import attributes_of, differing, until_words
from adapters.s3.copying import Source, Target, copy
from adapters.s3.erasing import Eraser
from adapters.s3.listing import NULL, Listing, Stored, key_of, list_key, plain_etag
from adapters.s3.record import Record, Records, Taken, delete_all
from adapters.s3.rungs import Rung
from adapters.s3.wire import Refused, Wire


class MoveRung(Rung):
    name = "move"
    doors = ("every version: moved into the private quarantine", "unfinished uploads: aborted")

    def __init__(self, wire: Wire, records: Records) -> None:
        self._wire, self._records, self._eraser = wire, records, Eraser(wire)
        self._bucket, self._held = wire.settings.bucket, wire.settings.quarantine_bucket

    def fits(self, record: Record) -> bool:
        return bool(record.taken)

    # --- blocking

    def close(self, record: Record) -> Record:
        key = key_of(record.ref)
        if not record.all_copied:
            record = self._hide(record, key)
            record = self._records.save(replace(self._copied(record, key), all_copied=True))
        originals = [taken.stored for taken in record.taken]
        kept = {item.stored.pin for item in self._eraser.erase(key, originals)}
        if record.marker_id:
            self._wire.call("delete_object", Bucket=self._bucket, Key=key, VersionId=record.marker_id)
        aborted = self._eraser.abort_uploads(key)
        if any(left.pin not in kept for left in self._eraser.still_there(key, originals)):
            raise Retryable("the store says it deleted a version that is still there")
        return replace(record, uploads_aborted=record.uploads_aborted + aborted)

    def _hide(self, record: Record, key: str) -> Record:
        """A delete marker takes the name away at once; where versioning is off or suspended it would destroy."""
        if record.marker_on_top or self._versioning() != "Enabled":
            return record
        listing = list_key(self._wire, self._bucket, key)
        if listing.marker_on_top:
            return replace(record, marker_id=record.marker_id or listing.markers[0])
        answer = self._wire.call("delete_object", Bucket=self._bucket, Key=key)
        return self._records.save(replace(record, marker_id=str(answer.get("VersionId", ""))))

    def _versioning(self) -> str:
        try:
            return str(self._wire.call("get_bucket_versioning", Bucket=self._bucket).get("Status", ""))
        except (Unsupported, Denied, Refused):
            return ""

    def _copied(self, record: Record, key: str) -> Record:
        taken = []
        for number, one in enumerate(record.taken):
            try:
                taken.append(replace(one, copy_etag=self._copy_away(record, key, number, one.stored)))
            except (NotFound, Changed):
                self.reopen(record)
                raise Changed("a version went away or changed while it was blocked") from None
        return replace(record, taken=tuple(taken))

    def _copy_away(self, record: Record, key: str, number: int, stored: Stored) -> str:
        copy_key = self._records.copy_key(record.op_id, number)
        there = self._look(copy_key)
        if there == (stored.etag, stored.size_bytes):
            return stored.etag
        source = Source(
            bucket=self._bucket,
            key=key,
            version_id=stored.version_id,
            etag=stored.etag,
            size_bytes=stored.size_bytes,
        )
        target = Target(
            bucket=self._held,
            key=copy_key,
            part_sizes=stored.attributes.get("PartSizes", ()),
            want_etag=stored.etag,
        )
        return copy(self._wire, source, target)[1]

    def _look(self, copy_key: str) -> tuple[str, int] | None:
        try:
            head = self._wire.call("head_object", Bucket=self._held, Key=copy_key)
        except NotFound:
            return None
        return plain_etag(head.get("ETag")), int(head["ContentLength"])

    def holding(self, record: Record) -> tuple[Taken, ...]:
        """Nothing stands under the key any more, unless a retention kept it there."""
        del record
        return ()

    def residual(self, record: Record) -> tuple[str, ...]:
        words = ["A signed link for uploads can bring something new to the name; it is reported as replaced."]
        kept = self._eraser.still_there(key_of(record.ref), [taken.stored for taken in record.taken])
        if kept:
            words.append(f"{len(kept)} version(s) under a retention could not be moved and stay where they are")
        return tuple(words)

    # --- taking back

    def reopen(self, record: Record) -> Record:
        """Put every version back, the oldest first. Raises Conflict when something else stands there."""
        key = key_of(record.ref)
        if not record.all_copied:
            if record.marker_id:
                self._wire.call("delete_object", Bucket=self._bucket, Key=key, VersionId=record.marker_id)
            self.drop_copies(record)
            return record
        for number in reversed(range(len(record.taken))):
            if not record.taken[number].back_id:
                record = self._put_back(record, key, number)
        if record.marker_on_top and not list_key(self._wire, self._bucket, key).marker_on_top:
            self._wire.call("delete_object", Bucket=self._bucket, Key=key)
        return record

    def _put_back(self, record: Record, key: str, number: int) -> Record:
        one = record.taken[number]
        listing = list_key(self._wire, self._bucket, key)
        found = self._own_half_done(record, listing, one)
        if found is None:
            done = {taken.back_id for taken in record.taken if taken.back_id}
            if {stored.version_id for stored in listing.versions} - done - set(record.baseline):
                raise Conflict("something new stands at the name of the blocked object")
            found = self._copy_back(record, key, number)
        self._dress(key, found, one)
        back = replace(one, back_id=found or NULL)
        taken = (*record.taken[:number], back, *record.taken[number + 1 :])
        return self._records.save(replace(record, taken=taken))

    def _own_half_done(self, record: Record, listing: Listing, one: Taken) -> str | None:
        """A copy back that a crash kept us from writing down: not there at the start, and with these very bytes."""
        known = set(record.baseline) | {taken.back_id for taken in record.taken}
        return next(
            (
                stored.version_id
                for stored in listing.versions
                if stored.version_id not in known
                and stored.etag in {one.stored.etag, one.copy_etag}
                and stored.size_bytes == one.stored.size_bytes
            ),
            None,
        )

    def _copy_back(self, record: Record, key: str, number: int) -> str:
        one = record.taken[number]
        source = Source(
            bucket=self._held,
            key=self._records.copy_key(record.op_id, number),
            version_id="",
            etag=one.copy_etag,
            size_bytes=one.stored.size_bytes,
        )
        target = Target(
            bucket=self._bucket,
            key=key,
            part_sizes=one.stored.attributes.get("PartSizes", ()),
            attributes=one.stored.attributes,
            want_etag=one.stored.etag,
        )
        return copy(self._wire, source, target)[0]

    def _dress(self, key: str, version_id: str, one: Taken) -> None:
        """What a copy leaves behind: rights and legal hold. What does not take is found among the losses."""
        where = {"Bucket": self._bucket, "Key": key, **({"VersionId": version_id} if version_id else {})}
        wanted = one.stored.attributes
        now = attributes_of(self._wire, self._bucket, key, replace(one.stored, version_id=version_id))
        try:
            if wanted.get("Acl") and now.get("Acl") != wanted["Acl"]:
                self._wire.call("put_object_acl", AccessControlPolicy=wanted["Acl"], **where)
            if wanted.get("LegalHold") == "ON" and now.get("LegalHold") != "ON":
                self._eraser.set_hold(key, replace(one.stored, version_id=version_id), on=True)
        except (Denied, Unsupported, Refused):
            return

    def losses(self, record: Record) -> tuple[str, ...]:
        """What came back otherwise than it was."""
        key = key_of(record.ref)
        words = {"version ids and modification times are new": None}
        for one in record.taken:
            back = next(
                stored
                for stored in list_key(self._wire, self._bucket, key).versions
                if (stored.version_id or NULL) == one.back_id
            )
            changed = differing(one.stored.attributes, attributes_of(self._wire, self._bucket, key, back))
            if back.etag != one.stored.etag:
                changed.append("ETag")
            words |= {f"not as before: {name}": None for name in changed}
        return tuple(words)

    def drop_copies(self, record: Record) -> None:
        for number in range(len(record.taken)):
            delete_all(self._wire, self._held, self._records.copy_key(record.op_id, number))


def retained_words(until: int) -> str:
    return f"a retention set on it keeps it in the store until {until_words(until)}" if until else "the store refuses"
