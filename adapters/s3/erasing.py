"""Deleting one exact version and nothing else, and seeing that it is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.contract import Changed, Denied, NotFound, Unsupported
from adapters.s3.listing import NULL, Stored, list_key, list_uploads, micros, plain_etag, versioned
from adapters.s3.wire import Refused, Wire


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A version the server would not delete."""

    stored: Stored
    until: int = 0
    """Microseconds UTC; 0 where the server names no end."""


class Eraser:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._bucket = wire.settings.bucket

    def erase(self, key: str, versions: Sequence[Stored]) -> tuple[Kept, ...]:
        """Delete these versions, holds off first. What a retention keeps is returned; what is gone already is fine."""
        kept = [self._refused(key, stored) for stored in versions if not self._erased(key, stored)]
        return tuple(kept)

    def still_there(self, key: str, versions: Sequence[Stored]) -> tuple[Stored, ...]:
        """Which of these the store still lists: some say they deleted and did not."""
        wanted = {stored.pin for stored in versions}
        return tuple(found for found in list_key(self._wire, self._bucket, key).versions if found.pin in wanted)

    def abort_uploads(self, key: str) -> int:
        """Unfinished uploads would bring the name back when they are finished."""
        uploads = list_uploads(self._wire, self._bucket, key) or ()
        for upload in uploads:
            try:
                self._wire.call("abort_multipart_upload", Bucket=self._bucket, Key=key, UploadId=upload)
            except NotFound:
                continue  # finished or aborted meanwhile; a finished one stands there and is seen as replaced
        return len(uploads)

    def set_hold(self, key: str, stored: Stored, *, on: bool) -> None:
        self._wire.call(
            "put_object_legal_hold",
            Bucket=self._bucket,
            Key=key,
            LegalHold={"Status": "ON" if on else "OFF"},
            **versioned(stored.version_id),
        )

    def _erased(self, key: str, stored: Stored) -> bool:
        where: dict[str, Any] = {"Bucket": self._bucket, "Key": key, **versioned(stored.version_id)}
        try:
            head = self._wire.call("head_object", **where)
        except NotFound:
            return True
        if plain_etag(head.get("ETag")) != stored.etag:
            return True  # overwritten in place: what stands there now is not ours to delete
        if head.get("ObjectLockLegalHoldStatus") == "ON":
            self.set_hold(key, stored, on=False)
        if head.get("ObjectLockMode") == "GOVERNANCE":
            where["BypassGovernanceRetention"] = True
        try:
            self._delete(where, stored)
        except Denied:
            return False
        return True

    def _delete(self, where: dict[str, Any], stored: Stored) -> None:
        if stored.version_id not in {"", NULL}:
            self._wire.call("delete_object", **where)
            return
        try:
            self._wire.call("delete_object", IfMatch=f'"{stored.etag}"', **where)
        except Changed:
            return  # overwritten between our look and our delete
        except (Unsupported, Refused):
            self._wire.call("delete_object", **where)

    def _refused(self, key: str, stored: Stored) -> Kept:
        where = {"Bucket": self._bucket, "Key": key, **versioned(stored.version_id)}
        head = self._wire.call("head_object", **where)
        return Kept(stored=stored, until=micros(head.get("ObjectLockRetainUntilDate")))
