"""All that is not the customer's own object: neighbours' keys, near keys, the bucket's settings, the quarantine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from adapters.conformance.environment import Setting, read_all
from adapters.contract import BlockReceipt
from adapters.s3.adapter import S3Adapter
from tests.conformance.s3_site import HELD, S3Environment, Site

OURS = "TakedownReceiver"
SETTINGS = ("get_bucket_versioning", "get_bucket_acl", "get_bucket_lifecycle_configuration", "get_bucket_cors")


def put_neighbours(environment: S3Environment) -> None:
    """Near names in the customer's part, and a customer beside, with an old version and a delete marker each."""
    host, scope = environment.site.host, environment.scope.decode()
    for key, bodies in (("/field.jpg.bak", 1), ("/field.jp", 1), ("-two/field.jpg", 2), ("-two/gone.jpg", 1)):
        for body in (b"older", b"newer")[:bodies]:
            where = {"Bucket": environment.bucket, "Key": scope + key}
            host.put_object(Body=body, Metadata={"kept": "yes"}, Tagging="whose=neighbour", **where)
    host.delete_object(Bucket=environment.bucket, Key=f"{scope}-two/gone.jpg")
    host.put_object(Bucket=HELD, Key=f"{scope}-other-receiver/record.json", Body=b"another's")


def neighbours(environment: S3Environment, *own: str) -> dict[str, Any]:
    """What of all this there is now; `own` are keys that are the customer's resource."""
    host, scope = environment.site.host, environment.scope.decode()
    found: dict[str, Any] = {}
    for bucket, prefix in ((environment.bucket, scope), (HELD, f"{scope}-other-receiver/")):
        page = host.list_object_versions(Bucket=bucket, Prefix=prefix)
        for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            if item["Key"] not in own:
                where = f"{bucket}/{item['Key']}?{item['VersionId']}"
                found[where] = _facts(host, bucket, item)
    for name in SETTINGS:
        found[name] = asked(partial(getattr(host, name), Bucket=environment.bucket))
    found["policy"] = _foreign_policy(host, environment.bucket)
    return found


def _facts(host: Any, bucket: str, item: dict[str, Any]) -> dict[str, Any]:
    kept = {name: item.get(name) for name in ("ETag", "Size", "IsLatest", "LastModified")}
    if "Size" not in item:
        return kept
    where = {"Bucket": bucket, "Key": item["Key"], "VersionId": item["VersionId"]}
    answer = asked(lambda: host.get_object(**where))
    body = answer.pop("Body", None) if isinstance(answer, dict) else None
    return {
        **kept,
        "head": answer,
        "body": body.read() if body is not None else None,
        "tags": asked(lambda: host.get_object_tagging(**where)),
        "acl": asked(lambda: host.get_object_acl(**where)),
    }


def _foreign_policy(host: Any, bucket: str) -> Any:
    answer = asked(lambda: host.get_bucket_policy(Bucket=bucket))
    if not isinstance(answer, dict):
        return []
    statements = json.loads(answer["Policy"])["Statement"]
    return [one for one in statements if not str(one.get("Sid", "")).startswith(OURS)]


def asked(ask: Callable[[], Any]) -> Any:
    """The answer, or the word of the refusal."""
    try:
        answer = ask()
    except ClientError as exc:
        return str(exc.response["Error"]["Code"])
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


@contextmanager
def untouched_neighbours(environment: S3Environment, *own: str) -> Iterator[None]:
    """Compare all that is not `own` before and after."""
    before = neighbours(environment, *own)
    assert len(before) > 8
    yield
    assert neighbours(environment, *own) == before


@dataclass(frozen=True, kw_only=True)
class S3Setting(Setting):
    """One whose buckets the tests look into, behind the adapter's back."""

    adapter: S3Adapter
    environment: S3Environment


Start = Callable[..., S3Setting]
BODY = b"noise"


@contextmanager
def hostile_bucket(site: Site) -> Iterator[Start]:
    """Hands out settings whose neighbours must be at the end what they were; `copy.jpg` is the customer's own too."""
    made: list[tuple[S3Environment, Any]] = []

    def begin(bucket: str = "site-versions", name: bytes = b"field.jpg", **changes: Any) -> S3Setting:
        environment = S3Environment(site, site.settings(bucket, **{"settle_seconds": 0.3, **changes}))
        ref = environment.put(name, BODY)
        put_neighbours(environment)
        adapter = environment.make()
        watch = untouched_neighbours(environment, ref.locator.decode(), f"{environment.scope.decode()}/copy.jpg")
        watch.__enter__()
        made.append((environment, watch))
        return S3Setting(adapter=adapter, environment=environment, ref=ref, body=BODY)

    try:
        yield begin
        for _, watch in made:
            watch.__exit__(None, None, None)
    finally:
        for environment, _ in made:
            environment.close()


def where(setting: S3Setting) -> dict[str, str]:
    return setting.environment.where(setting.ref)


def ids(setting: S3Setting) -> list[str]:
    found = setting.environment.site.host.list_object_versions(
        Bucket=where(setting)["Bucket"], Prefix=where(setting)["Key"]
    )
    return [item["VersionId"] for item in found.get("Versions", ()) if item["Key"] == where(setting)["Key"]]


def first_id(setting: S3Setting) -> str:
    page = setting.environment.site.host.list_object_versions(
        Bucket=setting.environment.bucket, Prefix=where(setting)["Key"]
    )
    return str(next(i["VersionId"] for i in page["Versions"] if i["Key"] == where(setting)["Key"]))


def code(act: Callable[[], Any]) -> int:
    """The HTTP status of what a customer tries."""
    try:
        return int(act()["ResponseMetadata"]["HTTPStatusCode"])
    except ClientError as exc:
        return int(exc.response["ResponseMetadata"]["HTTPStatusCode"])


def assert_still_down(setting: S3Setting, receipt: BlockReceipt) -> None:
    assert setting.environment.public_get(setting.ref)[0] in {403, 404}
    assert setting.environment.customer_get(setting.ref)[0] in {403, 404}
    assert read_all(setting.adapter, setting.ref, receipt) == BODY
