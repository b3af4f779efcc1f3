"""Our rules taken off, others' rules beside them: it is seen, or goes another way, and theirs stay."""

from __future__ import annotations

import json

import pytest

from adapters.conformance.environment import read_all
from adapters.contract import Origin, Presence
from tests.conformance.s3_neighbours import Start, ids, where
from tests.conformance.s3_site import HELD


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


def test_without_customer_account_moves(start: Start) -> None:
    """A deny that was never tried as a customer may have failed open."""
    setting = start(customer_access_key_file="", customer_secret_key_file="")
    receipt = setting.block()
    assert receipt.undo["rung"] == "move"
    assert any("stranger only" in word for word in receipt.residual)
