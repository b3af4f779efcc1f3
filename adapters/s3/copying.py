"""Server-side copies that are compared before anything relies on them; no body passes through here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.contract import Json, Retryable, Unsupported
from adapters.s3.attributes import again
from adapters.s3.listing import plain_etag, versioned
from adapters.s3.wire import Refused, Wire

MAX_COPY_BYTES = 5 * 1024**3
"""Of one `copy_object`; larger objects go part by part."""
PART_BYTES = 512 * 1024**2


@dataclass(frozen=True, kw_only=True)
class Source:
    bucket: str
    key: str
    version_id: str
    etag: str
    size_bytes: int

    @property
    def named(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key, **versioned(self.version_id)}


@dataclass(frozen=True, kw_only=True)
class Target:
    bucket: str
    key: str
    part_sizes: Sequence[int] = ()
    """The cuts with which a part by part copy gets the ETag of the original."""
    attributes: Json = field(default_factory=dict)
    want_etag: str = ""


def copy(wire: Wire, source: Source, target: Target) -> tuple[str, str]:
    """Copy, compare, and return (version id, ETag) of the copy. Raises Changed or NotFound as the source does."""
    found = ("", "")
    if source.size_bytes <= MAX_COPY_BYTES:
        found = _whole(wire, source, target)
        if found[1] == target.want_etag:
            return found
    if target.part_sizes or source.size_bytes > MAX_COPY_BYTES:
        # One version too many would be left, were the first attempt of another ETag kept.
        if found[0]:
            wire.call("delete_object", Bucket=target.bucket, Key=target.key, VersionId=found[0])
        found = _by_parts(wire, source, target)
    if found[1] != target.want_etag:
        _unchanged(wire, source)
    return found


def _whole(wire: Wire, source: Source, target: Target) -> tuple[str, str]:
    extra = {
        name: target.attributes[name]
        for name in ("WebsiteRedirectLocation", "StorageClass", "ServerSideEncryption", "SSEKMSKeyId")
        if target.attributes.get(name)
    }
    answer = wire.call(
        "copy_object",
        Bucket=target.bucket,
        Key=target.key,
        CopySource=source.named,
        CopySourceIfMatch=f'"{source.etag}"',
        MetadataDirective="COPY",
        TaggingDirective="COPY",
        **extra,
    )
    return _look(wire, target, str(answer.get("VersionId", "")), source.size_bytes)


def _by_parts(wire: Wire, source: Source, target: Target) -> tuple[str, str]:
    where = {"Bucket": target.bucket, "Key": target.key}
    tags = target.attributes.get("TagSet", ())
    upload = wire.call("create_multipart_upload", **where, **again(target.attributes))["UploadId"]
    parts: list[Mapping[str, Any]] = []
    begin = 0
    for number, size in enumerate(target.part_sizes or _even(source.size_bytes), 1):
        answer = wire.call(
            "upload_part_copy",
            UploadId=upload,
            PartNumber=number,
            CopySource=source.named,
            CopySourceIfMatch=f'"{source.etag}"',
            CopySourceRange=f"bytes={begin}-{begin + size - 1}",
            **where,
        )
        parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        begin += size
    done = wire.call("complete_multipart_upload", UploadId=upload, MultipartUpload={"Parts": parts}, **where)
    version_id = str(done.get("VersionId", ""))
    if tags:
        wire.call("put_object_tagging", Tagging={"TagSet": list(tags)}, **where, **versioned(version_id))
    return _look(wire, target, version_id, source.size_bytes)


def _look(wire: Wire, target: Target, version_id: str, size_bytes: int) -> tuple[str, str]:
    """The copy as it stands, since an answer of success is only words."""
    where = {"Bucket": target.bucket, "Key": target.key, **versioned(version_id)}
    head = wire.call("head_object", **where)
    if int(head["ContentLength"]) != size_bytes:
        if version_id:
            # It is ours by its name, and would be taken for something new that stands in the way.
            wire.call("delete_object", **where)
        raise Retryable("a copy of ours has not the size of its original")
    return str(head.get("VersionId", "")) or version_id, plain_etag(head.get("ETag"))


def _unchanged(wire: Wire, source: Source) -> None:
    """Where ETags cannot be compared (other cuts, other encryption), the source must at least still be the same."""
    try:
        head = wire.call("head_object", **source.named)
    except (Unsupported, Refused) as exc:
        raise Retryable("a copy of ours could not be compared") from exc
    if plain_etag(head.get("ETag")) != source.etag or int(head["ContentLength"]) != source.size_bytes:
        raise Retryable("the original changed while it was copied")


def _even(size_bytes: int) -> list[int]:
    whole, rest = divmod(size_bytes, PART_BYTES)
    return [PART_BYTES] * whole + ([rest] if rest else [])
