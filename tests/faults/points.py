"""The named points at which a process may die, listed from the code itself.

An act is a public method of a contract or of a port to the outside. A transaction is a function of the store that
writes. A decision is a place that says what becomes of a work row; a commit without a row is named by who submits it.
Before and after each of them is a point.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
from abc import ABC
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import receiver
from adapters import contract, edges
from receiver.domain import ports
from receiver.ledger.copies import DirectoryCopy
from receiver.steps.tools import Tools

ROOT = Path(receiver.__file__).parent

OUTSIDE: dict[str, type] = {
    "store": contract.StorageAdapter,
    "body": contract.Reader,
    "gate": contract.GateAdapter,
    "cache": contract.CacheAdapter,
    "vault": ports.Vault,
    "outside": ports.Outside,
    "sender": ports.Sender,
    "copies": DirectoryCopy,
}
INSIDE = {
    "DirectoryAdapter": "answers from memory",
    "Reads": "the database",
    "LedgerStore": "the database",
    "Queue": "the database",
    "Store": "the database",
    "Committer": "the database",
    "LedgerCopies": "a set of copies; each copy is a part of its own",
}
"""Contracts and ports that do nothing outside by themselves."""

TOOLS = {
    "stores": "store",
    "gates": "gate",
    "caches": "cache",
    "vault": "vault",
    "outside": "outside",
    "early": "outside",
    "sender_for": "sender",
    **dict.fromkeys(["reads", "clock", "policy", "routes", "protected", "may_act"], ""),
    **dict.fromkeys(["sign_callback", "verify_stored", "compare_stored", "keyed_hash", "beside"], ""),
}
"""What each tool of the steps reaches outside; empty for what stays in the process or in the database."""

LEFT_OUT = {
    "store.probe": "asked at start and by `check`, on a scratch object",
    "gate.probe": "asked at start and by `check`",
    "cache.probe": "asked at start and by `check`",
    "vault.probe": "asked by `check`",
    "store.close": "gives back connections; a dead process has none",
    "gate.close": "gives back connections; a dead process has none",
    "cache.close": "gives back connections; a dead process has none",
    "store.derivatives": "no step asks for it",
    "gate.state": "no step asks for it",
    "copies.read": "read by `verify` alone",
    "commit steps.evidence._seal→wait": "a guard: no case that is a URL alone comes to be sealed",
    "commit steps.exposure._watch→watch": "a guard: for a worker whose clock runs behind the database's",
    "commit cli.opened.write": "a person at a terminal sees that the command died, and types it again",
    "commit wiring.worker.page": "an alarm about the ledger, raised again by the next round",
    "commit wiring.worker.change": "what became of a page, written again by the next round",
}
"""Points that no story need reach, and why. One that is reached all the same is listed here in error."""

MAKERS = {"move", "try_again", "stuck", "as_it_was", "WorkMove"}
PASSED_ON = {"spend", "_settle", "_write"}
"""Functions that submit for others; the commit bears their caller's name."""
SERVICES_THAT_WRITE = ("receiver.services.desk", "receiver.services.people")
VARIES = "*"


def acts() -> list[str]:
    return [f"{part}.{name}" for part, kind in OUTSIDE.items() for name in public(kind)]


def public(kind: type) -> list[str]:
    return [name for name, member in vars(kind).items() if not name.startswith("_") and inspect.isfunction(member)]


def unclassified() -> list[str]:
    """Contracts, ports and tools that nobody said of whether they act outside."""
    kinds = [
        *(kind for _, kind in inspect.getmembers(contract, inspect.isclass) if ABC in kind.__bases__),
        *(kind for _, kind in inspect.getmembers(ports, inspect.isclass) if getattr(kind, "_is_protocol", False)),
    ]
    kinds = [kind for kind in kinds if kind.__module__ in (contract.__name__, edges.__name__, ports.__name__)]
    unknown = [kind.__name__ for kind in kinds if kind not in OUTSIDE.values() and kind.__name__ not in INSIDE]
    return unknown + [f"Tools.{field.name}" for field in dataclasses.fields(Tools) if field.name not in TOOLS]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A call in the code that says what becomes of a row."""

    module: str
    function: str
    first: int
    last: int
    target: str
    number: int = 1

    @property
    def name(self) -> str:
        again = f" ({self.number})" if self.number > 1 else ""
        return f"commit {short(self.module)}.{self.function}→{self.target}{again}"


def short(module: str) -> str:
    return module.removeprefix("receiver.")


def sources() -> Iterator[tuple[str, str]]:
    for file in sorted(ROOT.rglob("*.py")):
        yield ".".join(["receiver", *file.relative_to(ROOT).with_suffix("").parts]), file.read_text()


def functions(tree: ast.AST) -> Iterator[tuple[ast.FunctionDef, list[ast.Call]]]:
    """Every function with the calls made in it, those of functions in it left to these."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node, list(_calls(node.body))


def _calls(nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from _calls(ast.iter_child_nodes(node))


def decisions_in(module: str, source: str) -> list[Site]:
    found: list[Site] = []
    for function, calls in functions(ast.parse(source)):
        for call in calls:
            if isinstance(call.func, ast.Name) and call.func.id in MAKERS:
                values: Any = {"module": module, "function": function.name, "target": _target(call)}
                same = sum((s.function, s.target) == (function.name, values["target"]) for s in found)
                lines: dict[str, Any] = {"first": call.lineno, "last": call.end_lineno or call.lineno}
                found.append(Site(**values, **lines, number=same + 1))
    return found


def _target(call: ast.Call) -> str:
    assert isinstance(call.func, ast.Name)
    if call.func.id in ("stuck", "as_it_was"):
        return {"stuck": "stuck", "as_it_was": "same"}[call.func.id]
    given = [k.value for k in call.keywords if k.arg == "state"]
    if call.func.id == "move":
        given = [call.args[1]]
    if not given:
        return "same"
    match given[0]:
        case ast.Attribute(value=ast.Name(id="Exposure" | "Evidence"), attr=name):
            return name.lower()
        case ast.Name(id=name) if name.isupper():
            return name.lower()
        case ast.Constant(value=str() as name):
            return name
        case ast.Attribute(attr="state"):
            return "same"
    return VARIES


@functools.cache
def decisions() -> list[Site]:
    """Read once, when the code itself is: a file that is edited meanwhile has other lines."""
    texts = ((module, text) for module, text in sources() if module != "receiver.domain.moves")
    return [site for module, text in texts for site in decisions_in(module, text)]


def submitters() -> list[str]:
    """Functions that commit something else than a step of a row."""
    return [f"commit {short(module)}.{name}" for module, text in sources() for name in _submitting(module, text)]


def _submitting(module: str, source: str) -> Iterator[str]:
    for function, calls in functions(ast.parse(source)):
        if module in ("receiver.engine.runner", "receiver.engine.committer") or function.name in PASSED_ON:
            continue
        through = module in SERVICES_THAT_WRITE and any(ast.unparse(c.func) == "self._write" for c in calls)
        if through or any(_submits(call.func) for call in calls):
            yield function.name


def _submits(called: ast.expr) -> bool:
    text = ast.unparse(called)
    straight = text.endswith("committer.submit") or text == "store.commit"
    return straight or text in ("spend", "self._settle")


def transactions() -> list[str]:
    """Functions of the store that write, but for the one that writes outcomes, which bear names of their own."""
    found = []
    for module, text in sources():
        if module.startswith("receiver.store."):
            names = [f.name for f, calls in functions(ast.parse(text)) for c in calls if _writes(c)]
            found += [f"db.{name}" for name in dict.fromkeys(names) if name != "_write"]
    return found


def _writes(call: ast.Call) -> bool:
    return ast.unparse(call.func) == "self._db.write"


def everything() -> list[str]:
    names = [*acts(), *transactions(), *(site.name for site in decisions()), *submitters()]
    return [f"{when} {name}" for name in names if name not in LEFT_OUT for when in ("before", "after")]
