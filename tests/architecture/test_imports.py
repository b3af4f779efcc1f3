"""The tree keeps the import tables; planted breaches show that the check would see one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.architecture.import_rules import EVERYTHING, MAY_IMPORT, Tables, breaches, module_name, room_of, sources

ROOT = Path(__file__).parents[2]


def test_rooms_import_as_agreed() -> None:
    assert breaches(ROOT) == []


def test_every_room_has_its_line() -> None:
    names = {module_name(ROOT, path) for path in sources(ROOT)}
    known = {room_of(name) for name in names if name.startswith("receiver.")}
    assert known <= set(MAY_IMPORT)


CLEAN = {
    "adapters/__init__.py": '"""Nothing."""\n',
    "adapters/contract.py": '"""Leaf."""\n',
    "adapters/registry.py": "import adapters.contract\n",
    "adapters/varnish/adapter.py": "from adapters.varnish.settings import X\nfrom adapters import contract\n",
    "adapters/varnish/settings.py": "X = 1\n",
    "receiver/__init__.py": "",
    "receiver/wiring.py": "from receiver import store\nfrom adapters import registry\n",
    "receiver/store/__init__.py": "import sqlalchemy\n",
    "receiver/domain/values.py": "from adapters.contract import Ref\n",
    "receiver/domain/__init__.py": "from .values import Ref\n",
    "receiver/api/views.py": "import flask\nfrom receiver.domain import values\n",
    "receiver/cli.py": "from receiver import wiring\n",
}

PLANTS = {
    "a view takes wiring": ("receiver/api/a.py", "from receiver import wiring", "may not import receiver.wiring"),
    "a view takes it as a name": ("receiver/api/a.py", "import receiver.wiring as w", "may not import receiver.wiring"),
    "a relative import": ("receiver/api/a.py", "from ..store import x", "may not import receiver.store"),
    "a relative import of a room": ("receiver/api/a.py", "from .. import store", "may not import receiver.store"),
    "a stage takes the registry": (
        "receiver/intake/a.py", "from adapters import registry", "may not import adapters.registry"),
    "a stage takes a stage": (
        "receiver/intake/a.py", "import receiver.report", "may not import receiver.report"),
    "a stage takes a tool": ("receiver/quarantine/a.py", "import receiver.vault", "may not import receiver.vault"),
    "an adapter takes the receiver": (
        "adapters/varnish/a.py", "from receiver.domain import values", "may not import receiver.domain"),
    "an adapter takes an adapter": (
        "adapters/varnish/a.py", "import adapters.memory", "may not import adapters.memory"),
    "only for type checking": (
        "receiver/api/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import receiver.store",
        "may not import receiver.store"),
    "inside a function": (
        "receiver/store/a.py", "def f():\n    import json", "imports json inside a function"),
    "Flask in a stage": ("receiver/report/a.py", "import flask", "may not import the library flask"),
    "pytest in an adapter": ("adapters/memory/a.py", "import pytest", "may not import the library pytest"),
    "requests in an adapter": (
        "adapters/varnish/a.py", "from requests import get", "may not import the library requests"),
    "SQL in the pipeline": ("receiver/pipeline.py", "import sqlalchemy.orm", "may not import the library sqlalchemy"),
    "an unknown library": ("receiver/net/a.py", "import httpx", "has no line in LIBRARIES"),
    "a library in the contract": ("adapters/values.py", "import pydantic", "standard library only"),
    "a library in the agent": ("adapters/agent/a.py", "import requests", "standard library only"),
    "new syntax in the agent": (
        "adapters/agent/a.py", "from __future__ import annotations\nmatch 1:\n    case 1: pass", "is no Python 3.9"),
    "new arguments in the agent": (
        "adapters/agent/a.py",
        "from __future__ import annotations\nimport dataclasses as d\n@d.dataclass(kw_only=True)\nclass A: x: int",
        "dataclass(kw_only=) is no Python 3.9"),
    "evaluated annotations in the agent": (
        "adapters/agent/a.py", "import os\ndef f(x: int | None): ...", "lacks `from __future__"),
    "a new module in the agent": (
        "adapters/agent/a.py", "from __future__ import annotations\nimport tomllib", "Python 3.9 lacks"),
    "no Python at all": ("receiver/net/a.py", "def f(", "does not parse"),
    "a room without a line": ("receiver/attic/a.py", "import receiver.domain", "may not import receiver.domain"),
    "a ring of rooms": (
        "receiver/domain/b.py", "import receiver.processes.a", "may not import receiver.processes"),
}  # fmt: skip


def plant(root: Path, files: Mapping[str, str]) -> Path:
    for name, source in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source + "\n")
    return root


def test_clean_tree_has_no_breach(tmp_path: Path) -> None:
    assert breaches(plant(tmp_path, CLEAN)) == []


@pytest.mark.parametrize(("name", "source", "word"), PLANTS.values(), ids=list(PLANTS))
def test_planted_breach_is_found(tmp_path: Path, name: str, source: str, word: str) -> None:
    found = breaches(plant(tmp_path, {**CLEAN, name: source}))
    assert any(word in line for line in found)
    assert all(line.startswith(module_name(tmp_path, tmp_path / name)) for line in found)


def test_ring_of_rooms_is_found(tmp_path: Path) -> None:
    free = dict.fromkeys(MAY_IMPORT, EVERYTHING)
    files = {"receiver/api/a.py": "import receiver.admin.b", "receiver/admin/b.py": "import receiver.services.c",
             "receiver/services/c.py": "import receiver.api.a"}  # fmt: skip
    found = breaches(plant(tmp_path, files), Tables(may_import=free))
    assert found == ["cycle between receiver.admin, receiver.api, receiver.services"]


def test_function_import_may_be_excused(tmp_path: Path) -> None:
    plant(tmp_path, {"receiver/store/a.py": "def f():\n    import json"})
    excused = {"receiver.store.a imports json": "for this test"}
    assert breaches(tmp_path, Tables(inside_functions=excused)) == []
