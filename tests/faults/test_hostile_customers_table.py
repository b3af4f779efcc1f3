"""`docs/threat-model.md` lists what a customer may try; the list and the tests are the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## What a customer may try\n")[2].partition("\n## ")[0]
ROWS = [line for line in SECTION.splitlines() if line.startswith("| ") and not line.startswith("| trick")]
NAMED = set(re.findall(r"`(test_\w+)`", SECTION))
OURS = [
    *(ROOT / "tests" / "faults").glob("test_hostile_customers_*.py"),
    *(ROOT / "tests" / "conformance").glob("test_s3_c[hu]*.py"),
]
NOT_TRICKS = {"test_flags_work_on_this_disk"}


def names_in(paths: Iterator[Path] | list[Path]) -> set[str]:
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths if path != Path(__file__))
    return set(re.findall(r"^def (test_\w+)\(", text, re.MULTILINE))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_every_trick_names_its_test(row: str) -> None:
    assert re.search(r"`test_\w+`", row.rsplit("|", 2)[1])


def test_every_named_test_exists() -> None:
    assert NAMED - names_in((ROOT / "tests").rglob("test_*.py")) == set()


def test_every_trick_test_is_told() -> None:
    assert len(NAMED) > 70
    assert names_in(OURS) - NAMED - NOT_TRICKS == set()
