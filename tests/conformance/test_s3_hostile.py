"""Customers of an object store who work against us: each move fails or is reported, and no neighbour is touched."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from adapters.conformance.environment import proof_for, read_all
from adapters.contract import AdapterError, Conflict, Denied, NotFound, Origin, Presence, Ref
from tests.conformance.s3_neighbours import S3Setting
from tests.conformance.s3_site import HELD, S3Environment, Site

Start = Callable[..., S3Setting]


@pytest.fixture
def start(s3_site: Site) -> Iterator[Start]:
    made: list[S3Environment] = []

    def begin(bucket: str = "site-versions", name: bytes = b"field.jpg", **changes: Any) -> S3Setting:
        environment = S3Environment(s3_site, s3_site.settings(bucket, settle_seconds=0.3, **changes))
        made.append(environment)
        ref = environment.put(name, b"noise")
        return S3Setting(adapter=environment.make(), environment=environment, ref=ref, body=b"noise")

    yield begin
    for environment in made:
        environment.close()


def where(setting: S3Setting) -> dict[str, str]:
    return setting.environment.where(setting.ref)


def ids(setting: S3Setting) -> list[str]:
    found = setting.environment.site.host.list_object_versions(
        Bucket=where(setting)["Bucket"], Prefix=where(setting)["Key"]
    )
    return [item["VersionId"] for item in found.get("Versions", ()) if item["Key"] == where(setting)["Key"]]


@pytest.mark.parametrize("ladder", [(), ("tag",), ("move",)])
def test_every_old_version_goes_down(start: Start, ladder: tuple[str, ...]) -> None:
    setting = start(ladder=ladder)
    customer = setting.environment.site.customer
    setting.environment.customer_write(setting.ref, b"newer noise")
    links = [
        customer.generate_presigned_url("get_object", Params={**where(setting), "VersionId": version})
        for version in ids(setting)
    ]
    assert [setting.environment.signed_get(link) for link in links] == [200, 200]
    receipt = setting.block()
    assert all(setting.environment.signed_get(link) in {403, 404} for link in links)
    assert read_all(setting.adapter, setting.ref, receipt) == b"newer noise"
    with setting.adapter.open(setting.ref, receipt.pins[1]) as reader:
        assert reader.read() == b"noise"


def test_hidden_versions_are_still_there(start: Start) -> None:
    """A delete marker takes the name away and leaves every signed link to a version alive."""
    setting = start()
    [version] = ids(setting)
    setting.environment.site.customer.delete_object(**where(setting))
    seen = setting.adapter.observe(setting.ref)
    assert seen.presence is Presence.PRESENT
    assert not seen.versions[0].current
    assert seen.public is False
    link = setting.environment.site.customer.generate_presigned_url(
        "get_object", Params={**where(setting), "VersionId": version}
    )
    assert setting.environment.signed_get(link) == 200
    setting.block()
    assert setting.environment.signed_get(link) == 403


def test_marker_on_top_comes_back(start: Start) -> None:
    setting = start(ladder=("move",))
    setting.environment.site.customer.delete_object(**where(setting))
    receipt = setting.block()
    setting.adapter.unblock(setting.ref, receipt)
    assert setting.environment.public_get(setting.ref)[0] == 404
    assert setting.adapter.observe(setting.ref).versions[0].size_bytes == len(setting.body)


@pytest.mark.parametrize("bucket", ["site-versions", "site-plain", "site-suspended"])
def test_old_signed_put_is_replaced(start: Start, bucket: str) -> None:
    setting = start(bucket, ladder=("move",))
    put = setting.environment.site.customer.generate_presigned_url("put_object", Params=where(setting))
    receipt = setting.block()
    assert setting.environment.signed_put(put, b"up again") == 200
    state = setting.adapter.origin_state(setting.ref, receipt)
    assert state.origin is Origin.REPLACED
    assert state.pin is not None
    again = setting.block("op-2")
    assert setting.environment.public_get(setting.ref)[0] == 404
    assert read_all(setting.adapter, setting.ref, again) == b"up again"
    assert read_all(setting.adapter, setting.ref, receipt) == b"noise"


def test_old_signed_put_is_denied_by_policy(start: Start) -> None:
    setting = start()
    put = setting.environment.site.customer.generate_presigned_url("put_object", Params=where(setting))
    setting.block()
    assert setting.environment.signed_put(put, b"up again") == 403


@pytest.mark.parametrize("ladder", [(), ("tag",), ("move",)])
def test_late_multipart_fails(start: Start, ladder: tuple[str, ...]) -> None:
    setting = start(ladder=ladder)
    late = setting.environment.open_writer(setting.ref)
    assert any("unfinished" in note for note in setting.adapter.observe(setting.ref).notes)
    receipt = setting.block()
    with pytest.raises(OSError):
        late(b"finished late")
    assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.BLOCKED
    assert ladder == () or any("unfinished" in word for word in receipt.residual)


def test_deleted_policy_leaks_then_moves(start: Start) -> None:
    """The bucket's owner takes our statement out: that is seen, and the next block goes a way he cannot undo."""
    setting = start()
    receipt = setting.block()
    setting.environment.site.owner.delete_bucket_policy(Bucket="site-versions")
    assert setting.environment.public_get(setting.ref)[0] == 200
    assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.LEAKING
    seen = setting.adapter.observe(setting.ref)
    assert seen.presence is Presence.PRESENT
    second = setting.adapter.block(setting.ref, seen, "op-2")
    assert second.undo["rung"] == "move"
    assert setting.environment.public_get(setting.ref)[0] == 404
    assert setting.adapter.origin_state(setting.ref, second).origin is Origin.BLOCKED
    # The first block's pins are what a seal may be waiting for.
    assert read_all(setting.adapter, setting.ref, receipt) == b"noise"
    setting.adapter.unblock(setting.ref, second)
    setting.adapter.unblock(setting.ref, receipt)
    assert setting.environment.public_get(setting.ref) == (200, b"noise")


def test_taken_off_tag_leaks(start: Start) -> None:
    setting = start(ladder=("tag",))
    receipt = setting.block()
    for version in ids(setting):
        setting.environment.site.customer.delete_object_tagging(VersionId=version, **where(setting))
    assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.LEAKING


def test_overwrite_in_place_never_passes(start: Start) -> None:
    """Under suspended versioning the null version is overwritten; the old pin must not give the new bytes."""
    setting = start("site-suspended")
    seen = setting.adapter.observe(setting.ref)
    setting.environment.customer_write(setting.ref, b"other noise")
    with pytest.raises(AdapterError), setting.adapter.open(setting.ref, seen.pins[0]) as reader:
        reader.read()
    with pytest.raises(AdapterError):
        setting.adapter.block(setting.ref, seen, "op-1")
    assert setting.environment.public_get(setting.ref) == (200, b"other noise")


def test_null_version_survives_the_marker(start: Start) -> None:
    """A delete marker under suspended versioning would destroy the null version; so none is set there."""
    setting = start("site-suspended", ladder=("move",))
    receipt = setting.block()
    assert read_all(setting.adapter, setting.ref, receipt) == b"noise"
    setting.adapter.unblock(setting.ref, receipt)
    assert setting.environment.public_get(setting.ref) == (200, b"noise")


@pytest.mark.parametrize("ladder", [(), ("tag",), ("move",)])
def test_neighbours_are_never_touched(start: Start, ladder: tuple[str, ...]) -> None:
    setting = start(ladder=ladder)
    near = [
        setting.environment.put(name, name) for name in (b"field.jpg.bak", b"field.jpg/x", b"field.jp", b"field?jpg")
    ]
    receipt = setting.block()
    assert [setting.environment.public_get(ref) for ref in near] == [
        (200, ref.locator.rpartition(setting.ref.scope + b"/")[2]) for ref in near
    ]
    setting.adapter.remove(setting.ref, proof_for(receipt, 5), receipt, "op-9")
    assert all(setting.environment.public_get(ref)[0] == 200 for ref in near)


@pytest.mark.parametrize("name", [b"a*b.jpg", b"a?b.jpg", b"$a.jpg"])
def test_wildcard_key_is_never_a_rule(start: Start, name: bytes) -> None:
    """In a policy such a name means others too; so it is moved instead."""
    setting = start(name=name)
    near = setting.environment.put(b"aXb.jpg", b"near")
    receipt = setting.block()
    assert receipt.undo["rung"] == "move"
    assert setting.environment.public_get(near) == (200, b"near")
    assert setting.environment.public_get(setting.ref)[0] == 404


def test_foreign_statements_stay(start: Start) -> None:
    setting = start()
    host = setting.environment.site.host
    theirs = {
        "Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::site-versions/nobody/*",
    }  # fmt: skip
    document = {"Version": "2012-10-17", "Id": "theirs", "Statement": [theirs]}
    host.put_bucket_policy(Bucket="site-versions", Policy=json.dumps(document))
    receipt = setting.block()
    between = json.loads(host.get_bucket_policy(Bucket="site-versions")["Policy"])
    assert theirs in between["Statement"]
    assert len(between["Statement"]) == 2
    setting.adapter.unblock(setting.ref, receipt)
    assert json.loads(host.get_bucket_policy(Bucket="site-versions")["Policy"])["Statement"] == [theirs]


def test_probe_leaves_foreign_policy(start: Start) -> None:
    setting = start()
    setting.adapter.probe()
    host = setting.environment.site.host
    assert not host.list_object_versions(Bucket="site-versions", Prefix="takedown-receiver-probe/").get("Versions")
    assert not host.list_objects_v2(Bucket=HELD, Prefix="takedown-receiver/probe/").get("Contents")
    with pytest.raises(host.exceptions.ClientError):
        host.get_bucket_policy(Bucket="site-versions")


def test_compliance_lock_is_retained(start: Start) -> None:
    setting = start("site-lock")
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    setting.environment.site.host.put_object_retention(
        Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until}, VersionId=ids(setting)[0], **where(setting)
    )
    receipt = setting.block()
    done = setting.adapter.remove(setting.ref, proof_for(receipt, 5), receipt, "op-9")
    assert done.outcome == "unreachable_retained"
    assert done.until == pytest.approx(until.timestamp() * 1_000_000, abs=2_000_000)
    assert setting.environment.public_get(setting.ref)[0] == 403
    assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.BLOCKED


def test_legal_hold_goes_before_removal(start: Start) -> None:
    setting = start("site-lock")
    setting.environment.site.host.put_object_legal_hold(
        LegalHold={"Status": "ON"}, VersionId=ids(setting)[0], **where(setting)
    )
    receipt = setting.block()
    assert setting.adapter.remove(setting.ref, proof_for(receipt, 5), receipt, "op-9").outcome == "removed"
    assert ids(setting) == []


def test_parts_and_metadata_come_back(start: Start) -> None:
    setting = start(ladder=("move",))
    customer, target = setting.environment.site.customer, where(setting)
    upload = customer.create_multipart_upload(ContentType="image/x-noise", Metadata={"made": "in parts"}, **target)
    parts = []
    for number, body in enumerate((b"a" * 5 * 1024 * 1024, b"b" * 1000), 1):
        part = customer.upload_part(UploadId=upload["UploadId"], PartNumber=number, Body=body, **target)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    customer.complete_multipart_upload(UploadId=upload["UploadId"], MultipartUpload={"Parts": parts}, **target)
    seen = setting.adapter.observe(setting.ref)
    assert seen.versions[0].attributes["PartSizes"] == [5 * 1024 * 1024, 1000]
    receipt = setting.block()
    done = setting.adapter.unblock(setting.ref, receipt)
    now = setting.adapter.observe(setting.ref)
    assert setting.environment.public_get(setting.ref)[1] == b"a" * 5 * 1024 * 1024 + b"b" * 1000
    for name in ("ContentType", "Metadata", "TagSet"):
        assert now.versions[0].attributes.get(name) == seen.versions[0].attributes.get(name)
    lost = {word.removeprefix("not as before: ") for word in done.losses[1:]}
    same_parts = now.versions[0].attributes["PartSizes"] == seen.versions[0].attributes["PartSizes"]
    assert ("PartSizes" in lost) != same_parts


def test_quarantine_in_reach_is_leaking(start: Start) -> None:
    """Somebody opens the quarantine to strangers after the block."""
    setting = start(ladder=("move",))
    receipt = setting.block()
    host = setting.environment.site.host
    everybody = {
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{HELD}/*"
    }  # fmt: skip
    host.put_bucket_policy(Bucket=HELD, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))
    try:
        state = setting.adapter.origin_state(setting.ref, receipt)
    finally:
        host.delete_bucket_policy(Bucket=HELD)
    assert state.origin is Origin.LEAKING
    assert any("quarantine" in door for door in state.doors)


def test_restore_never_overwrites(start: Start) -> None:
    setting = start("site-plain", ladder=("move",))
    receipt = setting.block()
    setting.environment.customer_write(setting.ref, b"new")
    with pytest.raises(Conflict):
        setting.adapter.unblock(setting.ref, receipt)
    assert setting.environment.public_get(setting.ref) == (200, b"new")


def test_names_outside_scope_are_denied(start: Start) -> None:
    setting = start()
    for locator in (b"other/a.jpg", setting.ref.scope + b"-two/a.jpg", setting.ref.scope, b""):
        with pytest.raises(Denied):
            setting.adapter.observe(Ref(locator=locator, scope=setting.ref.scope))


def test_name_that_is_not_utf8_is_denied(start: Start) -> None:
    setting = start()
    with pytest.raises(Denied):
        setting.adapter.observe(Ref(locator=setting.ref.scope + b"/\xff.jpg", scope=setting.ref.scope))


def test_tidied_name_is_denied(start: Start) -> None:
    """This server answers to `a//b` with what it stores as `a/b`; guessing would be normalising."""
    setting = start(name=b"a/b.jpg")
    with pytest.raises(Denied, match="lists none"):
        setting.adapter.observe(Ref(locator=setting.ref.scope + b"/a//b.jpg", scope=setting.ref.scope))
    assert setting.environment.public_get(setting.ref)[0] == 200


def test_without_customer_account_moves(start: Start) -> None:
    """A deny that was never tried as a customer may have failed open."""
    setting = start(customer_access_key_file="", customer_secret_key_file="")
    receipt = setting.block()
    assert receipt.undo["rung"] == "move"
    assert any("stranger only" in word for word in receipt.residual)


def test_unknown_pin_and_block_are_not_found(start: Start) -> None:
    setting = start()
    receipt = setting.block()
    other = setting.environment.put(b"other.jpg", b"other")
    with pytest.raises(AdapterError):
        setting.adapter.block(other, setting.adapter.observe(other), receipt.op_id)
    stranger = start(quarantine_prefix="another-receiver/")
    with pytest.raises(NotFound):
        stranger.adapter.unblock(setting.ref, receipt)
