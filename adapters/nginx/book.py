"""The gate's book in its first form, one JSON file: read once, and carried over into `Denials`."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from adapters.contract import AdapterError
from adapters.nginx.files import read_or_empty
from adapters.nginx.rules import Rule


@dataclass
class State:
    """`applied` names the operations in the map file that nginx was last seen to use; `sha256` is that file's."""

    ops: dict[str, list[Rule]] = field(default_factory=dict)
    leaving: dict[str, list[Rule]] = field(default_factory=dict)
    """Taken back, until nginx was seen without them."""
    spent: list[str] = field(default_factory=list)
    """Taken back for good, the newest last. A deny of one of them is late: it was sent before it was taken back."""
    applied: list[str] = field(default_factory=list)
    generation: int = 0
    sha256: str = ""


class Book:
    """`<map_file>.json`, for its owner's eyes only."""

    def __init__(self, path: str) -> None:
        self._path = path

    def load(self) -> State:
        data = read_or_empty(self._path)
        if not data:
            return State()
        try:
            return _state_from(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as exc:
            raise AdapterError("the gate's state file cannot be read; restore it from a backup") from exc


def _state_from(data: dict[str, Any]) -> State:
    if data["v"] != 1:
        raise ValueError("another version")
    if not 0 <= data["generation"] < 2**62:
        raise ValueError("no generation of ours")
    return State(
        ops={op_id: [_rule_from(rule) for rule in rules] for op_id, rules in data["ops"].items()},
        leaving={op_id: [_rule_from(rule) for rule in rules] for op_id, rules in data["leaving"].items()},
        spent=[str(op_id) for op_id in data.get("spent", ())],
        applied=list(data["applied"]),
        generation=int(data["generation"]),
        sha256=str(data["sha256"]),
    )


def _rule_from(data: list[Any]) -> Rule:
    host, path, query, any_query = data
    if not isinstance(host, str):
        raise TypeError("a host is text")
    return Rule(host=host, path=base64.b64decode(path), query=base64.b64decode(query), any_query=bool(any_query))
