"""Everything about a version but its bytes: headers, metadata, tags, rights, holds, part sizes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from adapters.contract import Denied, Json, NotFound, Unsupported
from adapters.s3.listing import Stored, micros, versioned
from adapters.s3.wire import Wire

HEADERS = (
    "ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage",
    "WebsiteRedirectLocation", "StorageClass",
)  # fmt: skip
"""What `copy_object` can set again."""
SEALED_IN = ("ServerSideEncryption", "SSEKMSKeyId", "SSECustomerAlgorithm")
CHECKSUMS = (
    "ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256", "ChecksumType",
)  # fmt: skip
_TEXTS = (*HEADERS, *SEALED_IN, *CHECKSUMS, "ReplicationStatus", "Restore", "Expiration", "ExpiresString")
_FLEETING = frozenset({"Expiration", "Restore", "ReplicationStatus"})
"""What a store says of the moment, not of the object."""
MAX_PARTS = 10_000
_NO_HOLD = "OFF"


def attributes_of(wire: Wire, bucket: str, key: str, stored: Stored) -> Json:
    """Read what the server says of one version. What it cannot say is left out."""
    where = {"Bucket": bucket, "Key": key, **versioned(stored.version_id)}
    head = wire.call("head_object", ChecksumMode="ENABLED", **where)
    found: dict[str, Any] = {name: str(head[name]) for name in _TEXTS if head.get(name)}
    found["Metadata"] = dict(head.get("Metadata") or {})
    found["TagSet"] = tags_of(wire, bucket, key, stored.version_id)
    found["Acl"] = _acl(wire, where)
    found["LegalHold"] = str(head.get("ObjectLockLegalHoldStatus") or _NO_HOLD)
    if head.get("ObjectLockMode"):
        found["Retention"] = {
            "mode": str(head["ObjectLockMode"]),
            "until": micros(head.get("ObjectLockRetainUntilDate")),
        }
    found["PartSizes"] = _part_sizes(wire, where, stored)
    return found


def tags_of(wire: Wire, bucket: str, key: str, version_id: str) -> list[dict[str, str]]:
    """The tags in the server's order; none where it has no tags at all."""
    try:
        answer = wire.call("get_object_tagging", Bucket=bucket, Key=key, **versioned(version_id))
    except (NotFound, Unsupported):
        return []
    return [{"Key": str(tag["Key"]), "Value": str(tag["Value"])} for tag in answer.get("TagSet", ())]


def put_tags(wire: Wire, bucket: str, key: str, version_id: str, tags: list[dict[str, str]]) -> None:
    where = {"Bucket": bucket, "Key": key, **versioned(version_id)}
    if tags:
        wire.call("put_object_tagging", Tagging={"TagSet": tags}, **where)
    else:
        wire.call("delete_object_tagging", **where)


def _acl(wire: Wire, where: Mapping[str, str]) -> Json:
    try:
        answer = wire.call("get_object_acl", **where)
    except (NotFound, Unsupported, Denied):
        return {}
    return {
        "Owner": {name: str(item) for name, item in answer.get("Owner", {}).items()},
        "Grants": [
            {
                "Grantee": {name: str(item) for name, item in grant.get("Grantee", {}).items()},
                "Permission": str(grant.get("Permission", "")),
            }
            for grant in answer.get("Grants", ())
        ],
    }


def _part_sizes(wire: Wire, where: Mapping[str, str], stored: Stored) -> list[int]:
    """How a multipart object was cut; its ETag can only be made again with the same cuts."""
    _, dash, count = stored.etag.partition("-")
    if not dash or not count.isdigit() or int(count) > MAX_PARTS:
        return []
    sizes: list[int] = []
    for number in range(1, int(count) + 1):
        try:
            head = wire.call("head_object", PartNumber=number, **where)
        except (NotFound, Unsupported):
            return []
        sizes.append(int(head["ContentLength"]))
        if sizes[0] == stored.size_bytes and int(count) > 1:
            return []  # the server takes no notice of the part number
    return sizes if sum(sizes) == stored.size_bytes else []


def again(attributes: Json) -> dict[str, Any]:
    """Parameters with which a copy gets the headers and metadata of the original.

    Expires is given as the text the server gave, since some customers store words there.
    """
    params: dict[str, Any] = {name: attributes[name] for name in HEADERS if attributes.get(name)}
    if attributes.get("ExpiresString"):
        params["Expires"] = attributes["ExpiresString"]
    for name in ("ServerSideEncryption", "SSEKMSKeyId"):
        if attributes.get(name):
            params[name] = attributes[name]
    return params | {"Metadata": dict(attributes.get("Metadata", {}))}


def differing(was: Json, now: Json) -> list[str]:
    """Names of what is not as it was."""
    return sorted(name for name in {*was, *now} - _FLEETING if was.get(name) != now.get(name))


def until_words(micros_utc: int) -> str:
    return dt.datetime.fromtimestamp(micros_utc / 1_000_000, dt.UTC).date().isoformat()
