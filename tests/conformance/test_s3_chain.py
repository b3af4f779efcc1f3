"""The whole chain over a real SeaweedFS: what its customer does afterwards is found by the watch and told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.s3_neighbours import put_neighbours, untouched_neighbours
from tests.conformance.s3_site import S3Environment, Site
from tests.doubles.make_world import make_world
from tests.doubles.world import HOST, World

BODY = b"noise"
URL = f"https://{HOST}/field.jpg"


class Chain:
    """A world whose store is the customer's part of a bucket, with no gate in front."""

    def __init__(self, folder: Path, site: Site, **changes: Any) -> None:
        self.environment = S3Environment(site, site.settings("site-versions", settle_seconds=0.3, **changes))
        self.ref = self.environment.put(b"field.jpg", BODY)
        put_neighbours(self.environment)
        self.world: World = make_world(folder)
        self.world.store = self.environment.make()
        self.world.origin = lambda raw: self.environment.public_get(self.ref)[1]  # type: ignore[method-assign]
        key = self.environment.scope.decode() + "{path}"
        self.world.routes[0] = replace(self.world.routes[0], key=key, gates=())
        self.world.rebuild()

    @property
    def where(self) -> dict[str, str]:
        return self.environment.where(self.ref)

    def close(self) -> None:
        self.world.db.close()
        self.environment.close()

    def down(self) -> str:
        notice = self.world.notify(URL)
        self.world.run()
        assert self.world.statuses(notice) == ["disabled"]
        assert self.world.public_get(URL) is None
        return notice

    def look_again(self) -> None:
        self.world.later(minutes=10)
        self.world.run()

    def told(self, notice: str) -> list[str]:
        return [status for _, status in self.world.told(notice)]


@pytest.fixture(params=["policy", "move"])
def chain(request: pytest.FixtureRequest, tmp_path: Path, s3_site: Site) -> Iterator[Chain]:
    ladder = ("policy", "move") if request.param == "policy" else ("move",)
    made = Chain(tmp_path, s3_site, ladder=ladder)
    try:
        with untouched_neighbours(made.environment, made.where["Key"]):
            yield made
    finally:
        made.close()


@pytest.fixture
def by_policy(tmp_path: Path, s3_site: Site) -> Iterator[Chain]:
    made = Chain(tmp_path, s3_site)
    try:
        with untouched_neighbours(made.environment, made.where["Key"]):
            yield made
    finally:
        made.close()


def test_deleted_policy_is_found_by_the_watch(by_policy: Chain) -> None:
    chain = by_policy
    notice = chain.down()
    chain.environment.site.owner.delete_bucket_policy(Bucket=chain.environment.bucket)
    assert chain.environment.public_get(chain.ref) == (200, BODY)
    chain.look_again()
    assert chain.told(notice) == ["disabled", "reappeared", "disabled"]
    assert chain.environment.public_get(chain.ref)[0] == 404
    assert BODY in chain.world.vault.sealed.values()


def test_signed_upload_is_told_and_disabled_again(chain: Chain) -> None:
    put = chain.environment.site.customer.generate_presigned_url("put_object", Params=chain.where)
    notice = chain.down()
    status = chain.environment.signed_put(put, b"up again")
    chain.look_again()
    assert chain.world.statuses(notice) == ["disabled"]
    assert chain.environment.public_get(chain.ref)[0] in {403, 404}
    assert (chain.told(notice) == ["disabled"]) == (status == 403)
    assert (b"up again" in chain.world.vault.sealed.values()) == (status == 200)


def test_late_multipart_never_comes_up(chain: Chain) -> None:
    late = chain.environment.open_writer(chain.ref)
    notice = chain.down()
    with pytest.raises(OSError, match=r"NoSuchUpload|AccessDenied"):
        late(b"finished late")
    chain.look_again()
    assert chain.told(notice) == ["disabled"]


def test_deleting_customer_loses_no_evidence(chain: Chain) -> None:
    """The customer deletes what they can, by name and by version; sealed bytes are there and nothing is told wrong."""
    versions = chain.environment.site.host.list_object_versions(
        Bucket=chain.environment.bucket, Prefix=chain.where["Key"]
    )["Versions"]
    notice = chain.down()
    customer = chain.environment.site.customer
    for more in ({}, *({"VersionId": item["VersionId"]} for item in versions if item["Key"] == chain.where["Key"])):
        with suppress(ClientError):
            customer.delete_object(**more, **chain.where)
    chain.look_again()
    assert chain.world.statuses(notice) == ["disabled"]
    assert BODY in chain.world.vault.sealed.values()
