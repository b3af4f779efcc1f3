"""Asking at every door, as a stranger and as a customer, without taking a body."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from adapters.contract import Changed, Denied, NotFound, Unsupported
from adapters.s3.listing import NULL, Stored, plain_etag, versioned
from adapters.s3.wire import Answer, Refused, Who, Wire

MAX_ASKED = 200
"""Versions asked for one by one; of more, the newest and the oldest."""
_POLL_SECONDS = 0.25


class Doors:
    """What answers to a key. Words for doors name no key."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._bucket = wire.settings.bucket

    def open_doors(self, key: str, versions: Sequence[Stored]) -> tuple[str, ...]:
        """Doors by which one of these versions still comes out."""
        found: dict[str, None] = {}
        for who in self._wire.askers:
            if self._gives(who, key, "", versions):
                found[f"the name itself, as {who}"] = None
            if any(self._gives(who, key, stored.version_id, [stored]) for stored in _some(versions)):
                found[f"an old or exact version, as {who}"] = None
        if "customer" in self._wire.askers and any(self._presigned(key, stored) for stored in _some(versions)):
            found["a signed link to a version"] = None
        if self._public(key, versions):
            found["the public address"] = None
        return tuple(found)

    def closed(self, key: str, versions: Sequence[Stored]) -> tuple[str, ...]:
        """The doors still open when the time for a change to spread is over."""
        return self._settled(lambda: self.open_doors(key, versions))

    def held_doors(self, key: str) -> tuple[str, ...]:
        """Doors to a copy in quarantine."""
        bucket = self._wire.settings.quarantine_bucket
        return tuple(
            f"the quarantine, as {who}" for who in self._wire.askers if self._ask(who, bucket, key, "") is not None
        )

    def held(self, key: str) -> bool:
        """Whether the host finds a copy in quarantine."""
        return self._ask("host", self._wire.settings.quarantine_bucket, key, "") is not None

    def host_reads(self, key: str, versions: Sequence[Stored]) -> bool:
        return all(self._ask("host", self._bucket, key, stored.version_id) is not None for stored in _some(versions))

    def public(self, key: str, versions: Sequence[Stored]) -> bool:
        """Whether a stranger gets one of these by the plain name."""
        return self._gives("stranger", key, "", versions) or self._public(key, versions)

    def _gives(self, who: Who, key: str, version_id: str, versions: Sequence[Stored]) -> bool:
        answer = self._ask(who, self._bucket, key, version_id)
        if answer is None:
            return False
        # Asked by its id, whatever comes is that version; by the name alone, or as null, it may be something new.
        named = version_id not in {"", NULL}
        return named or _is_one_of(str(answer.get("VersionId", "")), plain_etag(answer.get("ETag")), versions)

    def _presigned(self, key: str, stored: Stored) -> bool:
        params = {"Bucket": self._bucket, "Key": key, **versioned(stored.version_id)}
        status, headers = self._wire.head(self._wire.presigned("head_object", **params))
        named = stored.version_id not in {"", NULL}
        return status in {200, 206} and (named or plain_etag(headers.get("etag")) == stored.etag)

    def _public(self, key: str, versions: Sequence[Stored]) -> bool:
        url = self._wire.public_url(key)
        if not url:
            return False
        status, headers = self._wire.head(url)
        found = plain_etag(headers.get("etag"))
        return status == 200 and (not found or any(found == stored.etag for stored in versions))

    def _ask(self, who: Who, bucket: str, key: str, version_id: str) -> Answer | None:
        try:
            return self._wire.call_as(who, "head_object", Bucket=bucket, Key=key, **versioned(version_id))
        except (Denied, NotFound, Changed, Unsupported, Refused):
            return None

    def _settled(self, look: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        deadline = time.monotonic() + self._wire.settings.settle_seconds
        while (found := look()) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return found


def _some(versions: Sequence[Stored]) -> Sequence[Stored]:
    half = MAX_ASKED // 2
    return versions if len(versions) <= MAX_ASKED else [*versions[:half], *versions[-half:]]


def _is_one_of(version_id: str, etag: str, versions: Sequence[Stored]) -> bool:
    if version_id in {"", NULL}:
        return any(etag == stored.etag for stored in versions)
    return any(version_id == stored.version_id for stored in versions)
