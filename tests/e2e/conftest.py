"""One stand for all tests that start and kill the receiver: setting it up takes longer than most of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from receiver.demo.clearing import thaw
from tests.e2e.stand import Stand, running_stand


@pytest.fixture(scope="session")
def whole_stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    root = tmp_path_factory.mktemp("e2e") / "stand"
    try:
        with running_stand(root) as stand:
            yield stand
    finally:
        # pytest deletes old folders, and frozen evidence cannot be deleted.
        thaw(root)


@pytest.fixture
def stand(whole_stand: Stand) -> Stand:
    """Running, whatever the test before did to it."""
    whole_stand.ensure_started()
    return whole_stand
