"""Names that people filter and search by: every log event and every page stands in the documents, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.domain.status import Track

ROOT = Path(__file__).parents[2]
LOGS = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
LOGGERS = {"log", "_log", "_LOG"}
LIBRARIES = {"library.said", "agent.said"}
"""Given by the filter in receiver/logs.py to what others say."""
BY_TRACK = {"waiting", "stuck"}
"""Ends of the pages that are named after a track."""
NEVER = "deliver.waiting"
"""Letters have hours of their own, and a person is called when they are over."""


def calls() -> Iterator[ast.Call]:
    for path in (ROOT / "receiver").rglob("*.py"):
        yield from (node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call))


def words(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def logged() -> set[str]:
    found = {"settings.refused", "reload.refused"}  # handed to one function by the agent's process
    for call in calls():
        name = call.func
        if isinstance(name, ast.Attribute) and name.attr in LEVELS and ast.unparse(name.value) in LOGGERS:
            event = words(call.args[0])
            if event is not None:
                found.add(event)
    return found


def paged() -> set[str]:
    found = {f"{track.value}.{end}" for track in Track for end in BY_TRACK} - {NEVER}
    constants: dict[str, str] = {}
    for path in (ROOT / "receiver").rglob("*.py"):
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and words(node.value):
                constants[node.targets[0].id] = str(words(node.value))
    for call in calls():
        if isinstance(call.func, ast.Name) and call.func.id in {"Page", "Alarm"}:
            kind = next(keyword.value for keyword in call.keywords if keyword.arg == "kind")
            if isinstance(kind, ast.Name) and kind.id in constants:
                found.add(constants[kind.id])
            elif text := words(kind):
                found.add(text)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "_call" and words(call.args[0]):
            found.add(str(words(call.args[0])))
    return found


def rows(document: str, pattern: str) -> list[str]:
    return re.findall(pattern, document, re.MULTILINE)


def test_every_event_is_a_name() -> None:
    assert [event for event in logged() if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", event)] == []


def test_every_event_has_one_row() -> None:
    found = rows(LOGS, r"^\| `([a-z_.]+)` \|")
    assert sorted(found) == sorted(logged() | LIBRARIES)


def test_every_page_has_one_row() -> None:
    found = rows(OPERATING, r"^\| the page `([a-z_.]+)`")
    found += [track for row in rows(OPERATING, r"^\| the pages (.+?) \|") for track in re.findall(r"`([a-z_.]+)`", row)]
    assert sorted(found) == sorted(paged())


@pytest.mark.parametrize("kind", sorted(paged()))
def test_every_page_is_brought_about_somewhere(kind: str) -> None:
    others = (path for path in (ROOT / "tests").rglob("test_*.py") if path.name != Path(__file__).name)
    texts = (path.read_text(encoding="utf-8") for path in others)
    assert any(f'"{kind}"' in text or f'"{kind.partition(".")[2]}"' in text for text in texts)
