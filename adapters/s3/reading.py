"""A body as a stream, tied to its pin by what the server answers, not by what it promises."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adapters.contract import Changed, NotFound, Reader, Retryable
from adapters.s3.listing import NULL, plain_etag, versioned
from adapters.s3.wire import Answer, Wire

_MD5 = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which bytes: where they lie and how they are recognised."""

    bucket: str
    key: str
    version_id: str
    etag: str
    size_bytes: int
    immutable: bool
    """False where the same name may be overwritten while it is read."""

    @property
    def named(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key, **versioned(self.version_id)}


class S3Reader(Reader):
    def __init__(self, wire: Wire, wanted: Wanted, offset: int) -> None:
        self._wire, self._wanted, self._at = wire, wanted, offset
        self._body: Any = None
        self._hash: Any = None
        if offset < wanted.size_bytes:
            answer = self._ask()
            self._body = answer["Body"]
            # The ETag of a plain upload is the MD5 of its bytes, unless the store encrypted them with a key of its own.
            if offset == 0 and _MD5.match(wanted.etag) and answer.get("ServerSideEncryption") in {None, "AES256"}:
                self._hash = hashlib.md5(usedforsecurity=False)
        else:
            self._check(lambda: wire.call("head_object", **wanted.named), wanted.size_bytes)

    def _ask(self) -> Answer:
        wanted = self._wanted
        ranged = {"Range": f"bytes={self._at}-"} if self._at else {}

        def get() -> Answer:
            return self._wire.call("get_object", IfMatch=f'"{wanted.etag}"', **ranged, **wanted.named)

        answer = self._check(get, wanted.size_bytes - self._at)
        if self._at and not str(answer.get("ContentRange", "")).startswith(f"bytes {self._at}-"):
            answer["Body"].close()
            raise Retryable("the store took no notice of the range that was asked for")
        return answer

    def _check(self, ask: Callable[[], Answer], length: int) -> Answer:
        """Conditions are asked for and not relied on: some servers take no notice of them."""
        answer = ask()
        version_id = str(answer.get("VersionId", ""))
        named = self._wanted.version_id not in {"", NULL}
        if (
            plain_etag(answer.get("ETag")) != self._wanted.etag
            or (named and version_id not in {"", self._wanted.version_id})
            or int(answer["ContentLength"]) != length
        ):
            if "Body" in answer:
                answer["Body"].close()
            raise Changed("the store gave something else than what was pinned")
        return answer

    def _read(self, size: int) -> bytes:
        if self._body is None:
            return b""
        chunk = self._wire.read(self._body, size)
        self._at += len(chunk)
        if self._hash is not None:
            self._hash.update(chunk)
        if not chunk:
            self._end()
        return chunk

    def _end(self) -> None:
        wanted = self._wanted
        if self._at != wanted.size_bytes:
            raise Retryable("the store broke off before the end")
        if self._hash is not None and self._hash.hexdigest() != wanted.etag:
            raise Changed("the bytes do not fit their ETag")
        if not wanted.immutable:
            try:
                self._check(lambda: self._wire.call("head_object", **wanted.named), wanted.size_bytes)
            except NotFound:
                raise Changed("it went away while it was read") from None

    def _close(self) -> None:
        if self._body is not None:
            self._body.close()
