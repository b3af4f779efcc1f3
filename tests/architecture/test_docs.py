"""What the documents say is there, is there."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from pathlib import Path

import click
import pytest

from receiver.cli import main
from receiver.cli.exits import Exit
from receiver.cli.root import COMMANDS
from receiver.intake.direction import parse_direction
from receiver.intake.limits import DEFAULT_LIMITS
from receiver.intake.notice import parse_notice
from tests.doubles.documents import PAGES, blocks

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]+)?(?:#([^)\s]+))?\)")
_NAME = re.compile(r"`(receiver(?:\.\w+)+)`")
CYCLE = (ROOT / "docs" / "notice-cycle.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")


def found(dotted: str) -> object:
    """The function, class or method of that name."""
    words = dotted.split(".")
    for cut in range(len(words), 0, -1):
        try:
            here: object = importlib.import_module(".".join(words[:cut]))
        except ModuleNotFoundError:
            continue
        for word in words[cut:]:
            here = getattr(here, word)
        return here
    raise AssertionError(dotted)


@pytest.mark.parametrize("name", sorted(set(_NAME.findall(CYCLE))))
def test_notice_cycle_names_real_functions(name: str) -> None:
    assert callable(found(name))


def test_notice_cycle_numbers_its_steps() -> None:
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", CYCLE, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    rows = [line for line in CYCLE.splitlines() if re.match(r"^\| \d+ \|", line)]
    assert all(_NAME.search(row) for row in rows)


def test_pipeline_speaks_of_the_same_steps() -> None:
    text = (ROOT / "receiver" / "pipeline.py").read_text(encoding="utf-8")
    told = [int(number) for number in re.findall(r"(?:#|→) (\d+) ", text)]
    steps = re.findall(r"^\| (\d+) \|", CYCLE, re.MULTILINE)
    assert told == list(range(3, len(steps) + 1)), "pipeline.py and docs/notice-cycle.md number the same steps"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        led_to = page.parent / target if target else page
        assert led_to.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(led_to), f"{page.name}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """What headings can be linked by, as the usual places that show Markdown make it of them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def linked_pages(page: Path) -> set[Path]:
    targets = [target for target, _ in _LINK.findall(page.read_text(encoding="utf-8")) if target.endswith(".md")]
    return {(page.parent / target).resolve() for target in targets if "://" not in target}


def test_every_page_is_linked_from_another() -> None:
    linked = set().union(*(linked_pages(page) - {page} for page in PAGES))
    apart = {ROOT / "README.md", *(ROOT / "docs" / "adr").glob("*.md")}
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in linked | apart] == []


def commands() -> list[str]:
    names = []
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        below = list(command.commands) if isinstance(command, click.Group) else []
        names += [f"{name} {word}" for word in below] or [name]
    return names


@pytest.mark.parametrize("command", commands())
def test_every_command_is_documented(command: str) -> None:
    first, _, below = command.partition(" ")
    row = next((line for line in OPERATING.splitlines() if re.match(rf"^\| `{first}[ `]", line)), None)
    assert row is not None, f"docs/operating.md has no row for {first}"
    assert not below or re.search(rf"`(?:{first} )?{below}`", row), f"{command} is not in its row"


def test_every_exit_code_is_documented() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d) \| ", OPERATING, re.MULTILINE)}
    assert told == {code.value for code in Exit}


def test_glossary_is_in_order() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\* ", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert len(words) > 40
    assert words == sorted(set(words))


def test_messages_for_issuers_are_in_form() -> None:
    shown = [json.loads(block.text) for block in blocks(ROOT / "docs" / "issuers.md") if block.language == "json"]
    parsers = {"takedown-direction/1": parse_direction}
    for message in shown:
        parsers.get(message.get("schema"), parse_notice)(json.dumps(message).encode(), DEFAULT_LIMITS)
    assert len(shown) == 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_shown_tables_are_toml(page: Path) -> None:
    for block in blocks(page):
        if block.language == "toml":
            tomllib.loads(block.text)


def test_readme_shows_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in readme
    assert "make test" in readme


def test_readme_names_every_room() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = [path.name for path in (ROOT / "receiver").iterdir() if (path / "__init__.py").exists()]
    assert [room for room in rooms if not re.search(rf"`(receiver/)?{room}`", readme)] == []


def test_decisions_are_numbered_and_whole() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(record.name[:4])}. ")
        assert all(f"**{word}" in text for word in ("Context", "Choice", "What it costs")), record.name


def test_lock_files_hold_hashes_and_no_host() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        assert "index" not in text
        pinned = re.findall(r"^[a-z0-9._-]+==", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^[a-z0-9._-]+==\S+ \\\n    --hash=sha256:", text, re.MULTILINE))


def test_promises_name_tests_that_exist() -> None:
    named = re.findall(r"`((?:tests|adapters)/[a-z0-9_/.]+\.py)`", (ROOT / "docs" / "reliability.md").read_text())
    assert len(named) > 15
    assert [path for path in named if not (ROOT / path).exists()] == []
