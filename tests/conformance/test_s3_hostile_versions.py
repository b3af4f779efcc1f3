"""Old and hidden versions go down too, and a writer from before the block brings nothing back unseen."""

from __future__ import annotations

import pytest

from adapters.conformance.environment import read_all
from adapters.contract import AdapterError, Origin, Presence
from tests.conformance.s3_neighbours import Start, ids, where


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
