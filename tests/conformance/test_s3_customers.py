"""More moves of customers on a real SeaweedFS; in each the neighbours are compared before and after, byte for byte."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial

import pytest
from botocore.exceptions import ClientError

from adapters.conformance.environment import read_all
from adapters.contract import Origin, Presence, Ref
from adapters.s3.policy import sid
from tests.conformance.s3_neighbours import (
    BODY,
    Start,
    assert_still_down,
    code,
    first_id,
    where,
)
from tests.conformance.s3_site import Site

LADDERS = [("policy",), ("tag",), ("move",)]


# --- copying it away


@pytest.mark.parametrize("ladder", [("policy",), ("move",)])
def test_copy_after_the_block_is_refused(hostile: Start, ladder: tuple[str, ...]) -> None:
    setting = hostile(ladder=ladder)
    version, customer = first_id(setting), setting.environment.site.customer
    receipt = setting.block()
    copy = {**where(setting), "Key": f"{setting.environment.scope.decode()}/copy.jpg"}
    for source in (where(setting), {**where(setting), "VersionId": version}):
        assert code(partial(customer.copy_object, CopySource=source, **copy)) in {403, 404}
    assert_still_down(setting, receipt)


def test_tag_that_copies_pass_is_not_used(hostile: Start) -> None:
    """On this server a tag denies reading and not copying: the probe finds that, and by itself never blocks so."""
    setting = hostile(ladder=("tag",))
    receipt = setting.block()
    copy = {**where(setting), "Key": f"{setting.environment.scope.decode()}/copy.jpg"}
    assert code(lambda: setting.environment.site.customer.copy_object(CopySource=where(setting), **copy)) == 200
    assert_still_down(setting, receipt)
    free = hostile()
    assert "tag" not in free.adapter.ladder
    assert any("copy a tagged object" in note for note in free.adapter.probe().notes)


@pytest.mark.parametrize("ladder", [("policy",), ("move",)])
def test_part_copy_from_the_version_is_refused(hostile: Start, ladder: tuple[str, ...]) -> None:
    """An upload in parts, begun before, that takes its part from the blocked version."""
    setting = hostile(ladder=ladder)
    version, customer = first_id(setting), setting.environment.site.customer
    copy = {**where(setting), "Key": f"{setting.environment.scope.decode()}/copy.jpg"}
    upload = customer.create_multipart_upload(**copy)["UploadId"]
    receipt = setting.block()
    for source in (where(setting), {**where(setting), "VersionId": version}):
        taken = code(partial(customer.upload_part_copy, UploadId=upload, PartNumber=1, CopySource=source, **copy))
        assert taken in {403, 404}
    customer.abort_multipart_upload(UploadId=upload, **copy)
    assert_still_down(setting, receipt)


def test_copy_made_before_is_another_object(hostile: Start) -> None:
    """Not found by this adapter: it is a resource of its own, for a notice of its own. The README says so."""
    setting = hostile()
    copy = {**where(setting), "Key": f"{setting.environment.scope.decode()}/copy.jpg"}
    setting.environment.site.customer.copy_object(CopySource=where(setting), **copy)
    receipt = setting.block()
    other = Ref(locator=copy["Key"].encode(), scope=setting.ref.scope)
    assert setting.environment.public_get(other) == (200, BODY)
    second = setting.adapter.block(other, setting.adapter.observe(other), "op-copy")
    assert setting.environment.public_get(other)[0] == 403
    assert_still_down(setting, receipt)
    setting.adapter.unblock(other, second)


# --- over it and under it


@pytest.mark.parametrize("ladder", LADDERS)
def test_marker_put_on_top_hides_nothing(hostile: Start, ladder: tuple[str, ...]) -> None:
    setting = hostile(ladder=ladder)
    receipt = setting.block()
    with suppress(ClientError):
        setting.environment.site.customer.delete_object(**where(setting))
    assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.BLOCKED
    assert_still_down(setting, receipt)


@pytest.mark.parametrize("ladder", LADDERS)
def test_version_deleted_by_id_is_told(hostile: Start, ladder: tuple[str, ...]) -> None:
    """By policy and by move the customer cannot; by tag the bytes may go, and that is never taken for blocked."""
    setting = hostile(ladder=ladder)
    version = first_id(setting)
    receipt = setting.block()
    deleted = code(lambda: setting.environment.site.customer.delete_object(VersionId=version, **where(setting)))
    origin = setting.adapter.origin_state(setting.ref, receipt).origin
    if ladder == ("move",) or deleted == 403:
        assert origin is Origin.BLOCKED
        assert_still_down(setting, receipt)
    else:
        assert origin is Origin.GONE


@pytest.mark.parametrize("ladder", LADDERS)
def test_suspended_versioning_changes_nothing(hostile: Start, s3_site: Site, ladder: tuple[str, ...]) -> None:
    """The bucket's owner suspends versioning after the block and uploads a null version over it."""
    bucket = "site-owned"
    with suppress(ClientError):
        s3_site.host.create_bucket(Bucket=bucket)
    versioning = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Enabled"}}
    s3_site.host.put_bucket_versioning(**versioning)
    setting = hostile(bucket, ladder=ladder)
    receipt = setting.block()
    setting.environment.site.owner.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    status = code(lambda: setting.environment.site.customer.put_object(Body=b"over it", **where(setting)))
    state = setting.adapter.origin_state(setting.ref, receipt).origin
    setting.environment.site.host.put_bucket_versioning(**versioning)
    assert (state is Origin.BLOCKED) if status == 403 else (state is Origin.REPLACED)
    assert read_all(setting.adapter, setting.ref, receipt) == BODY


# --- the rules of the bucket


def allow_all(bucket: str, name: str) -> str:
    everybody = {
        "Sid": name, "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"
    }  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [everybody]})


@pytest.mark.parametrize("name", ["Theirs", "the same name"])
@pytest.mark.parametrize("ladder", [("policy", "move"), ("tag", "move")])
def test_replaced_policy_leaks_then_moves(hostile: Start, ladder: tuple[str, ...], name: str) -> None:
    """The owner puts a policy of their own, even with a statement under the name of ours: seen, and then moved."""
    setting = hostile(ladder=ladder)
    receipt = setting.block()
    owner, bucket = setting.environment.site.owner, setting.environment.bucket
    ours = sid(receipt.op_id) if ladder[0] == "policy" else "TakedownReceiverTag"
    owner.put_bucket_policy(Bucket=bucket, Policy=allow_all(bucket, ours if name == "the same name" else name))
    assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.LEAKING
    seen = setting.adapter.observe(setting.ref)
    assert seen.presence is Presence.PRESENT
    second = setting.adapter.block(setting.ref, seen, "op-2")
    owner.delete_bucket_policy(Bucket=bucket)
    assert second.undo["rung"] == "move"
    assert setting.adapter.origin_state(setting.ref, second).origin is Origin.BLOCKED
    assert_still_down(setting, receipt)


def test_replaced_tags_leak(hostile: Start) -> None:
    setting = hostile(ladder=("tag",))
    receipt = setting.block()
    tags = {"TagSet": [{"Key": "kind", "Value": "mine again"}]}
    status = code(lambda: setting.environment.site.customer.put_object_tagging(Tagging=tags, **where(setting)))
    leaks = setting.adapter.origin_state(setting.ref, receipt).origin is Origin.LEAKING
    assert leaks == (status == 200)
    assert setting.adapter.observe(setting.ref).presence is (Presence.PRESENT if leaks else Presence.BLOCKED)


@pytest.mark.parametrize("ladder", LADDERS)
def test_public_acl_opens_nothing(hostile: Start, ladder: tuple[str, ...]) -> None:
    setting = hostile(ladder=ladder)
    version = first_id(setting)
    receipt = setting.block()
    for more in ({}, {"VersionId": version}):
        with suppress(ClientError):
            setting.environment.site.customer.put_object_acl(ACL="public-read", **more, **where(setting))
    assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.BLOCKED
    assert_still_down(setting, receipt)


@pytest.mark.parametrize("ladder", [("policy",), ("move",)])
def test_lifecycle_rule_is_noted(hostile: Start, ladder: tuple[str, ...]) -> None:
    """A rule that would expire the object is told before the block; what was moved lies where it does not reach."""
    setting = hostile("site-plain", ladder=ladder)
    owner, bucket = setting.environment.site.owner, setting.environment.bucket
    rule = {
        "ID": "soon", "Status": "Enabled", "Filter": {"Prefix": where(setting)["Key"]}, "Expiration": {"Days": 1}
    }  # fmt: skip
    set_by = code(
        lambda: owner.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    )
    assert set_by == 200, "this server takes lifecycle rules"
    try:
        notes = setting.adapter.observe(setting.ref).notes
        receipt = setting.block()
    finally:
        owner.delete_bucket_lifecycle(Bucket=bucket)
    assert any("lifecycle" in note for note in notes)
    assert_still_down(setting, receipt)
