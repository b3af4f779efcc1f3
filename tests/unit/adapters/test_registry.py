"""Plug-ins are found, checked in words, and built."""

from __future__ import annotations

import sys
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import CONTRACT_VERSION, AdapterError, Denied, Plugin
from adapters.memory import MemoryCache, MemoryGate, MemoryStorage, MemoryStore
from adapters.registry import BUILT_IN, ENTRY_POINT_GROUPS, Found, Registry, RegistryError

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, kw_only=True)
class AcmeSettings:
    url: str
    zones: tuple[str, ...]
    tries: int = 3
    wait_seconds: float = 1.0
    token_file: str | None = None

    def __post_init__(self) -> None:
        if not self.url.startswith("https://"):
            raise ValueError("url must start with https://", "url must be the vendor's")


def acme(**changes: Any) -> Plugin:
    made: dict[str, Any] = {
        "type_name": "acme",
        "contract_version": CONTRACT_VERSION,
        "settings": AcmeSettings,
        "build": lambda name, settings, tools: MemoryStorage(),
    }
    return Plugin(**(made | changes))


class KeepingStorage(MemoryStorage):
    """Shows what it was built with."""

    def __init__(self, settings: AcmeSettings) -> None:
        super().__init__()
        self.settings = settings


ACME = acme()
KEEPING = acme(build=lambda name, settings, tools: KeepingStorage(settings))
OLD = acme(contract_version=CONTRACT_VERSION + 1)
RENAMED = acme(type_name="other")
BROKEN = acme(build=lambda name, settings, tools: 1 / 0)
REFUSING = acme(build=lambda name, settings, tools: (_ for _ in ()).throw(Denied("check the credential")))
WRONG = acme(build=lambda name, settings, tools: MemoryGate())
LOOSE = acme(settings=dict)

GOOD = {"type": "acme", "url": "https://acme.example", "zones": ["a", "b"]}


def registry(attribute: str = "ACME", **changes: Any) -> Registry:
    sys.modules["acme_for_tests"] = sys.modules[__name__]
    found = {"type_name": "acme", "target": f"acme_for_tests:{attribute}", "distribution": "acme-takedown"}
    return Registry({"storage": [Found(**(found | changes))]})


def test_built_in_table_is_pyprojects() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert {ENTRY_POINT_GROUPS[group]: dict(named) for group, named in BUILT_IN.items()} == points


def test_source_tree_finds_memory() -> None:
    loaded = Registry.load()
    for group in ENTRY_POINT_GROUPS:
        assert ("memory", "takedown-receiver", CONTRACT_VERSION) in loaded.kinds(group)
    for group, kind in (("storage", MemoryStorage), ("gate", MemoryGate), ("cache", MemoryCache)):
        built = loaded.build(group, "spare", {"type": "memory"}, {})
        assert isinstance(built, kind)
        assert built.name == "spare"


def test_memory_takes_lent_store() -> None:
    store = MemoryStore()
    assert Registry.load().build("storage", "www", {"type": "memory"}, {"memory": {"www": store}}).store is store


def test_installed_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_takedown.py").write_text(
        textwrap.dedent(
            """
            from dataclasses import dataclass
            from adapters.contract import CONTRACT_VERSION, Plugin
            from adapters.memory import MemoryStorage

            @dataclass(frozen=True, kw_only=True)
            class Settings:
                root: str

            PLUGIN = Plugin("acme", CONTRACT_VERSION, Settings, lambda name, settings, tools: MemoryStorage())
            """
        )
    )
    info = tmp_path / "acme_takedown-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-takedown\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[takedown_receiver.adapters]\nacme = acme_takedown:PLUGIN\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = Registry.load()
    assert ("acme", "acme-takedown", CONTRACT_VERSION) in loaded.kinds("storage")
    assert loaded.check("storage", "www", {"type": "acme"}) == ["adapters.www: root is missing"]
    assert loaded.build("storage", "www", {"type": "acme", "root": "x"}, {}).name == "www"


def test_good_table_builds() -> None:
    assert registry().check("storage", "www", GOOD) == []
    assert registry().build("storage", "www", GOOD, {}).name == "www"


def test_lists_arrive_as_tuples() -> None:
    built = registry("KEEPING").build("storage", "www", GOOD, {})
    assert built.settings == AcmeSettings(url="https://acme.example", zones=("a", "b"))


def test_unknown_type_names_known_ones() -> None:
    assert registry().check("storage", "www", {"type": "acne"}) == ["adapters.www: unknown type; known: acme"]
    assert registry().check("storage", "www", {}) == ["adapters.www: type is missing; known: acme"]
    assert registry().check("storage", "www", {"type": ["acme"]}) == ["adapters.www: unknown type; known: acme"]


def test_all_mistakes_come_together() -> None:
    table = {"type": "acme", "zone": ["a"], "tries": "3", "wait_seconds": True, "zones": [1]}
    assert registry().check("storage", "www", table) == [
        "adapters.www: zone is not known; did you mean zones?",
        "adapters.www: url is missing",
        "adapters.www: tries must be a whole number",
        "adapters.www: wait_seconds must be a number",
        "adapters.www: zones must be a list, each item text",
    ]


def test_settings_own_words_are_told() -> None:
    table = {**GOOD, "url": "http://acme.example", "tires": 1}
    assert registry().check("storage", "www", table) == [
        "adapters.www: tires is not known; did you mean tries?",
        "adapters.www: url must start with https://",
        "adapters.www: url must be the vendor's",
    ]


def test_values_are_never_repeated() -> None:
    table = {"type": "acme", "url": 12345678, "s3cr3t value in a key": "hunter2", "token": "hunter2"}
    with pytest.raises(RegistryError) as caught:
        registry().build("storage", "www", table, {})
    assert not any(secret in str(caught.value) for secret in ("hunter2", "s3cr3t", "12345678"))


def test_two_distributions_are_refused() -> None:
    two = [Found(type_name="acme", target="a:P", distribution=name) for name in ("acme-one", "acme-two")]
    with pytest.raises(RegistryError, match="acme-one and acme-two; uninstall one"):
        Registry({"cache": two})


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("OLD", "contract version 2, this receiver has 1"),
        ("RENAMED", "calls itself 'other'"),
        ("GOOD", "is not a Plugin"),
        ("ABSENT", "is not a Plugin"),
    ],
)
def test_bad_plugin_is_refused(attribute: str, words: str) -> None:
    bad = registry(attribute)
    assert bad.kinds("storage") == []
    assert words in bad.broken("storage")[0]
    assert words in bad.check("storage", "www", GOOD)[0]


def test_settings_must_be_dataclass() -> None:
    assert "no dataclass" in registry("LOOSE").check("storage", "www", GOOD)[0]


def test_missing_library_names_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_needy.py").write_text("import library_that_is_not_there\n")
    info = tmp_path / "acme_needy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-needy\nVersion: 1.0\nProvides-Extra: needy\n")
    (info / "entry_points.txt").write_text("[takedown_receiver.adapters]\nneedy = acme_needy:PLUGIN\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    words = Registry.load().check("storage", "www", {"type": "needy"})
    assert len(words) == 1
    assert "the library 'library_that_is_not_there' is not installed; install acme-needy[needy]" in words[0]


def test_absent_code_is_said_so() -> None:
    gone = registry(target="acme_that_was_deleted.plugin:PLUGIN")
    assert "its code is not there" in gone.broken("storage")[0]


def test_failing_build_stays_in_family() -> None:
    with pytest.raises(AdapterError, match="failed with ZeroDivisionError"):
        registry("BROKEN").build("storage", "www", GOOD, {})
    with pytest.raises(Denied, match="check the credential"):
        registry("REFUSING").build("storage", "www", GOOD, {})


def test_wrong_kind_is_refused() -> None:
    with pytest.raises(RegistryError, match="built no StorageAdapter"):
        registry("WRONG").build("storage", "www", GOOD, {})
