"""Writes what the code knows of its settings: `docs/settings.md` and `config.example.toml`. A test compares both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from receiver.config.at_start import AT_START
from receiver.config.base import Section
from receiver.config.models import Config, Issuer, Route

_AT_START = frozenset(name for names in AT_START.values() for name in names)
LISTS: Mapping[str, type[Section]] = {"issuers": Issuer, "routes": Route}
TABLES = ("adapters", "gates", "caches")
EXAMPLES: Mapping[str, Any] = {
    "server.public_origins": ["https://notices.host.example"],
    "server.tls_cert_file": "tls/fullchain.pem",
    "server.tls_key_file": "tls/key.pem",
    "server.country": "GB",
    "server.admin_origin": "https://takedown-admin.host.example",
    "database.password_file": "keys/database.password",
    "vault.second_headers_path": "/srv/headers",
    "ledger.copy_to": ["/mnt/elsewhere/checkpoints"],
    "policy.protected": ["https://www.host.example/"],
    "worker.node": "files-1",
    "issuers.id": "iwf",
    "issuers.name": "Internet Watch Foundation",
    "issuers.keys_file": "issuers/iwf.jwks.json",
    "issuers.keys_url": "https://hotline.example/.well-known/jwks.json",
    "issuers.categories": {"csam": "act", "npi": "review"},
    "issuers.callback_url": "https://hotline.example/callbacks",
    "issuers.callback_ca_file": "issuers/iwf.ca.pem",
    "issuers.max_acts_per_hour": 500,
    "issuers.max_customers_per_hour": 50,
    "routes.host": "img.example.net",
    "routes.customer": "acme",
    "routes.storage": "www",
    "routes.key": "acme/public{path}",
    "routes.caches": ["edge"],
    "routes.gates": ["nginx"],
    "routes.look_at": ["192.0.2.7:443"],
    "routes.aliases": ["images.example.net"],
}
"""Values shown where a setting has no default or an empty one."""
SET_IN_EXAMPLE = frozenset(
    {"issuers.name", "issuers.keys_file", "issuers.callback_url"}
    | {"routes.storage", "routes.key", "routes.caches", "routes.gates"}
)
"""Optional ones that the example sets all the same, so that it shows a whole chain."""
TABLE_EXAMPLES: Mapping[str, str] = {
    "adapters": """\
[adapters.www]
type = "filesystem"
# For explain and check; what counts stands in the agent's own settings.
root = "/srv/www"
# Same filesystem and mount as root, under no docroot.
quarantine_dir = "/srv/.quarantine"
# The agent's socket, counted from server.data_dir.
agent = "unix:run/agent.sock"
""",
    "gates": """\
[gates.nginx]
type = "nginx"
# The agent's own settings name the map file and nginx's pid file.
agent = "unix:run/agent.sock"
""",
    "caches": """\
[caches.edge]
type = "varnish"
# Where Varnish takes HTTP from the worker.
url = "http://127.0.0.1:6081"
""",
}
HEAD_EXAMPLE = """\
# Every setting, with its default. Lines that begin with "# name =" show settings that have none.
# Relative paths start at this file's folder. Any value can also be set by an environment variable, which wins:
# TAKEDOWN_POLICY__TWO_PEOPLE=false, in lists TAKEDOWN_ISSUERS__0__NAME=... Secrets stand in files of their own.
# Issuers and routes may stand in conf.d/*.toml beside this file; `issuer add` and `route add` write there.
# Written by `make docs` from the code.
"""
HEAD_DOCUMENT = """\
# Settings

One TOML file, `conf.d/*.toml` beside it, and the environment, which wins: `TAKEDOWN_SECTION__KEY`, in lists
`TAKEDOWN_ISSUERS__0__NAME`; values are TOML (`false`, `30`, `["a"]`) or plain text. `TAKEDOWN_CONFIG` names the file.
Relative paths start at the file's folder. Secrets stand in files of their own, named by `…_file` settings. Unknown
settings are mistakes. `takedown-receiver check` lists all mistakes together, each with a link to this page.

SIGHUP takes up every change but those of settings that are read at start, which say so here.

Written by `make docs` from the code; a test compares the two.
"""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting as people meet it."""

    name: str
    """`server.public_bind`; in lists without the place: `issuers.name`."""
    description: str
    required: bool
    default: Any

    @property
    def key(self) -> str:
        return self.name.split(".", 1)[1]

    @property
    def shown(self) -> Any:
        return EXAMPLES.get(self.name, self.default)

    @property
    def is_set(self) -> bool:
        """Whether the example sets it; the others are shown behind a #."""
        return self.required or self.name in SET_IN_EXAMPLE or (self.default is not None and not self._shows_another)

    @property
    def _shows_another(self) -> bool:
        return self.name in EXAMPLES


def sections() -> Iterator[tuple[str, str, tuple[Setting, ...]]]:
    """Name, description and settings of each table, in the order of the models."""
    for name, field in Config.model_fields.items():
        if name == "source":
            continue
        model: Any = LISTS.get(name) or field.annotation
        members = tuple(_settings(name, model)) if name not in TABLES else ()
        yield name, str(field.description), members


def settings() -> tuple[Setting, ...]:
    return tuple(setting for _, _, members in sections() for setting in members)


def _settings(section: str, model: Any) -> Iterator[Setting]:
    for key, field in model.model_fields.items():
        default = None if field.is_required() else _plain(field.get_default(call_default_factory=True))
        yield Setting(
            name=f"{section}.{key}",
            description=(field.description or "") + _choices(field),
            required=field.is_required(),
            default=default,
        )


def _choices(field: FieldInfo) -> str:
    """The words or numbers that may stand there, where they are few."""
    annotation: Any = field.annotation
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    words = [str(word) for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    return f" One of: {', '.join(words)}." if len(words) > 1 else ""


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def example() -> str:
    """The text of config.example.toml."""
    parts = [HEAD_EXAMPLE]
    for name, description, members in sections():
        if name in TABLES:
            parts.append(
                f"# {description} The README in each adapter's folder lists its members.\n{TABLE_EXAMPLES[name]}"
            )
            continue
        head = f"[[{name}]]" if name in LISTS else f"[{name}]"
        parts.append("\n".join([f"# {description}", head, *(_example_line(member) for member in members), ""]))
    return "\n".join(parts)


def _example_line(setting: Setting) -> str:
    mark = "" if setting.is_set else "# "
    return f"# {setting.description} {_default_words(setting)}\n{mark}{setting.key} = {toml_value(setting.shown)}"


def _default_words(setting: Setting) -> str:
    if setting.required:
        return "Required."
    if setting.default is None:
        return "Not set by default."
    return f"Default: {toml_value(setting.default)}."


def _start_words(setting: Setting) -> str:
    return " Read at start: a change waits for a restart." if setting.name in _AT_START else ""


def toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def document() -> str:
    """The text of docs/settings.md: one heading, and so one anchor, for each setting."""
    parts = [HEAD_DOCUMENT]
    for name, description, members in sections():
        parts.append(f"## {name}\n\n{description}\n")
        if name in TABLES:
            said = "`type` chooses the plug-in; its README lists the other members."
            parts.append(f"{said}\n\n```toml\n{TABLE_EXAMPLES[name]}```\n")
        parts += [
            f"### {member.name}\n\n{member.description} {_default_words(member)}{_start_words(member)}\n\n"
            f"Example: `{member.key} = {toml_value(member.shown)}`\n"
            for member in members
        ]
    return "\n".join(parts)


def write(folder: Path) -> None:
    (folder / "config.example.toml").write_text(example(), encoding="utf-8")
    (folder / "docs" / "settings.md").write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    write(Path.cwd())
