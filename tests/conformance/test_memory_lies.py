"""The memory store passes the kit's cases about lies: whatever it says, nothing untrue is reported, nothing is lost."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from adapters.conformance.environment import Setting
from adapters.conformance.lies import LIES as COMMON
from adapters.conformance.lies import LyingEnvironment, LyingStoreCases
from adapters.conformance.storage import BODY
from adapters.memory import MemoryStorage
from tests.conformance.memory_lies import LIES, LyingMemoryStore
from tests.conformance.test_memory import MemoryEnvironment

NOT_HERE = {"copies are not done", "rules are not kept"}
"""A store in memory neither copies nor keeps rules."""


class LyingMemory(MemoryEnvironment, LyingEnvironment):
    store: LyingMemoryStore

    def lie(self, name: str) -> AbstractContextManager[None]:
        return self.store.lying(name)


class TestLiesOfMemory(LyingStoreCases):
    lies = tuple(LIES)

    @pytest.fixture
    def setting(self) -> Setting:
        environment = LyingMemory(LyingMemoryStore())
        ref = environment.put(b"field.jpg", BODY)
        return Setting(adapter=MemoryStorage(environment.store), environment=environment, ref=ref, body=BODY)


def test_every_common_lie_is_told() -> None:
    assert set(COMMON) - NOT_HERE <= set(LIES)
    assert len(LIES) >= 25
