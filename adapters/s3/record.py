"""The adapter's own journal, in the private quarantine bucket, so that any worker can finish what another began.

`<prefix><op_id>/record.json` is one block; `<prefix>names/<digest of the key>/<op_id>` finds the blocks of a key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.contract import (
    AdapterError,
    BlockReceipt,
    Changed,
    Json,
    NotFound,
    Pin,
    Ref,
    Retryable,
    Unsupported,
    from_json,
    to_json,
)
from adapters.s3.listing import Stored, held_pin, list_key, pages, versioned
from adapters.s3.wire import Wire

MAX_RECORD_BYTES = 32 * 1024 * 1024

BEGUN, BLOCKED, UNDOING, UNDONE, REMOVING, REMOVED = "begun", "blocked", "undoing", "undone", "removing", "removed"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One version this block took, and its copy in quarantine where there is one."""

    stored: Stored
    copy_etag: str = ""
    """Of the copy in quarantine; empty until the copy is there and was compared."""
    frozen: bool = False
    """We set a legal hold that was not there before."""
    back_id: str = ""
    """The version id it got when it was put back."""


@dataclass(frozen=True, kw_only=True)
class Record:
    op_id: str
    ref: Ref
    begun_at: int = 0
    state: str = BEGUN
    rung: str = ""
    failed: tuple[str, ...] = ()
    """Rungs that did not hold here."""
    taken: tuple[Taken, ...] = ()
    """The newest first, as in the observation."""
    marker_id: str = ""
    """Our own delete marker, while it is there."""
    marker_on_top: bool = False
    """The customer's own delete marker hid the name before us."""
    all_copied: bool = False
    """The point from which the originals may be deleted: every copy was compared."""
    uploads_aborted: int = 0
    baseline: tuple[str, ...] = ()
    """Version ids that stood under the key when putting back began."""
    receipt: Json = field(default_factory=dict)
    result: Json = field(default_factory=dict)
    """Of `unblock`."""
    removals: Json = field(default_factory=dict)
    """Receipts of `remove`, by op_id."""

    @property
    def open(self) -> bool:
        """It still holds something back."""
        return self.state not in {UNDONE, REMOVED}

    @property
    def pins(self) -> tuple[Pin, ...]:
        """By which the blocked bytes are read: the copies where they were moved, else the versions where they stand."""
        if self.rung != "move":
            return tuple(one.stored.pin for one in self.taken)
        return tuple(
            held_pin(self.op_id, number, one.copy_etag, one.stored.size_bytes) for number, one in enumerate(self.taken)
        )

    def kept_receipt(self) -> BlockReceipt:
        return from_json(BlockReceipt, dict(self.receipt))


class Records:
    """Reads and writes records. A write is read back: a server that only says it wrote is found out here."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._bucket = wire.settings.quarantine_bucket
        self._prefix = wire.settings.quarantine_prefix

    def load(self, op_id: str) -> Record | None:
        body = self._get(self._record_key(op_id))
        return None if body is None else _decode(body)

    def save(self, record: Record) -> Record:
        body = _encode(record)
        self._put(self._record_key(record.op_id), body)
        return record

    def create(self, record: Record) -> Record:
        """Write the first record of an operation, unless another worker wrote it meanwhile; returns what stands.

        A worker that slept between looking and writing would else forget what its successor took. A server that
        ignores the condition lets it: see README.md.
        """
        key, body = self._record_key(record.op_id), _encode(record)
        try:
            self._put(key, body, IfNoneMatch="*")
        except Changed:
            found = self.load(record.op_id)
            if found is None:
                raise Retryable("the quarantine says that a record of ours is there, and does not show it") from None
            return found
        except Unsupported:
            self._put(key, body)
        return record

    def index(self, record: Record) -> None:
        """Let `of_key` find it. Written after the record, which is what a worker that comes later needs first."""
        self._put(f"{self._names(record.ref)}{record.op_id}", b"{}")

    def forget(self, record: Record) -> None:
        """Of a block that took nothing away."""
        for key in (f"{self._names(record.ref)}{record.op_id}", self._record_key(record.op_id)):
            delete_all(self._wire, self._bucket, key)

    def of_key(self, ref: Ref) -> tuple[Record, ...]:
        """The blocks of this key, the newest first; those undone and removed too."""
        names = self._names(ref)
        ops = [key.removeprefix(names) for key in self._list(names)]
        found = [record for record in map(self.load, ops) if record is not None and record.ref.locator == ref.locator]
        return tuple(sorted(found, key=lambda record: (record.begun_at, record.op_id), reverse=True))

    def copy_key(self, op_id: str, number: int) -> str:
        return f"{self._prefix}{op_id}/{number}"

    def _record_key(self, op_id: str) -> str:
        return f"{self._prefix}{op_id}/record.json"

    def _names(self, ref: Ref) -> str:
        bucket = self._wire.settings.bucket.encode()
        return f"{self._prefix}names/{hashlib.sha256(bucket + bytes(1) + ref.locator).hexdigest()}/"

    def _get(self, key: str) -> bytes | None:
        try:
            answer = self._wire.call("get_object", Bucket=self._bucket, Key=key)
        except NotFound:
            return None
        with answer["Body"] as body:
            read: bytes = self._wire.read(body, MAX_RECORD_BYTES)
        if len(read) != int(answer["ContentLength"]):
            raise Retryable("a record of ours came back cut off")
        return read

    def _put(self, key: str, body: bytes, **condition: str) -> None:
        self._wire.call(
            "put_object", Bucket=self._bucket, Key=key, Body=body, ContentType="application/json", **condition
        )
        if self._get(key) != body:
            raise Retryable("the quarantine did not keep a record of ours as it was written")

    def _list(self, prefix: str) -> Iterator[str]:
        marks = {"ContinuationToken": "NextContinuationToken"}
        for page in pages(self._wire, "list_objects_v2", marks, Bucket=self._bucket, Prefix=prefix):
            yield from (str(item["Key"]) for item in page.get("Contents", ()))


def delete_all(wire: Wire, bucket: str, key: str) -> None:
    """Delete every version of one key of our own quarantine, and see that it is gone."""
    listing = list_key(wire, bucket, key)
    for version_id in (*(stored.version_id for stored in listing.versions), *listing.markers):
        wire.call("delete_object", Bucket=bucket, Key=key, **versioned(version_id))
    try:
        wire.call("head_object", Bucket=bucket, Key=key)
    except NotFound:
        return
    raise Retryable("the store says it deleted something that is still there")


def _encode(record: Record) -> bytes:
    content = json.dumps(to_json(record), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return json.dumps({"record": content, "sha256": hashlib.sha256(content.encode()).hexdigest()}).encode()


def _decode(body: bytes) -> Record:
    try:
        outer = json.loads(body)
        if hashlib.sha256(outer["record"].encode()).hexdigest() == outer["sha256"]:
            return from_json(Record, json.loads(outer["record"]))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise Retryable(f"a record of ours cannot be read ({type(exc).__name__})", after_seconds=10) from None
    raise Retryable("a record of ours came back with other bytes", after_seconds=10)


def same_operation(record: Record, ref: Ref) -> Record:
    if record.ref != ref:
        raise AdapterError("this op_id blocked another object; every operation needs its own")
    return record
