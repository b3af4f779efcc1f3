"""Cases about names: odd ones, near ones, and several names of the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest

from adapters.conformance.environment import Setting, StorageEnvironment, read_all
from adapters.contract import NotFound, Observation, Ref, StorageAdapter

ODD_NAMES: Mapping[str, bytes] = {
    "colon": b"a:b.jpg",
    "hash": b"a#b.jpg",
    "space": b" a b .jpg ",
    "newline": b"a\nb.jpg",
    "tab": b"a\tb.jpg",
    "not UTF-8": b"\xff\xfe\xe9.jpg",
    "decomposed accent": "e\u0301.jpg".encode(),
    "leading hyphen": b"-rf",
    "percent": b"100%41.jpg",
    "question mark": b"a?b=c.jpg",
    "quotes": b"a'b\"c`d.jpg",
    "backslash": b"a\\b.jpg",
    "glob": b"*[a]?.jpg",
    "shell": b"$(x);&|.jpg",
    "dots": b"..a..",
    "very long": b"l" * 251 + b".jpg",
}


class NameCases:
    """Names are bytes and are never normalised; what is not exactly this name is not touched."""

    odd_names: ClassVar[Mapping[str, bytes]]
    gone: ClassVar[frozenset[int]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "odd_name" in metafunc.fixturenames:
            metafunc.parametrize("odd_name", list(self.odd_names.values()), ids=list(self.odd_names))

    def test_odd_name_goes_round(
        self,
        adapter: StorageAdapter,
        environment: StorageEnvironment,
        stored: Callable[[bytes, bytes], Ref],
        odd_name: bytes,
    ) -> None:
        body = b"odd " + odd_name
        here = Setting(adapter=adapter, environment=environment, ref=stored(odd_name, body), body=body)
        receipt = here.block()
        assert environment.public_get(here.ref)[0] in self.gone
        assert read_all(adapter, here.ref, receipt) == body
        adapter.unblock(here.ref, receipt)
        assert environment.public_get(here.ref) == (200, body)

    def test_names_are_never_normalised(
        self, adapter: StorageAdapter, environment: StorageEnvironment, stored: Callable[[bytes, bytes], Ref]
    ) -> None:
        composed, decomposed = stored("é.jpg".encode(), b"one"), stored("e\u0301.jpg".encode(), b"two")
        receipt = Setting(adapter=adapter, environment=environment, ref=composed, body=b"one").block()
        assert environment.public_get(decomposed) == (200, b"two")
        assert read_all(adapter, composed, receipt) == b"one"

    def test_longer_name_stays_up(self, setting: Setting, stored: Callable[[bytes, bytes], Ref]) -> None:
        near = stored(b"field.jpg.bak", b"another picture")
        setting.block()
        assert setting.environment.public_get(near) == (200, b"another picture")

    def test_messages_name_no_locator(self, setting: Setting) -> None:
        seen = setting.adapter.observe(setting.ref)
        setting.environment.customer_delete(setting.ref)
        with pytest.raises(NotFound) as caught:
            setting.adapter.block(setting.ref, seen, "op-1")
        assert "field.jpg" not in str(caught.value)

    def test_words_name_no_locator(self, setting: Setting) -> None:
        seen = setting.adapter.observe(setting.ref)
        receipt = setting.adapter.block(setting.ref, seen, "op-1")
        frozen = setting.adapter.freeze(setting.ref, receipt)
        losses = setting.adapter.unblock(setting.ref, receipt).losses
        words = [*seen.notes, *receipt.doors, *receipt.residual, frozen.how, *frozen.residual, *losses]
        assert not any("field.jpg" in word for word in words)

    def test_other_name_in_scope_blocked(self, setting: Setting) -> None:
        other = self._other_name(setting, in_scope=True)
        seen = setting.adapter.observe(setting.ref)
        assert [(name.locator, name.in_scope) for name in seen.other_names] == [(other.locator, True)]
        receipt = setting.adapter.block(setting.ref, seen, "op-1")
        assert setting.environment.public_get(other)[0] in self.gone
        setting.adapter.unblock(setting.ref, receipt)
        assert setting.environment.public_get(other) == (200, setting.body)
        assert setting.environment.public_get(setting.ref) == (200, setting.body)
        assert self._names(setting.adapter.observe(setting.ref)) == self._names(seen)

    def test_other_name_outside_scope_reported(self, setting: Setting) -> None:
        other = self._other_name(setting, in_scope=False)
        seen = setting.adapter.observe(setting.ref)
        assert [(name.locator, name.in_scope) for name in seen.other_names] == [(other.locator, False)]
        receipt = setting.adapter.block(setting.ref, seen, "op-1")
        assert setting.environment.public_get(setting.ref)[0] in self.gone
        assert receipt.residual
        setting.adapter.unblock(setting.ref, receipt)
        assert setting.environment.public_get(other) == (200, setting.body)

    def _other_name(self, setting: Setting, *, in_scope: bool) -> Ref:
        other = setting.environment.add_other_name(setting.ref, in_scope)
        if other is None:
            pytest.skip("this store has no other names")
        return other

    def _names(self, seen: Observation) -> set[tuple[bytes, bool]]:
        return {(name.locator, name.in_scope) for name in seen.other_names}
