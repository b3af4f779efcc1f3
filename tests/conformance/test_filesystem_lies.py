"""A disk that lies: whatever the system calls say, nothing untrue is reported and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from adapters.conformance.environment import Setting
from adapters.conformance.lies import LyingEnvironment, LyingStoreCases
from adapters.conformance.storage import BODY
from tests.conformance.test_filesystem import FilesystemEnvironment
from tests.doubles.kernel_lies import LIES
from tests.doubles.lying_kernel import LyingKernel


class LyingDocroot(FilesystemEnvironment, LyingEnvironment):
    """The adapter's system calls lie; the customer's and the public's do not."""

    def __init__(self, base: Path, kernel: LyingKernel) -> None:
        super().__init__(base)
        self.kernel = kernel

    def lie(self, name: str) -> AbstractContextManager[None]:
        return self.kernel.lying(name)


class TestLiesOfDisk(LyingStoreCases):
    lies = tuple(LIES)
    unseen = {"bodies have a flipped bit": "a file has no digest beside it"}  # noqa: RUF012  # as in the kit

    @pytest.fixture
    def setting(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
        environment = LyingDocroot(tmp_path, LyingKernel(monkeypatch))
        ref = environment.put(b"field.jpg", BODY)
        yield Setting(adapter=environment.make(), environment=environment, ref=ref, body=BODY)
        environment.thaw()


def test_lies_are_many() -> None:
    assert len(LIES) >= 25
