"""The customer's hands and the public's eyes on one bucket of a real SeaweedFS; and buckets, files and adapters."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from adapters.conformance.environment import StorageEnvironment, Writer
from adapters.contract import BlockReceipt, Ref, StorageAdapter
from adapters.s3 import wire
from adapters.s3.adapter import S3Adapter
from adapters.s3.policy import Policy, sid
from adapters.s3.probing import Proof
from adapters.s3.settings import S3Settings
from tests.doubles.faulty_proxy import FaultyProxy
from tests.doubles.seaweed import CUSTOMER, HOST, OWNER, SeaweedFS

HELD = "held"
BUCKETS = {"site-versions": "Enabled", "site-plain": "", "site-suspended": "Suspended", "site-lock": "Enabled"}


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running server with its buckets; made once for all tests."""

    server: SeaweedFS
    proxy: FaultyProxy
    folder: Path
    clients: dict[str, Any] = field(default_factory=dict)
    proofs: dict[S3Settings, Proof | None] = field(default_factory=dict)

    @classmethod
    def prepare(cls, server: SeaweedFS, proxy: FaultyProxy, folder: Path) -> Site:
        folder.mkdir(exist_ok=True)
        for who in (HOST, CUSTOMER, OWNER):
            (folder / f"{who[0]}.access").write_text(who[1], encoding="utf-8")
            (folder / f"{who[0]}.secret").write_text(who[2], encoding="utf-8")
        clients = {who[0]: server.client(who) for who in (HOST, CUSTOMER, OWNER)}
        site = cls(server=server, proxy=proxy, folder=folder, clients=clients)
        site.host.create_bucket(Bucket=HELD)
        for bucket, versioning in BUCKETS.items():
            site.host.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=bucket == "site-lock")
            if versioning and bucket != "site-lock":
                for status in dict.fromkeys(("Enabled", versioning)):
                    site.host.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        return site

    @property
    def host(self) -> Any:
        return self.clients["host"]

    @property
    def customer(self) -> Any:
        return self.clients["customer"]

    @property
    def owner(self) -> Any:
        """A customer who owns the bucket, and may change its policy."""
        return self.clients["owner"]

    def settings(self, bucket: str, **changes: Any) -> S3Settings:
        named: dict[str, Any] = {
            "endpoint_url": self.server.url,
            "bucket": bucket,
            "quarantine_bucket": HELD,
            "access_key_file": str(self.folder / "host.access"),
            "secret_key_file": str(self.folder / "host.secret"),
            "customer_access_key_file": str(self.folder / "customer.access"),
            "customer_secret_key_file": str(self.folder / "customer.secret"),
            "host_username": "host",
            "settle_seconds": 1.0,
            "max_attempts": 1,
            "read_seconds": 10.0,
        }
        return S3Settings(**(named | changes))


def kept_clients() -> Callable[[S3Settings, Any], Any]:
    """Making a client takes longer than a whole test; the tests of a session share them."""
    made: dict[Any, Any] = {}
    build = wire._client

    def client(settings: S3Settings, keys: Any) -> Any:
        named = (settings, keys and keys[0].reveal())
        if named not in made:
            made[named] = build(settings, keys)
        return made[named]

    return client


class S3Environment(StorageEnvironment):
    """One customer's part of a bucket: a prefix that no other test uses."""

    def __init__(self, site: Site, settings: S3Settings) -> None:
        self.site, self.settings = site, settings
        self.bucket = settings.bucket
        self.scope = f"acme-{secrets.token_hex(4)}".encode()
        self.adapters: list[S3Adapter] = []
        self._bodies = 0
        self.on_call: Callable[[str, dict[str, Any]], None] = lambda operation, params: None
        self._pool = urllib3.PoolManager(retries=False, timeout=10)

    def make(self) -> S3Adapter:
        """A new adapter, with what an earlier one found out about the same server: a probe takes its time."""
        made = S3Adapter("site", self.settings)
        made._proof = self.site.proofs.setdefault(self.settings, made.proof if self._first() else None)
        self._watch(made)
        self.adapters.append(made)
        return made

    def _watch(self, made: S3Adapter) -> None:
        call_as = made.wire.call_as

        def watched(who: wire.Who, operation: str, **params: Any) -> Any:
            self.on_call(operation, params)
            self._bodies += operation == "get_object" and not re.search(r"/record\.json$|/names/", params["Key"])
            return call_as(who, operation, **params)

        made.wire.call_as = watched  # type: ignore[method-assign]  # the one place all calls go through

    def _first(self) -> bool:
        return self.settings not in self.site.proofs

    def body_bytes_read(self) -> int:
        """Reads, not bytes; none is none in both."""
        return self._bodies

    def close(self) -> None:
        for adapter in self.adapters:
            adapter.close()
        self._pool.clear()
        held = self.site.host.list_objects_v2(Bucket=HELD, Prefix=self.settings.quarantine_prefix)
        for item in held.get("Contents", ()):
            self.site.host.delete_object(Bucket=HELD, Key=item["Key"])
        try:
            self.site.host.delete_bucket_policy(Bucket=self.bucket)
        except ClientError:
            return

    def where(self, ref: Ref) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": ref.locator.decode()}

    def ref(self, name: bytes) -> Ref:
        return Ref(locator=self.scope + b"/" + name, scope=self.scope)

    def put(self, name: bytes, body: bytes) -> Ref:
        ref = self.ref(name)
        self.site.customer.put_object(
            Body=body,
            ContentType="image/x-noise",
            CacheControl="max-age=60",
            Metadata={"made": "by a test"},
            Tagging="kind=noise",
            **self.where(ref),
        )
        return ref

    def public_get(self, ref: Ref) -> tuple[int, bytes | None]:
        return self.stranger_get(ref)

    def stranger_get(self, ref: Ref, version_id: str = "") -> tuple[int, bytes | None]:
        query = f"?versionId={version_id}" if version_id else ""
        url = f"{self.site.server.url}/{self.bucket}/{quote(ref.locator, safe='/~')}{query}"
        answer = self._pool.request("GET", url)
        return answer.status, answer.data if answer.status == 200 else None

    def signed_get(self, url: str) -> int:
        return self._pool.request("GET", url).status

    def signed_put(self, url: str, body: bytes) -> int:
        return self._pool.request("PUT", url, body=body).status

    def customer_get(self, ref: Ref) -> tuple[int, bytes | None]:
        try:
            return 200, self.site.customer.get_object(**self.where(ref))["Body"].read()
        except ClientError as exc:
            return exc.response["ResponseMetadata"]["HTTPStatusCode"], None

    def customer_write(self, ref: Ref, body: bytes) -> None:
        refused(lambda: self.site.customer.put_object(Body=body, **self.where(ref)))

    def customer_delete(self, ref: Ref) -> None:
        """For good: the version that stands there now, not a marker over it."""
        found = self.site.host.list_object_versions(Bucket=self.bucket, Prefix=self.where(ref)["Key"])
        for item in found.get("Versions", ()):
            if item["Key"] == self.where(ref)["Key"] and item["IsLatest"]:
                refused(partial(self.site.customer.delete_object, VersionId=item["VersionId"], **self.where(ref)))

    def add_other_name(self, ref: Ref, in_scope: bool) -> Ref | None:
        return None

    def open_writer(self, ref: Ref) -> Writer:
        """An upload in parts, begun now and finished later."""
        customer, where = self.site.customer, self.where(ref)
        upload = customer.create_multipart_upload(**where)["UploadId"]

        def late(body: bytes) -> None:
            def finish() -> None:
                part = customer.upload_part(UploadId=upload, PartNumber=1, Body=body, **where)
                parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
                customer.complete_multipart_upload(UploadId=upload, MultipartUpload=parts, **where)

            refused(finish)

        return late

    def reopen_door(self, ref: Ref, receipt: BlockReceipt) -> bool:
        """As somebody with rights would: take out the statement, the tag, or open the quarantine."""
        rung = receipt.undo["rung"]
        if rung == "policy":
            Policy(self.adapters[0].wire).drop(sid(receipt.op_id))
            return True
        if rung == "tag":
            for item in self.site.host.list_object_versions(Bucket=self.bucket, Prefix=self.where(ref)["Key"])[
                "Versions"
            ]:
                self.site.host.delete_object_tagging(VersionId=item["VersionId"], **self.where(ref))
            return True
        return False

    def restart(self, adapter: StorageAdapter) -> StorageAdapter:
        return self.make()


def refused(act: Callable[[], Any]) -> None:
    """A store's refusal as the kit knows it."""
    try:
        act()
    except ClientError as exc:
        raise PermissionError(exc.response["Error"]["Code"]) from None
    except BotoCoreError as exc:
        raise OSError(type(exc).__name__) from None
