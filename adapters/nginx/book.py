"""Which operation denies what, kept beside the map file and written before nginx hears of it."""
from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from adapters.contract import AdapterError
from adapters.nginx.files import read_or_empty, write_durably
from adapters.nginx.rules import Rule

MAX_SPENT = 10_000
"""Of the operations taken back, so many are remembered: years of releases, and a book that stays small."""


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

    def rules(self) -> list[Rule]:
        return [rule for rules in self.ops.values() for rule in rules]

    def spend(self, op_id: str) -> None:
        self.spent = [*(one for one in self.spent if one != op_id), op_id][-MAX_SPENT:]

    def is_live(self, map_file: bytes) -> bool:
        return bool(self.sha256) and hashlib.sha256(map_file).hexdigest() == self.sha256


class Book:
    """`<map_file>.json`, for its owner's eyes only."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()

    def load(self) -> State:
        data = read_or_empty(self._path)
        if not data:
            return State()
        try:
            return _state_from(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as exc:
            raise AdapterError("the gate's state file cannot be read; restore it from a backup") from exc

    @contextmanager
    def changing(self) -> Iterator[State]:
        """Load, let the caller change, and save durably. One at a time, in this process and others."""
        with self._lock:
            lock = os.open(self._path + ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                state = self.load()
                yield state
                write_durably(self._path, json.dumps(_state_to(state), sort_keys=True).encode("ascii"))
            finally:
                os.close(lock)


def _state_to(state: State) -> dict[str, Any]:
    ops = {op_id: [_rule_to(rule) for rule in rules] for op_id, rules in state.ops.items()}
    leaving = {op_id: [_rule_to(rule) for rule in rules] for op_id, rules in state.leaving.items()}
    return {
        "v": 1,
        "ops": ops,
        "leaving": leaving,
        "spent": state.spent,
        "applied": state.applied,
        "generation": state.generation,
        "sha256": state.sha256,
    }


def _state_from(data: dict[str, Any]) -> State:
    if data["v"] != 1:
        raise ValueError("another version")
    return State(
        ops={op_id: [_rule_from(rule) for rule in rules] for op_id, rules in data["ops"].items()},
        leaving={op_id: [_rule_from(rule) for rule in rules] for op_id, rules in data["leaving"].items()},
        spent=list(data.get("spent", ())),
        applied=list(data["applied"]),
        generation=int(data["generation"]),
        sha256=str(data["sha256"]),
    )


def _rule_to(rule: Rule) -> list[Any]:
    return [rule.host, _b64(rule.path), _b64(rule.query), rule.any_query]


def _rule_from(data: list[Any]) -> Rule:
    host, path, query, any_query = data
    return Rule(host=host, path=base64.b64decode(path), query=base64.b64decode(query), any_query=bool(any_query))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
