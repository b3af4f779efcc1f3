"""One SeaweedFS for all tests of a session that ask for it, and settings on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from adapters.s3 import wire
from tests.conformance.s3_neighbours import S3Setting, Start, hostile_bucket
from tests.conformance.s3_site import S3Environment, Site, kept_clients
from tests.doubles.faulty_proxy import running_proxy
from tests.doubles.seaweed import CUSTOMER, HOST, OWNER, running_seaweed


@pytest.fixture(scope="session")
def s3_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    base = tmp_path_factory.mktemp("seaweed")
    secrets = {who[1]: who[2] for who in (HOST, CUSTOMER, OWNER)}
    with (
        running_seaweed(base) as server,
        running_proxy(server.url, secrets) as proxy,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(wire, "_client", kept_clients())
        yield Site.prepare(server, proxy, base / "keys")


@pytest.fixture
def hostile(s3_site: Site) -> Iterator[Start]:
    """The same for customers with tricks: the neighbours are compared before and after."""
    with hostile_bucket(s3_site) as begin:
        yield begin


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
