"""A sender that trusts our authority and finds every name at home."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from receiver.net.sender import GuardedSender
from tests.doubles.web_servers import make_ca
from tests.unit.net.sending import loopback


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    return make_ca(tmp_path_factory.mktemp("ca"), "peer.example", "127.0.0.1")


@pytest.fixture
def sender(authority: tuple[str, ssl.SSLContext]) -> Iterator[GuardedSender]:
    made = GuardedSender(ca_file=authority[0], resolver=loopback)
    yield made
    made.close()
