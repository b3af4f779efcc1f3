"""config.example.toml and docs/settings.md say what the code says, both ways."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from adapters.registry import Registry
from receiver.config import ConfigProblem, load_config
from receiver.config.reference import LISTS, TABLES, document, example, sections, settings
from receiver.keyfiles import init_folder

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
_LINE = re.compile(r"^(?P<off># )?(?P<key>[a-z_]+) = (?P<value>.+)$")
_HEAD = re.compile(r"^\[\[?(?P<name>[a-z_.]+)\]\]?$")


def shown_in(text: str) -> dict[str, bool]:
    """`server.public_bind` to whether the line sets it; of the free tables nothing."""
    section, found = "", {}
    for line in text.splitlines():
        if head := _HEAD.match(line):
            section = head["name"].partition(".")[0]
        elif (member := _LINE.match(line)) and section not in TABLES:
            found[f"{section}.{member['key']}"] = not member["off"]
    return found


def test_example_is_as_written_from_the_code() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example(), "type: make docs"


def test_documents_are_as_written_from_the_code() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == document(), "type: make docs"


def test_example_shows_every_setting_and_no_other() -> None:
    assert set(shown_in(EXAMPLE.read_text(encoding="utf-8"))) == {setting.name for setting in settings()}


def test_example_is_valid_as_it_stands() -> None:
    config = load_config(EXAMPLE, {})
    assert config.routes[0].storage in config.adapters
    assert config.issuers[0].callback_url


def test_example_shows_true_defaults() -> None:
    read = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    for setting in settings():
        section, key = setting.name.split(".")
        if section in LISTS or setting.required or setting.default is None or not setting.is_set:
            continue
        assert read[section][key] == setting.default, setting.name


def test_lines_behind_a_hash_are_valid_too() -> None:
    tables = Registry.load()
    text = re.sub(r"(?m)^# ([a-z_]+ = )", r"\1", EXAMPLE.read_text(encoding="utf-8"))
    assert set(shown_in(text)) == {setting.name for setting in settings()}
    read = tomllib.loads(text)
    read["issuers"][0].pop("keys_url")
    assert all(tables.check("storage", name, table) == [] for name, table in read["adapters"].items())


def test_every_setting_says_what_it_is_for() -> None:
    for setting in settings():
        assert setting.description.endswith("."), setting.name
    for name, description, _ in sections():
        assert description.endswith("."), name


def test_every_setting_is_read_somewhere() -> None:
    """A setting that changes nothing is a lie."""
    outside = [path for path in (ROOT / "receiver").rglob("*.py") if path.parent.name != "config"]
    translated = [ROOT / "receiver" / "config" / name for name in ("to_policy.py", "models.py", "sections.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*outside, *translated])
    unread = {setting.name for setting in settings() if not re.search(rf"\.{setting.key}\b", text)}
    assert unread == set()


def test_every_setting_has_its_anchor() -> None:
    anchors = {
        re.sub(r"[^a-z0-9_-]", "", line.lstrip("#").strip().lower())
        for line in document().splitlines()
        if line.startswith("#")
    }
    names = [setting.name for setting in settings()] + [name for name, _, _ in sections()]
    for name in names:
        problem = ConfigProblem(id="C12", setting="shown.to.people", message="", hint="", about=name)
        assert problem.anchor.partition("#")[2] in anchors, name


@pytest.mark.parametrize("name", ["config.toml"])
def test_made_settings_are_valid(tmp_path: Path, name: str) -> None:
    made = init_folder(tmp_path / "r", origin="https://notices.host.example")
    assert load_config(made.folder / name, {}).server.public_origins == ("https://notices.host.example",)
