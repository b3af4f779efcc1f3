"""Settings file and environment in, one frozen `Config` out, or every mistake at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from adapters.registry import Registry
from receiver.config.checks import cross_problems, route_title
from receiver.config.errors import ConfigError, ConfigProblem
from receiver.config.models import Config, Issuer, Route
from receiver.config.sources import LISTS, TABLES, Tree, read_tree

_SHOWN = ("issuers", "routes")


def load_config(
    path: Path,
    environ: Mapping[str, str],
    *,
    registry: Registry | None = None,
    more: Mapping[str, Sequence[Tree]] | None = None,
) -> Config:
    """Read, join and judge the settings. Raises ConfigError, which lists all mistakes together.

    Key files are not opened: each process may read only its own. `file_problems` looks at them. `more` judges issuers
    and routes that are about to be written.
    """
    path = path.absolute()
    tree, problems = read_tree(path, environ)
    for section, entries in (more or {}).items():
        tree[section] = [*tree.get(section, []), *entries]
    if any(problem.id in ("C01", "C02") for problem in problems):
        raise ConfigError(problems)
    config, wrong = _validated(tree, path)
    problems += wrong
    problems += cross_problems(tree if config is None else _as_tree(config), registry or Registry.load())
    if config is None or problems:
        raise ConfigError(problems, rest=_rest(tree, problems, path))
    return config


def _rest(tree: Tree, problems: Sequence[ConfigProblem], path: Path) -> Config | None:
    """The tables without mistakes, and the others as if nothing were set; None where nothing can be made of it."""
    spoilt = {problem.setting.partition(".")[0] for problem in problems}
    known = {name: value for name, value in tree.items() if name in Config.model_fields and name not in spoilt}
    known |= {name: {} for name in Config.model_fields if name not in (*LISTS, *known, "source")}
    if "server" in spoilt or not known["server"]:
        known["server"] = {"public_origins": ["https://not-set.invalid"]}
    try:
        return Config.model_validate(known | {"source": path}, context={"base": path.parent})
    except ValidationError:
        return None


def _validated(tree: Tree, path: Path) -> tuple[Config | None, list[ConfigProblem]]:
    unknown = [_unknown((name,), name) for name in tree if name == "source"]
    whole: Tree = {name: {} for name in Config.model_fields if name not in (*LISTS, "source")}
    whole |= {name: value for name, value in tree.items() if name != "source"}
    try:
        config = Config.model_validate(whole | {"source": path}, context={"base": path.parent})
    except ValidationError as error:
        return None, unknown + [_problem(detail, tree) for detail in _distinct(error.errors(include_url=False))]
    return (None if unknown else config), unknown


def _distinct(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without "too short" for lists whose own members are wrong: those were left out when they were counted."""
    deeper = {detail["loc"][:-1] for detail in details}
    return [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in deeper]


def _as_tree(config: Config) -> Tree:
    return config.model_dump(mode="python")


def _problem(detail: ErrorDetails, tree: Tree) -> ConfigProblem:
    place = detail["loc"]
    setting, about = _setting(place, tree), _documented(place)
    if detail["type"] == "extra_forbidden":
        return _unknown(place, setting)
    if detail["type"] == "missing":
        hint = "Add it as config.example.toml does"
        return ConfigProblem(id="C11", setting=setting, message="is missing", hint=hint, about=about)
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return ConfigProblem(id="C12", setting=setting, message=message, hint="Change the value", about=about)


def _unknown(place: Sequence[int | str], setting: str) -> ConfigProblem:
    near = difflib.get_close_matches(str(place[-1]), list(_known(place)), n=1)
    hint = f"Did you mean {near[0]}?" if near else "Take it out; config.example.toml shows every setting"
    about = _documented([*place[:-1], *near])
    return ConfigProblem(id="C10", setting=setting, message="is not a setting", hint=hint, about=about)


def _documented(place: Sequence[int | str]) -> str:
    """The name under which the documents speak of it: without places in lists, no deeper than one member."""
    if place and place[0] in TABLES:
        # Their members are the plug-in's, and its README speaks of them.
        return str(place[0])
    return ".".join([str(word) for word in place if not isinstance(word, int)][:2])


def _known(place: Sequence[int | str]) -> Iterator[str]:
    """The members that the table at this place may have."""
    if len(place) == 1:
        yield from (name for name in Config.model_fields if name != "source")
        return
    section = str(place[0])
    model: Any = {"issuers": Issuer, "routes": Route}.get(section) or Config.model_fields[section].annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        yield from model.model_fields


def _setting(place: Sequence[int | str], tree: Tree) -> str:
    """`issuers.iwf.name` rather than `issuers.0.name`: people know their issuers, not their order."""
    words = [str(word) for word in place]
    if len(place) > 1 and place[0] in _SHOWN and isinstance(place[1], int):
        words[1] = title_of(str(place[0]), place[1], tree)
    return ".".join(words)


def title_of(section: str, index: int, tree: Mapping[str, Any]) -> str:
    found = tree.get(section)
    entry = found[index] if isinstance(found, (list, tuple)) and index < len(found) else None
    if isinstance(entry, Mapping):
        names = [entry.get("id")] if section == "issuers" else [entry.get("host"), entry.get("path", "/")]
        if all(isinstance(name, str) for name in names):
            return str(names[0]) if section == "issuers" else route_title(str(names[0]), str(names[1]))
    return str(index)


__all__ = ["LISTS", "TABLES", "load_config"]
