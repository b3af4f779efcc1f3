"""What a bucket is set to do by itself: words for the operator, and what of it a block cannot reach."""

from __future__ import annotations

import threading
import time

from adapters.contract import Denied, NotFound, Unsupported
from adapters.s3.listing import Listing, list_uploads
from adapters.s3.wire import Refused, Wire

FRESH_SECONDS = 60.0
_ASK = {
    "lifecycle rules may delete or move versions": ("get_bucket_lifecycle_configuration", "Rules"),
    "replication copies objects to another bucket": ("get_bucket_replication", "ReplicationConfiguration"),
    "the bucket has a website address": ("get_bucket_website", "IndexDocument"),
    "object lock is on": ("get_object_lock_configuration", "ObjectLockConfiguration"),
}
_REPLICATED = "replication copies objects to another bucket"


class BucketNotes:
    """Asked anew each minute: these change seldom, and every observation would ask."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._bucket = wire.settings.bucket
        self._lock = threading.Lock()
        self._found: tuple[float, tuple[str, ...]] = (0.0, ())

    def words(self, key: str, listing: Listing) -> tuple[str, ...]:
        found = [*self._of_bucket()]
        uploads = list_uploads(self._wire, self._bucket, key)
        if uploads is None:
            found.append("the store does not say whether uploads are unfinished")
        elif uploads:
            found.append(f"{len(uploads)} unfinished upload(s)")
        if listing.markers:
            found.append(f"{len(listing.markers)} delete marker(s)" + (", one on top" if listing.marker_on_top else ""))
        return tuple(found)

    def residual(self) -> tuple[str, ...]:
        """For the issuer: copies that lie where this adapter has no hands."""
        replicated = _REPLICATED in self._of_bucket()
        return ("The bucket is replicated; copies made there before are not blocked.",) if replicated else ()

    def _of_bucket(self) -> tuple[str, ...]:
        with self._lock:
            asked, words = self._found
            if not asked or time.monotonic() - asked > FRESH_SECONDS:
                words = tuple(word for word, (operation, member) in _ASK.items() if self._says(operation, member))
                self._found = (time.monotonic(), words)
            return words

    def _says(self, operation: str, member: str) -> bool:
        try:
            return bool(self._wire.call(operation, Bucket=self._bucket).get(member))
        except (NotFound, Unsupported, Denied, Refused):
            return False
