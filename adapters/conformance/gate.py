"""`GateConformance`: inherit it, override `environment` and `adapter`. The server must run, its origin too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

import pytest

from adapters.conformance.environment import FixturesToGive
from adapters.contract import Denied, DenyTarget, GateAdapter, GateReceipt, GateStatus, from_json, to_json

ODD_PATHS: Mapping[str, bytes] = {
    "space": b"/a b.jpg",
    "quotes": b"/a'b\"c.jpg",
    "backslash": b"/a\\b.jpg",
    "semicolon and braces": b"/a;b{c}d.jpg",
    "dollar": b"/$host$1.jpg",
    "hash": b"/a#b.jpg",
    "question mark": b"/a?b.jpg",
    "percent": b"/100%41.jpg",
    "newline": b"/a\nb.jpg",
    "not UTF-8": b"/\xff\xe9.jpg",
    "regular expression": b"/^(.*)[a-z]+|$",
    "leading tilde": b"/~user/a.jpg",
    "long": b"/" + b"l" * 400,
}


class GateEnvironment(ABC):
    """The server behind the gate. Its origin answers 200 to every path and query, unless a rule refuses it."""

    host: str = "gate.example"

    @abstractmethod
    def get(self, host: str, target: bytes) -> int:
        """Status of one GET with this request target, byte for byte, sent by a stranger."""

    def restart(self, adapter: GateAdapter) -> GateAdapter:
        """A new adapter over the same server, as after a crash of our process."""
        return adapter


def target_for(host: str, path: bytes, *, query: bytes | None = None, any_query: bool = False) -> DenyTarget:
    """A target as the resolver makes it."""
    url = f"https://{host}{quote(path)}" + ("" if query is None else "?" + query.decode("ascii"))
    return DenyTarget(url=url, host=host, path=path, query=query, any_query=any_query)


class GateConformance(FixturesToGive):
    """The promises of `GateAdapter`, each a case."""

    refused: ClassVar[frozenset[int]] = frozenset({403, 404, 410, 451})
    odd_paths: ClassVar[Mapping[str, bytes]] = ODD_PATHS
    spellings: ClassVar[tuple[bytes, ...]] = (b"/d/z.jpg", b"/d/%7a.jpg", b"/d/z%2ejpg", b"/%64/z%2Ejpg", b"/d/./z.jpg")
    """Ways to write `/d/z.jpg` that this server takes for the same."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "odd_path" in metafunc.fixturenames:
            metafunc.parametrize("odd_path", list(self.odd_paths.values()), ids=list(self.odd_paths))

    def test_probe_changes_nothing(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        assert adapter.probe().name
        assert environment.get(environment.host, b"/a.jpg") == 200

    def test_deny_refuses_at_once(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        host = environment.host
        assert environment.get(host, b"/a.jpg") == 200
        receipt = adapter.deny([target_for(host, b"/a.jpg")], "op-1")
        assert environment.get(host, b"/a.jpg") in self.refused
        assert adapter.state(receipt) is GateStatus.DENYING

    def test_neighbours_stay_up(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        host = environment.host
        adapter.deny([target_for(host, b"/a.jpg")], "op-1")
        for path in (b"/b.jpg", b"/a.jpg.bak", b"/d/a.jpg", b"/a", b"/"):
            assert environment.get(host, path) == 200
        assert environment.get("another.example", b"/a.jpg") == 200

    def test_every_spelling_is_refused(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        adapter.deny([target_for(environment.host, b"/d/z.jpg")], "op-1")
        for spelled in self.spellings:
            assert environment.get(environment.host, spelled) in self.refused, spelled

    def test_query_is_told_apart(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        host = environment.host
        adapter.deny([target_for(host, b"/gallery.php", query=b"id=7")], "op-1")
        assert environment.get(host, b"/gallery.php?id=7") in self.refused
        assert environment.get(host, b"/gallery.php?id=77") == 200
        assert environment.get(host, b"/gallery.php") == 200

    def test_any_query_is_refused(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        host = environment.host
        adapter.deny([target_for(host, b"/a.jpg", any_query=True)], "op-1")
        for target in (b"/a.jpg", b"/a.jpg?", b"/a.jpg?x=1", b"/a.jpg?x=1&y=2"):
            assert environment.get(host, target) in self.refused, target
        assert environment.get(host, b"/b.jpg?x=1") == 200

    def test_deny_repeats_by_op_id(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        targets = [target_for(environment.host, b"/a.jpg")]
        first = adapter.deny(targets, "op-1")
        assert environment.restart(adapter).deny(targets, "op-1") == first
        adapter.allow(first)
        assert environment.get(environment.host, b"/a.jpg") == 200

    def test_allow_takes_back_its_own(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        host = environment.host
        both = adapter.deny([target_for(host, b"/a.jpg"), target_for(host, b"/b.jpg")], "op-1")
        one = adapter.deny([target_for(host, b"/a.jpg")], "op-2")
        adapter.allow(both)
        assert environment.get(host, b"/a.jpg") in self.refused
        assert environment.get(host, b"/b.jpg") == 200
        assert adapter.state(one) is GateStatus.DENYING
        adapter.allow(one)
        assert environment.get(host, b"/a.jpg") == 200
        assert adapter.state(one) is GateStatus.OPEN

    def test_allow_twice_is_harmless(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        receipt = adapter.deny([target_for(environment.host, b"/a.jpg")], "op-1")
        adapter.allow(receipt)
        adapter.allow(receipt)
        assert adapter.state(receipt) is GateStatus.OPEN

    def test_receipt_survives_json_and_restart(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        receipt = adapter.deny([target_for(environment.host, b"/a.jpg")], "op-1")
        kept = from_json(GateReceipt, to_json(receipt))
        assert kept == receipt
        later = environment.restart(adapter)
        assert later.state(kept) is GateStatus.DENYING
        later.allow(kept)
        assert environment.get(environment.host, b"/a.jpg") == 200

    def test_many_targets_at_once(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        host = environment.host
        receipt = adapter.deny([target_for(host, b"/many/%d.jpg" % n) for n in range(500)], "op-1")
        assert environment.get(host, b"/many/0.jpg") in self.refused
        assert environment.get(host, b"/many/499.jpg") in self.refused
        assert environment.get(host, b"/many/500.jpg") == 200
        adapter.allow(receipt)
        assert environment.get(host, b"/many/499.jpg") == 200

    def test_odd_path_breaks_no_rule(self, adapter: GateAdapter, environment: GateEnvironment, odd_path: bytes) -> None:
        """A rule is written from what a stranger put into a URL; it must match that, and nothing else."""
        host = environment.host
        receipt = adapter.deny([target_for(host, b"/plain.jpg"), target_for(host, odd_path)], "op-1")
        assert environment.get(host, quote(odd_path).encode()) in self.refused
        assert environment.get(host, b"/plain.jpg") in self.refused
        assert environment.get(host, b"/other.jpg") == 200
        adapter.allow(receipt)
        assert environment.get(host, quote(odd_path).encode()) == 200

    def test_impossible_paths_are_denied(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        for path in (b"a.jpg", b"", b"/a\0b"):
            target = DenyTarget(url="https://gate.example/", host=environment.host, path=path)
            with pytest.raises(Denied):
                adapter.deny([target], "op-1")

    def test_words_name_no_url(self, adapter: GateAdapter, environment: GateEnvironment) -> None:
        receipt = adapter.deny([target_for(environment.host, b"/a.jpg")], "op-1")
        assert not any("a.jpg" in word for word in (repr(adapter), *receipt.residual))
