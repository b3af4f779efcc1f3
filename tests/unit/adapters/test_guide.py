"""What docs/writing-an-adapter.md tells a stranger to write really works, file by file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs/writing-an-adapter.md"
BLOCK = re.compile(
    r"^```(?:python|toml)\n# (?P<name>[a-z_]+\.(?:py|toml))\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The guide's files, with what an installer would write beside them."""
    for block in BLOCK.finditer(GUIDE.read_text()):
        (tmp_path / block["name"]).write_text(block["text"])
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    info = tmp_path / "shelf_takedown-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
            for group, points in project["entry-points"].items()
        )
    )
    return tmp_path


def run(package: Path, *words: str) -> str:
    env = os.environ | {"PYTHONPATH": f"{package}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=package, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_example_passes_the_kit(package: Path) -> None:
    said = run(package, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_shelf.py")
    assert re.search(r"^5\d passed, \d+ skipped", said, re.MULTILINE)


def test_example_is_found_and_checked(package: Path) -> None:
    command = re.search(r'^python -c "(.*kinds.*)"$', GUIDE.read_text(), re.MULTILINE)
    assert command is not None
    assert "('shelf', 'shelf-takedown', 1)" in run(package, "-c", command[1])
    table = tomllib.loads((package / "config.toml").read_text())["adapters"]["pictures"]
    check = "from adapters.registry import Registry; print(Registry.load().check('storage', 'pictures', {table!r}))"
    assert run(package, "-c", check.format(table=table)) == "[]\n"
    assert "path must begin with /" in run(package, "-c", check.format(table=table | {"path": "x"}))


def test_guide_names_every_class() -> None:
    """A class of the kit that nobody hears of is inherited by nobody."""
    kit = ROOT / "adapters/conformance"
    names = {
        found
        for module in kit.glob("*.py")
        for found in re.findall(r"^class (\w+(?:Cases|Conformance|Environment))\b", module.read_text(), re.MULTILINE)
    }
    assert len(names) >= 10
    assert not {name for name in names if name not in GUIDE.read_text()}
