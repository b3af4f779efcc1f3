"""Reads and writes of `Denials`, each within one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from adapters.contract import Denied
from adapters.nginx.book import State
from adapters.nginx.places import GROUPS, Node, below, node_of
from adapters.nginx.rules import Rule, lines_of

MAX_SPENT = 1_000_000
"""Of the operations taken back, so many are remembered: more releases than a host ever sees."""


@dataclass(frozen=True)
class Marks:
    """`live` is the digest of the map file that nginx was last seen to use; `whole`, that it is in the first form."""

    generation: int
    live: str
    whole: bool


@dataclass(frozen=True)
class Batch:
    """Operations that one switch of the map file brings to nginx."""

    arriving: tuple[int, ...]
    leaving: tuple[int, ...]


class View:
    """Reads, within one transaction."""

    def __init__(self, link: sqlite3.Connection) -> None:
        self._link = link

    def marks(self) -> Marks:
        generation, live, whole = self._link.execute("SELECT generation, live, whole FROM mark").fetchone()
        return Marks(generation, live, bool(whole))

    def is_listed(self, op_id: str) -> bool:
        """Whether the maps are to hold it."""
        return self._one("SELECT 1 FROM op WHERE op_id = ? AND leaving = 0", op_id)

    def is_applied(self, op_id: str) -> bool:
        """Whether nginx was last seen with it."""
        return self._one("SELECT 1 FROM op WHERE op_id = ? AND live = 1", op_id)

    def is_spent(self, op_id: str) -> bool:
        return self._one("SELECT 1 FROM spent WHERE op_id = ?", op_id)

    def nodes_of(self, op_id: str) -> set[Node]:
        """Where its lines are in the maps."""
        ids = [found for (found,) in self._link.execute("SELECT id FROM op WHERE op_id = ?", (op_id,))]
        return self.nodes_of_ops(ids)

    def nodes_of_ops(self, ids: Iterable[int]) -> set[Node]:
        return {node_of(*line) for one in ids for line in _lines(self._rules(one))}

    def every_node(self) -> set[Node]:
        wanted = set(self._link.execute("SELECT DISTINCT kind, place FROM line"))
        return wanted | set(self._link.execute("SELECT kind, place FROM node WHERE place >= 0"))

    def keys(self, node: Node) -> list[bytes]:
        """What the map is to hold at this place."""
        return [key for (key,) in self._link.execute("SELECT key FROM line WHERE kind = ? AND place = ?", node)]

    def names(self, nodes: Iterable[Node]) -> dict[Node, str]:
        """The files of these nodes; one that has no file is left out."""
        found = {}
        for node in nodes:
            for (name,) in self._link.execute("SELECT name FROM node WHERE kind = ? AND place = ?", node):
                found[node] = name
        return found

    def names_below(self, group: Node) -> dict[Node, str]:
        return self._named("WHERE kind = ? AND place BETWEEN ? AND ?", (group[0], *below(group)))

    def group_names(self) -> dict[Node, str]:
        return self._named("WHERE place BETWEEN ? AND -1", (-GROUPS,))

    def all_names(self) -> dict[Node, str]:
        return self._named("", ())

    def dropped(self) -> set[str]:
        return {name for (name,) in self._link.execute("SELECT name FROM dropped")}

    def pending(self) -> Batch:
        """What nginx has not been seen to know."""
        found = self._link.execute("SELECT id, leaving FROM op WHERE live = 0 OR leaving = 1").fetchall()
        arriving = tuple(one for one, leaving in found if not leaving)
        return Batch(arriving, tuple(one for one, leaving in found if leaving))

    def _rules(self, op: int) -> list[Rule]:
        found = self._link.execute("SELECT host, path, query, any_query FROM rule WHERE op = ?", (op,))
        return [Rule(host=host, path=path, query=query, any_query=bool(every)) for host, path, query, every in found]

    def _named(self, where: str, values: Sequence[int]) -> dict[Node, str]:
        found = self._link.execute(f"SELECT kind, place, name FROM node {where}", tuple(values))  # noqa: S608  # ours
        return {(kind, place): name for kind, place, name in found}

    def _one(self, query: str, value: str) -> bool:
        return self._link.execute(query, (value,)).fetchone() is not None


class Change(View):
    """Writes too."""

    def deny(self, op_id: str, rules: Sequence[Rule]) -> None:
        if self.is_spent(op_id):
            raise Denied("this operation was taken back; whoever sends it now comes too late")
        if self._link.execute("SELECT 1 FROM op WHERE op_id = ?", (op_id,)).fetchone() is None:
            self._insert(op_id, rules, live=False, leaving=False)
            self._count(_lines(rules), 1)

    def allow(self, op_id: str) -> None:
        self._spend(op_id)
        for (op,) in self._link.execute("SELECT id FROM op WHERE op_id = ? AND leaving = 0", (op_id,)).fetchall():
            self._count(_lines(self._rules(op)), -1)
            self._link.execute("UPDATE op SET leaving = 1 WHERE id = ?", (op,))

    def next_generation(self) -> int:
        self._link.execute("UPDATE mark SET generation = generation + 1")
        return self.marks().generation

    def settle(self, batch: Batch, nodes: Mapping[Node, Optional[str]], live: str) -> None:
        """Now nginx uses this map file: write down its files and whose operations are in it."""
        self.put_nodes(nodes)
        self._link.executemany("UPDATE op SET live = 1 WHERE id = ?", ((op,) for op in batch.arriving))
        for op in batch.leaving:
            self._forget(op)
        self._link.execute("UPDATE mark SET live = ?, whole = 0", (live,))

    def put_nodes(self, nodes: Mapping[Node, Optional[str]]) -> None:
        if nodes:
            self._link.execute("UPDATE mark SET whole = 0")
        for node, name in nodes.items():
            self._link.execute("INSERT OR IGNORE INTO dropped SELECT name FROM node WHERE kind = ? AND place = ?", node)
            self._link.execute("DELETE FROM node WHERE kind = ? AND place = ?", node)
            if name is not None:
                self._link.execute("INSERT INTO node VALUES (?, ?, ?)", (*node, name))
                self._link.execute("DELETE FROM dropped WHERE name = ?", (name,))

    def undo(self, batch: Batch) -> None:
        """The map file was refused: as before, so that each operation may be sent again."""
        for op in batch.arriving:
            if self._link.execute("SELECT 1 FROM op WHERE id = ? AND leaving = 0", (op,)).fetchone():
                self._count(_lines(self._rules(op)), -1)
            self._forget(op)
        for op in batch.leaving:
            self._count(_lines(self._rules(op)), 1)
            self._link.execute("DELETE FROM spent WHERE op_id IN (SELECT op_id FROM op WHERE id = ?)", (op,))
            self._link.execute("UPDATE op SET leaving = 0 WHERE id = ?", (op,))

    def forget_dropped(self, names: Iterable[str]) -> None:
        self._link.executemany("DELETE FROM dropped WHERE name = ?", ((name,) for name in names))

    def carry_over(self, state: State) -> None:
        """A book in the first form. What was on its way then is on its way now."""
        applied = set(state.applied)
        for op_id, rules in state.ops.items():
            self._insert(op_id, rules, live=op_id in applied, leaving=False)
            self._count(_lines(rules), 1)
        for op_id, rules in state.leaving.items():
            if op_id not in state.ops:
                self._insert(op_id, rules, live=op_id in applied, leaving=True)
        for op_id in state.spent:
            self._spend(op_id)
        self._link.execute("UPDATE mark SET generation = ?, live = ?", (state.generation, state.sha256))

    def _insert(self, op_id: str, rules: Sequence[Rule], *, live: bool, leaving: bool) -> None:
        self._link.execute("INSERT INTO op (op_id, live, leaving) VALUES (?, ?, ?)", (op_id, live, leaving))
        (op,) = self._link.execute("SELECT last_insert_rowid()").fetchone()
        rows = ((op, rule.host, rule.path, rule.query, rule.any_query) for rule in rules)
        self._link.executemany("INSERT INTO rule VALUES (?, ?, ?, ?, ?)", rows)

    def _spend(self, op_id: str) -> None:
        self._link.execute("DELETE FROM spent WHERE op_id = ?", (op_id,))
        self._link.execute("INSERT INTO spent (op_id) VALUES (?)", (op_id,))
        self._link.execute("DELETE FROM spent WHERE id <= (SELECT max(id) FROM spent) - ?", (MAX_SPENT,))

    def _forget(self, op: int) -> None:
        self._link.execute("DELETE FROM rule WHERE op = ?", (op,))
        self._link.execute("DELETE FROM op WHERE id = ?", (op,))

    def _count(self, lines: Iterable[tuple[str, bytes]], by: int) -> None:
        rows = [(*node_of(kind, key), key) for kind, key in lines]
        if by > 0:
            add = "INSERT INTO line VALUES (?, ?, ?, 1) ON CONFLICT (kind, place, key) DO UPDATE SET ops = ops + 1"
            self._link.executemany(add, rows)
        else:
            self._link.executemany("UPDATE line SET ops = ops - 1 WHERE kind = ? AND place = ? AND key = ?", rows)
            self._link.executemany("DELETE FROM line WHERE kind = ? AND place = ? AND key = ? AND ops <= 0", rows)


def _lines(rules: Iterable[Rule]) -> set[tuple[str, bytes]]:
    return {line for rule in rules for line in lines_of(rule)}
