"""Locked objects, and what a move brings back and never overwrites."""

from __future__ import annotations

import datetime as dt

import pytest

from adapters.conformance.environment import proof_for, read_all
from adapters.contract import Conflict, Origin
from tests.conformance.s3_neighbours import Start, ids, where


def test_marker_on_top_comes_back(start: Start) -> None:
    setting = start(ladder=("move",))
    setting.environment.site.customer.delete_object(**where(setting))
    receipt = setting.block()
    setting.adapter.unblock(setting.ref, receipt)
    assert setting.environment.public_get(setting.ref)[0] == 404
    assert setting.adapter.observe(setting.ref).versions[0].size_bytes == len(setting.body)


def test_null_version_survives_the_marker(start: Start) -> None:
    """A delete marker under suspended versioning would destroy the null version; so none is set there."""
    setting = start("site-suspended", ladder=("move",))
    receipt = setting.block()
    assert read_all(setting.adapter, setting.ref, receipt) == b"noise"
    setting.adapter.unblock(setting.ref, receipt)
    assert setting.environment.public_get(setting.ref) == (200, b"noise")


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


def test_restore_never_overwrites(start: Start) -> None:
    setting = start("site-plain", ladder=("move",))
    receipt = setting.block()
    setting.environment.customer_write(setting.ref, b"new")
    with pytest.raises(Conflict):
        setting.adapter.unblock(setting.ref, receipt)
    assert setting.environment.public_get(setting.ref) == (200, b"new")
