"""What stands under one exact key: versions, delete markers, unfinished uploads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote

from adapters.contract import MAX_VERSIONS, Denied, Json, NotFound, Pin, Ref, Retryable, Unsupported, Version
from adapters.s3.wire import Answer, Wire

NULL = "null"
"""The version id of an object that was stored without versioning; it is overwritten in place."""

_KEY_BYTES = 1024


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One version under the key."""

    version_id: str
    etag: str
    size_bytes: int
    modified_at: int = 0
    current: bool = True
    attributes: Json = field(default_factory=dict, repr=False)

    @property
    def pin(self) -> Pin:
        return version_pin(self.version_id, self.etag, self.size_bytes)

    def version(self, attributes: Json) -> Version:
        return Version(
            pin=self.pin,
            size_bytes=self.size_bytes,
            modified_at=self.modified_at,
            current=self.current,
            attributes=attributes,
        )


@dataclass(frozen=True, kw_only=True)
class Listing:
    versions: tuple[Stored, ...] = ()
    """The newest first."""
    markers: tuple[str, ...] = ()
    """Version ids of delete markers."""
    marker_on_top: bool = False


def version_pin(version_id: str, etag: str, size_bytes: int) -> Pin:
    return Pin(value=f"version/{quote(version_id, safe='')}/{quote(etag, safe='')}/{size_bytes}", weak=not etag)


def held_pin(op_id: str, number: int, etag: str, size_bytes: int) -> Pin:
    return Pin(value=f"held/{op_id}.{number}/{quote(etag, safe='')}/{size_bytes}", weak=not etag)


def split_pin(pin: Pin) -> tuple[str, str, str, int]:
    """Kind, version id (or place in quarantine), ETag and size of a pin of ours. NotFound when it is none."""
    parts = pin.value.split("/")
    if len(parts) != 4 or parts[0] not in {"version", "held"} or not _is_number(parts[3]):
        raise NotFound("this store gave no such pin")
    return parts[0], unquote(parts[1]), unquote(parts[2]), int(parts[3])


def _is_number(text: str) -> bool:
    """Digits that `int` takes; `isdigit` alone is true of others too."""
    return text.isascii() and text.isdigit()


def key_of(ref: Ref) -> str:
    """The key as text; S3 keys are UTF-8. Denied outside the customer's part, which ends at a slash."""
    scope = ref.scope.rstrip(b"/")
    if scope and not ref.locator.startswith(scope + b"/"):
        raise Denied("the object is outside the customer's part of the store")
    try:
        key = ref.locator.decode("utf-8")
    except UnicodeDecodeError:
        raise Denied("the name is not UTF-8, so it cannot be a key here") from None
    if not 0 < len(ref.locator) <= _KEY_BYTES:
        raise Denied(f"a key has 1 to {_KEY_BYTES} bytes")
    return key


def plain_etag(text: object) -> str:
    return str(text or "").strip('"')


def versioned(version_id: str) -> dict[str, str]:
    """The parameter that names one version; the null version is named too, or a newer one would answer."""
    return {"VersionId": version_id} if version_id else {}


def list_key(wire: Wire, bucket: str, key: str) -> Listing:
    """Every version of exactly this key; a listing by prefix shows `key.bak` too, and that is dropped here."""
    versions: list[Stored] = []
    markers: list[str] = []
    on_top = False
    try:
        for page in _pages(wire, bucket, key):
            stored = [_stored(item) for item in page.get("Versions", ()) if item["Key"] == key]
            versions += [exact for one in stored for exact in _exact(wire, bucket, key, one)]
            for item in page.get("DeleteMarkers", ()):
                if item["Key"] == key:
                    markers.append(str(item.get("VersionId", NULL)))
                    on_top = on_top or bool(item.get("IsLatest"))
            if len(versions) > MAX_VERSIONS:
                raise Denied(f"more than {MAX_VERSIONS} versions")
    except Unsupported:
        return _single(wire, bucket, key)
    if not versions and not on_top:
        _no_alias(wire, bucket, key)
    return Listing(versions=tuple(versions), markers=tuple(markers), marker_on_top=on_top)


def list_uploads(wire: Wire, bucket: str, key: str) -> tuple[str, ...] | None:
    """Ids of unfinished uploads to exactly this key; None where the server does not say."""
    try:
        found = list(_uploads(wire, bucket, key))
    except Unsupported:
        return None
    return tuple(str(item["UploadId"]) for item in found if item["Key"] == key)


def _pages(wire: Wire, bucket: str, key: str) -> Iterator[Answer]:
    marks = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
    for page in pages(wire, "list_object_versions", marks, Bucket=bucket, Prefix=key):
        yield page
        # The exact key sorts before every longer one, so a page that ends beyond it holds all of it.
        if str(page.get("NextKeyMarker", "")) != key:
            return


def _uploads(wire: Wire, bucket: str, key: str) -> Iterator[Any]:
    marks = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
    for page in pages(wire, "list_multipart_uploads", marks, Bucket=bucket, Prefix=key):
        yield from page.get("Uploads", ())
        if str(page.get("NextKeyMarker", "")) != key:
            return


def pages(wire: Wire, operation: str, marks: Mapping[str, str], **params: Any) -> Iterator[Answer]:
    """A listing page by page; `marks` says which member of a page is which parameter of the next request.

    Raises Retryable when a page says that there is more behind the place where it began itself.
    """
    after: dict[str, str] = {}
    while True:
        page = wire.call(operation, **params, **after)
        yield page
        if not page.get("IsTruncated"):
            return
        further = {parameter: str(page.get(member, "")) for parameter, member in marks.items()}
        if further == after:
            raise Retryable("a listing of the store's does not end")
        after = further


def _stored(item: Any) -> Stored:
    return Stored(
        version_id=str(item.get("VersionId", NULL)),
        etag=plain_etag(item.get("ETag")),
        size_bytes=int(item.get("Size", 0)),
        modified_at=micros(item.get("LastModified")),
        current=bool(item.get("IsLatest")),
    )


def _exact(wire: Wire, bucket: str, key: str, stored: Stored) -> list[Stored]:
    """SeaweedFS lists the null version with another ETag than it answers with; what counts is the answer."""
    if stored.version_id != NULL:
        return [stored]
    try:
        head = wire.call("head_object", Bucket=bucket, Key=key, VersionId=NULL)
    except NotFound:
        return []
    return [replace(stored, etag=plain_etag(head.get("ETag")), size_bytes=int(head["ContentLength"]))]


def _single(wire: Wire, bucket: str, key: str) -> Listing:
    """A server without version listings has one object to a key."""
    try:
        head = wire.call("head_object", Bucket=bucket, Key=key)
    except NotFound:
        return Listing()
    stored = Stored(
        version_id=str(head.get("VersionId", "")),
        etag=plain_etag(head.get("ETag")),
        size_bytes=int(head["ContentLength"]),
        modified_at=micros(head.get("LastModified")),
    )
    return Listing(versions=(stored,))


def _no_alias(wire: Wire, bucket: str, key: str) -> None:
    """Some servers tidy names up, `a//b` to `a/b`: then the name answers, but another one is stored."""
    try:
        wire.call("head_object", Bucket=bucket, Key=key)
    except NotFound:
        return
    raise Denied("the store answers to this name but lists none such; let the route name the key as it is listed")


def micros(moment: dt.datetime | None) -> int:
    return round(moment.timestamp() * 1_000_000) if moment else 0
