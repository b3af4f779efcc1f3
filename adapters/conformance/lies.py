"""`LyingStoreCases`: a store that says one thing and does another. Inherit it in a class of its own.

Nothing here asks an adapter to succeed under a lie. It may fail with an error of the contract's; it may not say
"blocked", "removed" or hand out bytes when that is untrue, and once the store tells the truth again the same call must
finish the work.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar, TypeVar

import pytest

from adapters.conformance.environment import Setting, StorageEnvironment, digest, proof_for, read_all
from adapters.contract import AdapterError, BlockReceipt, Changed, Observation, Origin, Presence

T = TypeVar("T")

LIES = (
    "writes are not done",
    "copies are not done",
    "deletes are not done",
    "rules are not kept",
    "bodies are cut short",
    "bodies have a flipped bit",
    "bodies break off",
    "bodies are old",
    "bodies are an error page",
    "listings are empty",
    "listings are old",
    "every other answer is lost",
    "every other request is lost",
    "busy",
    "slow",
)


class LyingEnvironment(StorageEnvironment):
    """An environment whose store can be made to lie."""

    @abstractmethod
    def lie(self, name: str) -> AbstractContextManager[None]:
        """Lie so until the context ends. `name` is one of `LyingStoreCases.lies`.

        Put the lie under the adapter, where its calls reach the store (a proxy, the system calls), not into it.
        """


class LyingStoreCases:
    """Each lie, told during each act."""

    lies: ClassVar[tuple[str, ...]] = LIES
    """What your store could tell; the more the better. Use your own words where these do not fit."""

    unseen: ClassVar[Mapping[str, str]] = {}
    """Lie about bytes -> why nobody could notice it here. Only where the store keeps no digest of what it holds."""

    gone: ClassVar[frozenset[int]] = frozenset({403, 404, 410, 451})

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "lie" in metafunc.fixturenames:
            metafunc.parametrize("lie", self.lies)

    @pytest.fixture
    def setting(self) -> Setting:
        pytest.fail(
            "override the fixture `setting`: a Setting whose environment is your LyingEnvironment and whose object is"
            " stored as field.jpg",
            pytrace=False,
        )

    def test_lie_while_blocking(self, setting: Setting, lie: str) -> None:
        seen = setting.adapter.observe(setting.ref)
        receipt = self._under(setting, lie, lambda: setting.adapter.block(setting.ref, seen, "op-1"))
        if receipt is None:
            receipt = self._block_again(setting, seen)
        assert setting.environment.public_get(setting.ref)[0] in self.gone
        assert setting.environment.customer_get(setting.ref)[0] in self.gone
        assert setting.adapter.origin_state(setting.ref, receipt).origin is Origin.BLOCKED
        assert digest(self._held(setting, receipt)) == digest(setting.body)
        setting.adapter.unblock(setting.ref, receipt)
        assert setting.environment.public_get(setting.ref) == (200, setting.body)

    def test_lie_while_reading(self, setting: Setting, lie: str) -> None:
        receipt = setting.block()
        got = self._under(setting, lie, lambda: read_all(setting.adapter, setting.ref, receipt))
        if got is not None and lie not in self.unseen:
            assert digest(got) == digest(setting.body)
        assert digest(read_all(setting.adapter, setting.ref, receipt)) == digest(setting.body)

    def test_lie_while_asking(self, setting: Setting, lie: str) -> None:
        receipt = setting.block()
        setting.adapter.unblock(setting.ref, receipt)
        state = self._under(setting, lie, lambda: setting.adapter.origin_state(setting.ref, receipt))
        assert state is None or state.origin is not Origin.BLOCKED

    def test_lie_while_removing(self, setting: Setting, lie: str) -> None:
        receipt = setting.block()
        proof = proof_for(receipt, len(setting.body))
        done = self._under(setting, lie, lambda: setting.adapter.remove(setting.ref, proof, receipt, "op-9"))
        if done is None:
            done = setting.restarted().adapter.remove(setting.ref, proof, receipt, "op-9")
        assert done.outcome == "removed"
        assert setting.adapter.observe(setting.ref).presence is Presence.ABSENT
        with pytest.raises(AdapterError):
            read_all(setting.adapter, setting.ref, receipt)

    def test_lie_while_unblocking(self, setting: Setting, lie: str) -> None:
        receipt = setting.block()
        done = self._under(setting, lie, lambda: setting.adapter.unblock(setting.ref, receipt))
        if done is None:
            setting.restarted().adapter.unblock(setting.ref, receipt)
        assert setting.environment.public_get(setting.ref) == (200, setting.body)
        assert len(setting.adapter.observe(setting.ref).versions) == 1

    def _block_again(self, setting: Setting, seen: Observation) -> BlockReceipt:
        """The same call, by a new process; where that says Changed, what is there now in another operation."""
        adapter = setting.restarted().adapter
        try:
            return adapter.block(setting.ref, seen, "op-1")
        except Changed:
            return adapter.block(setting.ref, adapter.observe(setting.ref), "op-2")

    def _held(self, setting: Setting, receipt: BlockReceipt) -> bytes:
        """The blocked bytes; where the receipt's pins were made under a lie, by those that are seen now."""
        try:
            return read_all(setting.adapter, setting.ref, receipt)
        except Changed:
            seen = setting.adapter.observe(setting.ref)
            assert seen.presence is Presence.BLOCKED
            return read_all(setting.adapter, setting.ref, replace(receipt, pins=seen.pins))

    def _under(self, setting: Setting, lie: str, act: Callable[[], T]) -> T | None:
        """What the act gave while the store lied, or None where it failed in the contract's own words."""
        environment = setting.environment
        assert isinstance(environment, LyingEnvironment)
        words = ""
        with environment.lie(lie):
            try:
                return act()
            except AdapterError as exc:
                words = str(exc)
        assert "field.jpg" not in words
        return None
