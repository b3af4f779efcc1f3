"""Nothing grows past what one reads at once, no modules stand in a ring, and tests seldom patch what they test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.architecture.import_rules import module_name, module_rings

ROOT = Path(__file__).parents[2]
ROOMS = ("receiver", "adapters", "tests")
MOST_LINES = 300
MOST_FUNCTION_LINES = 40
MOST_MOCKS_PER_100_TESTS = 4
"""Of the functions that are written down: a test of a hundred cases is one."""
_LIST = "a list of cases of one kind, one line each: it is looked up, not read"
LONG_FILES: Mapping[str, str] = dict.fromkeys(
    ("tests/faults/fuzz/inside.py", "tests/vectors/cases_signature.py"), _LIST
)
"""File -> why it may be longer."""
LONG_FUNCTIONS: Mapping[str, str] = dict.fromkeys(
    (
        "tests/vectors/cases_body.py:_json",
        "tests/vectors/cases_form.py:_headers",
        "tests/vectors/cases_signature.py:_changed",
        "tests/vectors/cases_signature.py:_coverage",
        "tests/vectors/cases_signature.py:_crypto",
        "tests/vectors/cases_signature.py:_headers",
        "tests/vectors/cases_signature.py:_params",
        "tests/vectors/cases_valid.py:cases",
    ),
    _LIST,
)
"""`file:function` -> why it may be longer."""
_PATCHES = re.compile(
    r"\b(setattr|setitem|delattr|delitem)\(|\b(mock|mocker|Mock|MagicMock)\b|\bpatch\("
    # By hand: a method of ours, or a function of a module, is given another body.
    r"|type: ignore\[method-assign\]|^\s+(os|time|socket|threading|module|hooked|\w+_module)\.\w+ = "
)


def sources(root: Path) -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((root / room).rglob("*.py"))


def lines_of_functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def long_files(root: Path) -> set[str]:
    counted = ((path, len(path.read_bytes().splitlines())) for path in sources(root))
    return {str(path.relative_to(root)) for path, lines in counted if lines > MOST_LINES}


def long_functions(root: Path) -> set[str]:
    return {
        f"{path.relative_to(root)}:{name}"
        for path in sources(root)
        for name, lines in lines_of_functions(path)
        if lines > MOST_FUNCTION_LINES
    }


def test_files_stay_short() -> None:
    assert long_files(ROOT) - set(LONG_FILES) == set()


def test_functions_stay_short() -> None:
    assert long_functions(ROOT) - set(LONG_FUNCTIONS) == set()


def test_no_exception_outlives_its_reason() -> None:
    assert set(LONG_FILES) - long_files(ROOT) == set()
    assert set(LONG_FUNCTIONS) - long_functions(ROOT) == set()


def test_no_modules_stand_in_a_ring() -> None:
    modules = {module_name(ROOT, path): path for path in sources(ROOT)}
    assert module_rings(modules) == []


def patching_lines(root: Path) -> list[str]:
    """Lines that replace code by other code; fakes that keep a contract are none. What this file quotes is none."""
    return [
        f"{path.relative_to(root)}:{number}"
        for path in own_tests(root)
        if path.name != Path(__file__).name
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if _PATCHES.search(line)
    ]


def own_tests(root: Path) -> list[Path]:
    return [path for path in sources(root) if path.relative_to(root).parts[0] == "tests"]


def count_tests(root: Path) -> int:
    functions = (name for path in own_tests(root) for name, _ in lines_of_functions(path))
    return sum(name.startswith("test_") for name in functions)


def test_tests_seldom_patch() -> None:
    found = patching_lines(ROOT)
    assert 100 * len(found) / count_tests(ROOT) < MOST_MOCKS_PER_100_TESTS, found


# --- the check sees what is planted


def planted(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(("lines", "seen"), [(MOST_LINES, False), (MOST_LINES + 1, True)])
def test_long_file_is_seen(tmp_path: Path, lines: int, seen: bool) -> None:
    found = long_files(planted(tmp_path, {"tests/unit/a.py": "x = 1\n" * lines}))
    assert found == ({"tests/unit/a.py"} if seen else set())


@pytest.mark.parametrize(("lines", "seen"), [(MOST_FUNCTION_LINES - 1, False), (MOST_FUNCTION_LINES, True)])
def test_long_function_is_seen(tmp_path: Path, lines: int, seen: bool) -> None:
    text = "class A:\n    def b(self):\n" + "        x = 1\n" * lines
    found = long_functions(planted(tmp_path, {"receiver/a/b.py": text}))
    assert found == ({"receiver/a/b.py:b"} if seen else set())


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr(world.store, "_block", away)',
        'patch.setattr(os, "fsync", spy)',
        "from unittest import mock",
        'shorter = patch("receiver.net.peek.CONNECT_SECONDS", 1)',
        "world.origin = find  # type: ignore[method-assign]  # one reason",
        "os.stat = lie",
    ],
)
def test_patching_line_is_seen(tmp_path: Path, line: str) -> None:
    text = f"def test_a():\n    {line}\n\n\ndef test_b():\n    world.failures.clear()\n"
    root = planted(tmp_path, {"tests/unit/a.py": text, "receiver/a/b.py": "monkeypatch.setattr(a, b, c)\n"})
    assert (patching_lines(root), count_tests(root)) == (["tests/unit/a.py:2"], 2)


def test_ring_of_modules_is_seen(tmp_path: Path) -> None:
    files = {
        "adapters/s3/a.py": "from adapters.s3 import b\n",
        "adapters/s3/b.py": "from adapters.s3.c import x\n",
        "adapters/s3/c.py": "import adapters.s3.a\n",
        "adapters/s3/d.py": "import adapters.s3.a\n",
    }
    root = planted(tmp_path, files)
    modules = {module_name(root, path): path for path in sources(root)}
    assert module_rings(modules) == ["adapters.s3.a, adapters.s3.b, adapters.s3.c"]
