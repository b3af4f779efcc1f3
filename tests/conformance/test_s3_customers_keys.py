"""Odd keys, locks, listings and races on a real SeaweedFS; the neighbours are compared as always."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from adapters.conformance.environment import read_all
from adapters.contract import AdapterError, Denied, Origin, Presence, Ref
from tests.conformance.s3_neighbours import (
    BODY,
    S3Setting,
    Start,
    asked,
    assert_still_down,
    code,
    first_id,
    where,
)
from tests.conformance.s3_site import HELD, Site
from tests.doubles.faulty_proxy import ignores_conditions

LADDERS = [("policy",), ("tag",), ("move",)]


# --- names


ODD = {
    "slashes": b"a//b.jpg",
    "dots above": b"a/../b.jpg",
    "dot": b"./b.jpg",
    "slash at the end": b"folder/",
    "many": b"m" * 200 + b"/" + b"n" * 200,
}


@pytest.mark.parametrize("odd", list(ODD))
def test_odd_key_is_itself_or_refused(hostile: Start, odd: str) -> None:
    """Stored under exactly that key it is blocked; where the server would take it for another, nothing is done."""
    setting = hostile()
    ref = setting.environment.ref(ODD[odd])
    stored = code(lambda: setting.environment.site.customer.put_object(Body=b"odd", **setting.environment.where(ref)))
    page = setting.environment.site.host.list_object_versions(
        Bucket=setting.environment.bucket, Prefix=setting.ref.scope.decode() + "/"
    )
    listed = {item["Key"].encode() for item in page.get("Versions", ())}
    try:
        seen = setting.adapter.observe(ref)
    except AdapterError:
        assert ref.locator not in listed
        tidy = [key for key in listed if key not in {setting.ref.locator, setting.ref.scope + b"/field.jpg.bak"}]
        _forget(setting, [key for key in tidy if not key.endswith(b"/field.jp")])
        return
    if stored != 200 or ref.locator not in listed:
        assert seen.presence is Presence.ABSENT
        return
    receipt = setting.adapter.block(ref, seen, "op-odd")
    assert setting.environment.public_get(ref)[0] in {403, 404}
    assert setting.environment.public_get(setting.ref) == (200, BODY)
    setting.adapter.unblock(ref, receipt)
    _forget(setting, [ref.locator])


def _forget(setting: S3Setting, keys: list[bytes]) -> None:
    """What this test stored besides."""
    host, bucket = setting.environment.site.host, setting.environment.bucket
    for key in keys:
        for item in host.list_object_versions(Bucket=bucket, Prefix=key.decode()).get("Versions", ()):
            if item["Key"].encode() == key:
                host.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])


def test_key_too_long_is_denied(hostile: Start) -> None:
    setting = hostile()
    longest = setting.ref.scope + b"/" + b"k" * (1024 - len(setting.ref.scope) - 1)
    assert setting.adapter.observe(Ref(locator=longest, scope=setting.ref.scope)).presence is Presence.ABSENT
    with pytest.raises(Denied):
        setting.adapter.observe(Ref(locator=longest + b"k", scope=setting.ref.scope))


# --- locks and looks


def test_customers_locks_do_not_outlast_us(hostile: Start) -> None:
    """The customer tries to lock the version so that it can never be removed, before and after the block."""
    setting = hostile("site-lock")
    customer, version = setting.environment.site.customer, first_id(setting)
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    tried = (
        lambda: customer.put_object_legal_hold(LegalHold={"Status": "ON"}, VersionId=version, **where(setting)),
        lambda: customer.put_object_retention(
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until}, VersionId=version, **where(setting)
        ),
    )
    before = [code(act) for act in tried]
    receipt = setting.block()
    assert {code(act) for act in tried} == {403}
    assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.BLOCKED
    assert set(before) <= {200, 403}
    assert_still_down(setting, receipt)


@pytest.mark.parametrize("ladder", LADDERS)
def test_customers_listing_opens_nothing(hostile: Start, ladder: tuple[str, ...]) -> None:
    """Listing with credentials of their own shows version ids at most; none of them gives the bytes."""
    setting = hostile(ladder=ladder)
    setting.environment.customer_write(setting.ref, b"newer noise")
    setting.block()
    customer, bucket = setting.environment.site.customer, setting.environment.bucket
    page = asked(lambda: customer.list_object_versions(Bucket=bucket, Prefix=where(setting)["Key"]))
    listed = page.get("Versions", ()) if isinstance(page, dict) else ()
    for item in listed:
        if item["Key"] == where(setting)["Key"]:
            got = code(partial(customer.get_object, VersionId=item["VersionId"], **where(setting)))
            assert got in {403, 404}
    assert asked(lambda: customer.list_objects_v2(Bucket=HELD)) == "AccessDenied"


# --- races and servers that do not help


def test_write_between_copy_and_delete_is_kept(hostile: Start) -> None:
    """Without versions the move copies, compares and deletes; what is uploaded in between must not be deleted."""
    setting = hostile("site-plain", ladder=("move",))
    customer = setting.environment.site.customer
    wrote: list[Any] = []

    def overtake(operation: str, params: dict[str, Any]) -> None:
        if operation == "delete_object" and params["Bucket"] == setting.environment.bucket and not wrote:
            wrote.append(customer.put_object(Body=b"just in time", **where(setting)))

    seen = setting.adapter.observe(setting.ref)
    setting.environment.on_call = overtake
    with suppress(AdapterError):
        setting.adapter.block(setting.ref, seen, "op-1")
    setting.environment.on_call = lambda operation, params: None
    assert wrote
    assert setting.environment.public_get(setting.ref) == (200, b"just in time")


def test_ignored_conditions_change_no_neighbour(hostile: Start, s3_site: Site) -> None:
    """The same server, made to ignore every condition: block, undo and a second round touch the one key alone."""
    with s3_site.proxy.fault(ignores_conditions):
        setting = hostile("site-plain", ladder=("move",), endpoint_url=s3_site.proxy.url)
        receipt = setting.block()
        assert_still_down(setting, receipt)
        setting.environment.customer_write(setting.ref, b"up again")
        assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.REPLACED
        again = setting.block("op-2")
        assert read_all(setting.adapter, setting.ref, again) == b"up again"
        setting.adapter.unblock(setting.ref, again)
        assert setting.environment.public_get(setting.ref) == (200, b"up again")
