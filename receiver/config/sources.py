"""Reads the settings' files and the environment into one tree of plain values. Judges nothing but their form."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from receiver.config.errors import ConfigProblem

PREFIX = "TAKEDOWN_"
PATH_VARIABLE = "TAKEDOWN_CONFIG"
"""Names the settings file itself; every other `TAKEDOWN_…` variable is a setting."""
LISTS = ("issuers", "routes")
TABLES = ("adapters", "gates", "caches")
MAX_FILE_BYTES = 64 * 1024 * 1024

Tree = dict[str, Any]


def read_tree(path: Path, environ: Mapping[str, str]) -> tuple[Tree, list[ConfigProblem]]:
    """`config.toml`, then `conf.d/*.toml` in order of name, then the environment, which wins."""
    problems: list[ConfigProblem] = []
    tree = _read(path, problems)
    for part in _parts(path.parent / "conf.d", problems):
        _join(tree, _read(part, problems), part.name, problems)
    for name in sorted(environ):
        if name.startswith(PREFIX) and name != PATH_VARIABLE:
            _set(tree, name, environ[name], problems)
    return tree, problems


def _parts(folder: Path, problems: list[ConfigProblem]) -> list[Path]:
    """Its files in order of name. One we may not list is a mistake: its issuers and routes must not just vanish."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(_unread("folder", folder, error))
        return []
    return [folder / name for name in sorted(names) if name.endswith(".toml")]


def _read(path: Path, problems: list[ConfigProblem]) -> Tree:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            problems.append(_not_toml(path, "the file is too large for settings"))
            return {}
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(_unread("file", path, error))
    except UnicodeDecodeError:
        problems.append(_not_toml(path, "the file is not UTF-8"))
    except tomllib.TOMLDecodeError as error:
        problems.append(_not_toml(path, f"the file is not TOML: {error}"))
    return {}


def _unread(what: str, path: Path, error: OSError) -> ConfigProblem:
    """Named in full: most often it is the wrong folder that a command was typed in."""
    hint = f"Check the owner and the mode of the {what}, and type it as the user that the processes run as"
    if isinstance(error, FileNotFoundError):
        hint = (
            "Type it in the folder of your settings, or name them: --config FILE. New ones: takedown-receiver init DIR"
        )
    message = f"{path}: the {what} cannot be read ({error.strerror or type(error).__name__})"
    return ConfigProblem(id="C01", setting="", message=message, hint=hint)


def _not_toml(path: Path, message: str) -> ConfigProblem:
    hint = "Mend the file; config.example.toml shows every setting"
    return ConfigProblem(id="C02", setting="", message=f"{path.name}: {message}", hint=hint)


def _join(tree: Tree, part: Tree, file_name: str, problems: list[ConfigProblem]) -> None:
    """A file of `conf.d` may add issuers, routes, stores, gates and caches, and change nothing that stands."""
    for section, value in part.items():
        if section in LISTS and isinstance(value, list):
            tree[section] = [*_listed(tree, section), *value]
        elif section in TABLES and isinstance(value, dict):
            mine = tree.setdefault(section, {})
            for name, table in value.items():
                if name in mine:
                    problems.append(_conf_d(section, f"conf.d/{file_name} names {name} a second time"))
                mine[name] = table
        else:
            problems.append(_conf_d(section, f"conf.d/{file_name} may hold issuers, routes, adapters, gates, caches"))


def _conf_d(section: str, message: str) -> ConfigProblem:
    return ConfigProblem(id="C03", setting=section, message=message, hint="Move it to config.toml, or take it out")


def _listed(tree: Tree, section: str) -> list[Any]:
    found = tree.get(section, [])
    return found if isinstance(found, list) else []


def _set(tree: Tree, variable: str, text: str, problems: list[ConfigProblem]) -> None:
    """`TAKEDOWN_POLICY__TWO_PEOPLE=false`; in a list the place counts from 0 (`TAKEDOWN_ISSUERS__0__NAME`)."""
    steps = variable.removeprefix(PREFIX).lower().split("__")
    here: Any = tree
    for step, after in zip(steps, [*steps[1:], ""], strict=True):
        last = after == ""
        if isinstance(here, list) and step.isdigit() and int(step) <= len(here):
            if int(step) == len(here):
                here.append({})
            if last:
                here[int(step)] = _value(text)
            here = here[int(step)]
        elif isinstance(here, dict) and step:
            if last:
                here[step] = _value(text)
            here = here.setdefault(step, [] if after.isdigit() else {})
        else:
            message = f"the variable {variable} names nothing that can be set"
            hint = "Write TAKEDOWN_SECTION__KEY, in a list TAKEDOWN_SECTION__0__KEY"
            problems.append(ConfigProblem(id="C04", setting="", message=message, hint=hint))
            return


def _value(text: str) -> Any:
    """As TOML where it is TOML (`false`, `30`, `["a"]`), else as plain text."""
    try:
        tree = tomllib.loads(f"value = {text}\n")
    except tomllib.TOMLDecodeError:
        return text
    return tree["value"] if len(tree) == 1 else text
