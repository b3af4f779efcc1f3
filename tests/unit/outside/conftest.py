"""A looker that trusts an authority of our own."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from receiver.outside.look import OutsideLooker
from tests.doubles.web_servers import make_ca


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    return make_ca(tmp_path_factory.mktemp("ca"), "img.example")


@pytest.fixture
def looker(authority: tuple[str, ssl.SSLContext]) -> Iterator[OutsideLooker]:
    """Patient, so that a busy machine is not taken for a slow server."""
    made = OutsideLooker(ca_file=authority[0], connect_seconds=10, total_seconds=20)
    yield made
    made.close()


@pytest.fixture
def hasty(authority: tuple[str, ssl.SSLContext]) -> Iterator[OutsideLooker]:
    """For servers that are slow on purpose."""
    made = OutsideLooker(ca_file=authority[0], connect_seconds=0.5, total_seconds=1.0)
    yield made
    made.close()
