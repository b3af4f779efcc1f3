"""Who may import whom: the tables, as data, and the check, which reads source and runs nothing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

EVERYTHING = "everything"

CONTRACT = "adapters.contract"
STAGES = frozenset(f"receiver.{room}" for room in ("intake", "verification", "resolution", "quarantine", "report"))
TOOL_ROOMS = frozenset(f"receiver.{room}" for room in ("store", "vault", "ledger", "outside", "net"))
FACES = frozenset(f"receiver.{room}" for room in ("api", "admin", "client", "demo"))
TOP = frozenset({"receiver.cli", "receiver.processes", "receiver.__main__"})


def rooms(text: str) -> frozenset[str]:
    return frozenset(f"receiver.{name}" for name in text.split())


BASE = rooms("domain") | {CONTRACT}

SAME_ROOM: Mapping[str, str] = {
    **dict.fromkeys(("adapters.values", "adapters.json_form", "adapters.errors", "adapters.edges"), CONTRACT),
    "adapters.settings": "adapters.registry",
    "adapters.filesystem.plugin": "adapters.agent",  # what the worker builds: the agent's client
    "adapters.nginx.plugin": "adapters.agent",
    "receiver.steps": "receiver.pipeline",
    "receiver.__main__": "receiver.cli",
}
"""A module or folder that belongs to another room."""

MAY_IMPORT: Mapping[str, frozenset[str] | str] = {
    "adapters": frozenset(),
    CONTRACT: frozenset(),
    "adapters.agent": frozenset({CONTRACT, "adapters.filesystem", "adapters.nginx"}),
    "adapters.*": frozenset({CONTRACT, "adapters.http"}),
    "receiver": frozenset(),
    "receiver.domain": frozenset({CONTRACT}),
    **dict.fromkeys(STAGES, BASE),
    **dict.fromkeys(TOOL_ROOMS, BASE),
    "receiver.outside": BASE | rooms("net"),
    "receiver.ledger": BASE | rooms("net"),
    "receiver.verification.jwks": BASE | rooms("net verification"),
    "receiver.pipeline": BASE | STAGES,
    "receiver.engine": BASE | rooms("pipeline"),
    "receiver.services": BASE | rooms("pipeline"),
    "receiver.api": rooms("domain services"),
    "receiver.admin": rooms("domain services"),
    "receiver.client": rooms("domain net verification"),
    "receiver.demo": rooms("domain net verification client vault"),
    "receiver.config": rooms("domain") | {"adapters.registry"},
    "receiver.wiring": (
        BASE | STAGES | TOOL_ROOMS | rooms("pipeline engine services config") | {"adapters.registry", "adapters.http"}
    ),
    "receiver.keyfiles": rooms("domain verification config"),
    "receiver.logs": rooms("domain"),
    "receiver.cli": EVERYTHING,
    "receiver.processes": EVERYTHING,
}
"""Room -> rooms it may import besides itself. `adapters.*` stands for each adapter's own folder. The longest name wins,
so one module of a room may have a line of its own. The text is docs/adr's business; keep the two alike."""

LIBRARIES: Mapping[str, frozenset[str]] = {
    "alembic": rooms("store"),
    "apscheduler": rooms("engine"),
    "argon2": rooms("admin services"),
    "botocore": frozenset({"adapters.s3"}),
    "can_ada": rooms("resolution outside") | {"adapters.varnish", "adapters.nginx"},
    "click": rooms("cli client demo"),
    "cryptography": rooms("verification vault ledger store client processes wiring cli demo services admin keyfiles"),
    "flask": rooms("api admin processes client demo"),
    "flask_httpauth": rooms("api admin"),
    "flask_wtf": rooms("admin"),
    "gunicorn": rooms("processes"),
    "http_message_signatures": rooms("verification client"),
    "http_sf": rooms("verification client"),
    "idna": rooms("resolution admin cli"),
    "jinja2": rooms("admin report"),
    "markupsafe": rooms("admin"),
    "prometheus_client": rooms("api admin engine processes services"),
    "psycopg": rooms("store"),
    "pydantic": rooms("config api intake admin"),
    "pydantic_core": rooms("config"),
    "pytest": frozenset({"adapters.conformance"}),
    "requests": frozenset({"adapters.http"}) | rooms("net client outside"),
    "rfc8785": rooms("intake domain client"),
    "rich": rooms("cli client demo"),
    "sqlalchemy": rooms("store"),
    "structlog": rooms("cli processes wiring engine logs"),
    "urllib3": rooms("net") | {"adapters.http"},
    "werkzeug": rooms("api admin processes client demo"),
    "wtforms": rooms("admin"),
}
"""Library -> rooms that may import it. A library that is not here may be imported nowhere."""

STANDARD_LIBRARY_ONLY = (CONTRACT, "adapters.filesystem", "adapters.nginx", "adapters.agent", "receiver.domain")
PYTHON_39 = (CONTRACT, "adapters.filesystem", "adapters.nginx", "adapters.agent")
NEWER_THAN_39 = frozenset({"tomllib"})
NEWER_ARGUMENTS = {"dataclass": ("kw_only", "slots"), "field": ("kw_only",), "zip": ("strict",)}

INSIDE_FUNCTIONS: Mapping[str, str] = {
    "receiver.store.database imports receiver.store.postgres": "psycopg is an extra",
}
"""`module imports name` -> why it cannot stand at the top."""


@dataclass(frozen=True)
class Tables:
    may_import: Mapping[str, frozenset[str] | str] = field(default_factory=lambda: MAY_IMPORT)
    libraries: Mapping[str, frozenset[str]] = field(default_factory=lambda: LIBRARIES)
    inside_functions: Mapping[str, str] = field(default_factory=lambda: INSIDE_FUNCTIONS)


@dataclass(frozen=True)
class Import:
    module: str
    wanted: str
    line: int
    inside_function: bool
    guarded: bool
    """Under an `if sys.version_info …`."""

    def says(self, word: str) -> str:
        return f"{self.module}:{self.line} {word}"


def breaches(root: Path, tables: Tables | None = None) -> list[str]:
    """Every breach in the tree, one line each."""
    tables = tables or Tables()
    modules = {name: path for path in sources(root) if (name := module_name(root, path))}
    trees, found = _parsed(modules)
    imports = [item for name, tree in trees.items() for item in _imports(name, tree, modules)]
    found += [word for item in imports for word in _judge(item, tables)]
    found += [word for name in trees if room_of(name) in PYTHON_39 for word in _newer(name, modules[name], trees[name])]
    return sorted(set(found)) + _cycles(imports)


def _parsed(modules: Mapping[str, Path]) -> tuple[dict[str, ast.Module], list[str]]:
    trees, wrong = {}, []
    for name, path in modules.items():
        try:
            trees[name] = ast.parse(path.read_bytes())
        except SyntaxError as exc:
            wrong.append(f"{name}:{exc.lineno} does not parse")
    return trees, wrong


def room_of(module: str) -> str:
    room = ".".join(module.split(".")[:2])
    return SAME_ROOM.get(module) or SAME_ROOM.get(room, room)


def sources(root: Path) -> Iterator[Path]:
    for top in ("adapters", "receiver"):
        yield from (path for path in (root / top).rglob("*.py") if "migrations" not in path.parts)


def module_name(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _imports(module: str, tree: ast.Module, modules: Mapping[str, Path]) -> Iterator[Import]:
    """Each import, `from X import Y` joined to X.Y where that is a module: else a view could slip in its wiring."""
    inside = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
    }
    guarded = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "sys.version_info" in ast.unparse(node.test)
        for child in node.body
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node, modules)
            wanted = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base for alias in node.names]
        else:
            continue
        for name in wanted:
            yield Import(
                module=module, wanted=name, line=node.lineno, inside_function=node in inside, guarded=node in guarded
            )


def _absolute(module: str, node: ast.ImportFrom, modules: Mapping[str, Path]) -> str:
    if not node.level:
        return node.module or ""
    package = module.split(".") if modules[module].name == "__init__.py" else module.split(".")[:-1]
    kept = package[: len(package) - node.level + 1]
    return ".".join([*kept, node.module] if node.module else kept)


def _judge(item: Import, tables: Tables) -> Iterator[str]:
    room, top = room_of(item.module), item.wanted.partition(".")[0]
    if item.inside_function and f"{item.module} imports {item.wanted}" not in tables.inside_functions:
        yield item.says(f"imports {item.wanted} inside a function")
    if top in {"adapters", "receiver"}:
        there, allowed = room_of(item.wanted), _allowed(item.module, tables)
        if there != room and allowed != EVERYTHING and there not in allowed:
            yield item.says(f"may not import {there}")
    elif top in sys.stdlib_module_names:
        if room in PYTHON_39 and top in NEWER_THAN_39 and not item.guarded:
            yield item.says(f"uses {top}, which Python 3.9 lacks")
    elif room in STANDARD_LIBRARY_ONLY:
        yield item.says(f"may import the standard library only, not {top}")
    elif top not in tables.libraries:
        yield item.says(f"imports {top}, which has no line in LIBRARIES")
    elif room not in tables.libraries[top]:
        yield item.says(f"may not import the library {top}")


def _allowed(module: str, tables: Tables) -> frozenset[str] | str:
    for line in (module, room_of(module)):
        if line in tables.may_import:
            return tables.may_import[line]
    if module.startswith("adapters."):
        return tables.may_import["adapters.*"]
    return frozenset()


def _newer(module: str, path: Path, tree: ast.Module) -> Iterator[str]:
    """What Python 3.9 would stumble over: syntax, arguments it lacks, annotations it would evaluate."""
    try:
        ast.parse(path.read_bytes(), feature_version=(3, 9))
    except SyntaxError as exc:
        yield f"{module}:{exc.lineno} is no Python 3.9"
    names = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    if "annotations" not in names and len(tree.body) > 1:
        yield f"{module}:1 lacks `from __future__ import annotations`"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            for word in node.keywords:
                if word.arg in NEWER_ARGUMENTS.get(name, ()):
                    yield f"{module}:{node.lineno} {name}({word.arg}=) is no Python 3.9"


def _cycles(imports: list[Import]) -> list[str]:
    """Rooms that import one another, straight or in a ring; one line for each ring's rooms."""
    graph: dict[str, set[str]] = {}
    for item in imports:
        here, there = room_of(item.module), room_of(item.wanted)
        if here != there and there.startswith(("adapters.", "receiver.")):
            graph.setdefault(here, set()).add(there)
    return [f"cycle between {ring}" for ring in _rings(graph)]


def module_rings(modules: Mapping[str, Path]) -> list[str]:
    """The same for single modules, in one room or in several."""
    trees, _ = _parsed(modules)
    graph = {
        name: {item.wanted for item in _imports(name, tree, modules) if item.wanted in modules and item.wanted != name}
        for name, tree in trees.items()
    }
    return _rings(graph)


def _rings(graph: Mapping[str, set[str]]) -> list[str]:
    reach = {node: _reachable(graph, node) for node in graph}
    rings = {frozenset(other for other in reach[node] if node in reach.get(other, ())) for node in graph}
    return sorted(", ".join(sorted(ring)) for ring in rings if ring)


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for room in graph.get(todo.pop(), ()):
            if room not in seen:
                seen.add(room)
                todo.append(room)
    return seen
