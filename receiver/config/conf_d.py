"""Writes one entry into `conf.d`: whole or not at all, and never over another."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from receiver.config.durable import make_folder, replace_durably
from receiver.domain.errors import ReceiverError

FOLDER = "conf.d"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MODE = 0o640


class ConfDError(ReceiverError):
    """The entry was not written; nothing changed."""


def write_entry(config_folder: Path, name: str, section: str, entry: Mapping[str, Any]) -> Path:
    """Write `[[section]]` as `conf.d/<name>.toml` by temporary file and rename.

    Raises ConfDError when the file exists or the folder cannot be written (in a container it is often read-only).
    """
    folder = config_folder / FOLDER
    target = folder / f"{name}.toml"
    try:
        make_folder(folder, mode=0o750)
        if target.exists():
            raise ConfDError(f"{target} exists; change or delete that file by hand, then type: takedown-receiver check")
        replace_durably(target, to_toml(section, entry).encode(), mode=_MODE)
    except OSError as error:
        raise ConfDError(
            f"{folder} cannot be written ({error.strerror}); where settings are read-only, add the entry to the files "
            "they are made from"
        ) from error
    return target


def to_toml(section: str, entry: Mapping[str, Any]) -> str:
    """One entry of a list of tables. Members that are None are left out."""
    lines = [f"{_key(name)} = {_value(value)}" for name, value in entry.items() if value is not None]
    return "\n".join([f"[[{section}]]", *lines, ""])


def _key(name: str) -> str:
    return name if _PLAIN_KEY.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_value(item)}" for name, item in value.items()) + " }"
    return "[" + ", ".join(_value(item) for item in value) + "]"


def _text(text: str) -> str:
    """JSON's escapes are TOML's, but for DEL, which TOML wants escaped as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
