"""What the models cannot see one by one: names that must exist, things that must not meet. No file is opened."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from adapters.registry import Group, Registry, RegistryError
from receiver.config.errors import ConfigProblem
from receiver.config.mounts import network_filesystem

GROUPS: Final[Mapping[str, Group]] = {"adapters": "storage", "gates": "gate", "caches": "cache"}
Tree = Mapping[str, Any]


def cross_problems(tree: Tree, registry: Registry) -> list[ConfigProblem]:
    """Also useful on a tree whose models failed, so that people mend everything in one go."""
    return [
        *_plugin_tables(tree, registry),
        *_duplicates(tree),
        *_issuer_choices(tree),
        *_route_names(tree),
        *_quarantine_places(tree),
        *_database_place(tree),
    ]


def _plugin_tables(tree: Tree, registry: Registry) -> Iterator[ConfigProblem]:
    for section, group in GROUPS.items():
        for name, table in _tables(tree, section):
            try:
                mistakes = registry.check(group, name, table)
            except RegistryError as error:
                mistakes = [str(error)]
            for mistake in mistakes:
                message = mistake.removeprefix(f"{section}.{name}: ")
                hint = "The README in the adapter's folder lists its members"
                yield ConfigProblem(id="C20", setting=f"{section}.{name}", message=message, hint=hint, about=section)


def _duplicates(tree: Tree) -> Iterator[ConfigProblem]:
    ids = Counter(issuer["id"] for issuer in _entries(tree, "issuers") if isinstance(issuer.get("id"), str))
    for issuer_id in (found for found, count in ids.items() if count > 1):
        yield _twice(f"issuers.{issuer_id}", "this issuer stands twice", "issuers.id")
    places: Counter[tuple[str, str]] = Counter()
    for route in _entries(tree, "routes"):
        hosts = [route.get("host"), *(route.get("aliases") or ())]
        places.update((host, str(route.get("path", "/"))) for host in hosts if isinstance(host, str))
    for host, path in (found for found, count in places.items() if count > 1):
        yield _twice(f"routes.{route_title(host, path)}", "two routes stand for the same host and path", "routes.host")


def route_title(host: str, path: str) -> str:
    """What messages call a route; a path that lacks its slash must not read as part of the name."""
    return f"{host}{path}" if path.startswith("/") else f"{host} {path}"


def _twice(setting: str, message: str, about: str) -> ConfigProblem:
    hint = "Take one out; look into conf.d too"
    return ConfigProblem(id="C21", setting=setting, message=message, hint=hint, about=about)


def _issuer_choices(tree: Tree) -> Iterator[ConfigProblem]:
    for issuer in _entries(tree, "issuers"):
        setting = f"issuers.{issuer.get('id', '?')}"
        if (issuer.get("keys_file") is None) == (issuer.get("keys_url") is None):
            message, hint = "needs keys_file or keys_url, and not both", "Name the issuer's keys in one way"
            yield ConfigProblem(id="C25", setting=setting, message=message, hint=hint, about="issuers.keys_file")
        url = issuer.get("callback_url")
        if isinstance(url, str) and not url.startswith("https://") and issuer.get("allow_private_callback") is not True:
            message = "must be an https address"
            hint = "Plain http needs allow_private_callback = true, which is for your own network and for tests"
            about = "issuers.callback_url"
            yield ConfigProblem(id="C26", setting=f"{setting}.callback_url", message=message, hint=hint, about=about)


def _route_names(tree: Tree) -> Iterator[ConfigProblem]:
    known = {section: {name for name, _ in _tables(tree, section)} for section in GROUPS}
    for route in _entries(tree, "routes"):
        title = route_title(str(route.get("host")), str(route.get("path", "/")))
        if route.get("storage") is None and not route.get("gates"):
            yield ConfigProblem(
                id="C27",
                setting=f"routes.{title}",
                message="has neither storage nor gates, so nothing could be done about a notice",
                hint="Name a store under storage, or a gate under gates",
                about="routes.storage",
            )
        storage = [route["storage"]] if isinstance(route.get("storage"), str) else []
        wanted = (("storage", "adapters", storage), ("gates", "gates", route.get("gates") or ()))
        for member, section, names in (*wanted, ("caches", "caches", route.get("caches") or ())):
            others = f", or name one of: {', '.join(sorted(known[section]))}" if known[section] else ""
            for name in (name for name in names if name not in known[section]):
                yield ConfigProblem(
                    id="C22",
                    setting=f"routes.{title}.{member}",
                    message=f"names {name}, which stands nowhere under [{section}]",
                    hint=f"Add [{section}.{name}]{others}",
                    about=f"routes.{member}",
                )


def _quarantine_places(tree: Tree) -> Iterator[ConfigProblem]:
    """A web server that serves the root would serve a quarantine under it."""
    stores = list(_tables(tree, "adapters"))
    roots = [(name, table["root"]) for name, table in stores if isinstance(table.get("root"), str)]
    for name, table in stores:
        place = table.get("quarantine_dir")
        for other, root in roots if isinstance(place, str) else ():
            if _is_under(str(place), root):
                yield ConfigProblem(
                    id="C23",
                    setting=f"adapters.{name}.quarantine_dir",
                    message=f"lies under the root of {other}, where a web server could serve it",
                    hint="Choose a folder beside the root, on the same filesystem and mount",
                    about="adapters",
                )


def _is_under(place: str, root: str) -> bool:
    inner, outer = os.path.realpath(place), os.path.realpath(root)
    return os.path.commonpath([inner, outer]) == outer


def _database_place(tree: Tree) -> Iterator[ConfigProblem]:
    url = (tree.get("database") or {}).get("url") if isinstance(tree.get("database") or {}, Mapping) else None
    if isinstance(url, str) and url.startswith("sqlite:////"):
        kind = network_filesystem(Path(url.removeprefix("sqlite:///")))
        if kind:
            yield ConfigProblem(
                id="C24",
                setting="database.url",
                message=f"the file lies on a network filesystem ({kind}), whose locks lose data",
                hint="Put it on a local disk, or use PostgreSQL",
            )


def _tables(tree: Tree, section: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = tree.get(section)
    if isinstance(found, Mapping):
        yield from ((name, table) for name, table in found.items() if isinstance(table, Mapping))


def _entries(tree: Tree, section: str) -> Iterator[Mapping[str, Any]]:
    found = tree.get(section)
    if isinstance(found, (list, tuple)):
        yield from (entry for entry in found if isinstance(entry, Mapping))
