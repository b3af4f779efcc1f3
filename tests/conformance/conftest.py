"""One SeaweedFS for all tests of a session that ask for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.s3 import wire
from tests.conformance.s3_site import Site, kept_clients
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
