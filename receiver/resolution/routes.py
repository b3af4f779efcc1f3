"""Host and path to customer and stored resource, by the operator's routes. No I/O.

How a route is chosen: a host's own routes before any `*.` route, the longest `*.` route before shorter ones; then the
longest path prefix. A host that has routes of its own never falls back to a `*.` route, as in web servers, where the
server is chosen by name before any path is read. A prefix ends at a `/`: `/a` stands for `/a` and what lies under it
and never for `/ab`; `/a/` does not stand for `/a`.
"""

from __future__ import annotations

import ipaddress
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from adapters.contract import DirectoryAdapter, DirectoryHit, Ref
from receiver.domain.errors import ReceiverError
from receiver.domain.web import CanonicalUrl
from receiver.resolution.urls import UrlRefusedError, is_host_name

__all__ = ["Route", "RouteTable", "RoutesRefusedError", "merge_slashes"]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_KNOWN = ("path", "rest", "host", "sub")
_SLASHES = re.compile(rb"/{2,}")
MAX_PROBLEMS = 100


class RoutesRefusedError(ReceiverError):
    """The routes hold mistakes; all are listed, and the table keeps the routes it had."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(f"{len(problems)} mistakes in routes: " + "; ".join(problems[:MAX_PROBLEMS]))
        self.problems = problems


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One rule from host and path prefix to a customer's part of a store."""

    host: str
    """Exact, or `*.example.net` for every name below (not `example.net` itself)."""
    customer: str
    path: str = "/"
    """Prefix of the decoded path, in the operator's own letters; taken as UTF-8."""
    storage: str | None = None
    key: str | None = None
    """The store's name for the object: text with `{path}` (the whole path) or `{rest}` (what follows the prefix), and
    with `{host}` or `{sub}` (what `*` stood for). The path's first `/` is dropped where the text before it is empty or
    ends in `/`, so that both `acme/public{path}` and the bucket key `{path}` come out right."""
    caches: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    look_at: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    """Other hosts that serve the same paths; notices that name one of them are mapped as well."""
    merge_slashes: bool = True
    """Web servers over folders read `//` as `/`; object stores do not: set it to false for them."""

    def problems(self) -> Iterator[str]:
        """Every mistake in this route, in words for the operator."""
        where = f"route {self.host}{self.path}"
        wild = self.host.startswith("*.")
        if not _is_route_host(self.host.removeprefix("*."), wild=wild):
            yield f"{where}: host must be a lower-case name in xn-- form, `*.name`, or an address"
        for alias in self.aliases:
            if wild or not _is_route_host(alias, wild=False):
                yield f"{where}: aliases must be lower-case names in xn-- form, of a route without `*`"
        parts = self.path.split("/")
        if parts[0] or "\0" in self.path or "." in parts or ".." in parts:
            yield f"{where}: path must start with / and hold no . or .. segment"
        if self.merge_slashes and "//" in self.path:
            yield f"{where}: path holds //, which never matches while merge_slashes is on"
        if (self.storage is None) != (self.key is None):
            yield f"{where}: storage and key stand together or not at all"
        if self.key is not None:
            yield from (f"{where}: {problem}" for problem in _key_problems(self.key, wild=wild))


@dataclass(frozen=True, slots=True)
class _Index:
    """Built whole and then only read, so that a reload is one assignment."""

    generation: int
    routes: dict[bytes, Route] = field(default_factory=dict)
    """By host followed by prefix."""
    longest: dict[str, int] = field(default_factory=dict)
    """Host to the length of its longest prefix: whether it has routes, and where to start."""


class RouteTable(DirectoryAdapter):
    """The configured routes. Looking up costs the same with ten hosts and with a million."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self._lock = threading.Lock()
        self._index = _build(routes, generation=1)

    @property
    def generation(self) -> int:
        return self._index.generation

    def replace(self, routes: Iterable[Route]) -> int:
        """Take new routes all at once and return the generation; RoutesRefusedError leaves the old ones in force."""
        with self._lock:
            self._index = _build(routes, generation=self._index.generation + 1)
            return self._index.generation

    def resolve(self, url: CanonicalUrl) -> DirectoryHit | None:
        """`lookup` for a whole URL.

        Raises UrlRefusedError `ambiguous_path` also where the path holds `%2F` and a stored file would be guessed.
        """
        hit = self.lookup(url.host, url.path)
        if hit is not None and hit.ref is not None and url.encoded_slash:
            raise UrlRefusedError("ambiguous_path", "the path holds %2F, which servers read in two ways")
        return hit

    def lookup(self, host: str, path: bytes) -> DirectoryHit | None:
        """Longest match, or None. Raises UrlRefusedError `ambiguous_path` for a match whose path has `.` or `..`."""
        index = self._index
        for name in _names(host):
            if name in index.longest:
                route = _longest_prefix(index, name, path)
                return None if route is None else _hit(route, host, path)
        return None


def merge_slashes(path: bytes) -> bytes:
    """As web servers over folders read a path."""
    return _SLASHES.sub(b"/", path)


def _build(routes: Iterable[Route], *, generation: int) -> _Index:
    index = _Index(generation=generation)
    problems: list[str] = []
    for route in routes:
        problems.extend(route.problems())
        prefix = route.path.encode()
        for host in (route.host, *route.aliases):
            key = host.encode() + prefix
            if key in index.routes:
                problems.append(f"route {host}{route.path}: two routes for the same host and path")
            index.routes[key] = route
            index.longest[host] = max(index.longest.get(host, 0), len(prefix))
    if problems:
        raise RoutesRefusedError(tuple(problems))
    return index


def _names(host: str) -> Iterator[str]:
    """The host itself, then the `*.` names above it, longest first. An address stands for itself alone."""
    yield host
    if _is_address(host):
        return
    _, dot, above = host.partition(".")
    while dot:
        yield f"*.{above}"
        _, dot, above = above.partition(".")


def _longest_prefix(index: _Index, name: str, path: bytes) -> Route | None:
    key, limit = name.encode(), index.longest[name]
    merged = _probe(index, key, merge_slashes(path), limit, merge=True)
    exact = _probe(index, key, path, limit, merge=False)
    if merged is None or exact is None:
        return merged or exact
    return merged if len(merged.path) > len(exact.path) else exact


def _probe(index: _Index, key: bytes, path: bytes, limit: int, *, merge: bool) -> Route | None:
    for prefix in _prefixes(path, limit):
        route = index.routes.get(key + prefix)
        if route is not None and route.merge_slashes is merge:
            return route
    return None


def _prefixes(path: bytes, limit: int) -> Iterator[bytes]:
    """`/a/b` → `/a/b`, `/a/`, `/a`, `/`; none longer than any prefix that the host has."""
    if len(path) <= limit:
        yield path
    end = len(path)
    while (end := path.rfind(b"/", 0, min(end, limit + 1))) >= 0:
        if end + 1 <= limit and end + 1 < len(path):
            yield path[: end + 1]
        if 0 < end <= limit:
            yield path[:end]


def _hit(route: Route, host: str, path: bytes) -> DirectoryHit:
    if route.merge_slashes:
        path = merge_slashes(path)
    if any(segment in (b".", b"..") for segment in path.split(b"/")):
        raise UrlRefusedError("ambiguous_path", "the path holds encoded dot segments, which servers read in many ways")
    names = (route.host, *route.aliases)
    return DirectoryHit(
        customer=route.customer,
        adapter=route.storage,
        ref=None if route.key is None else _ref(route, host, path),
        caches=route.caches,
        gates=route.gates,
        look_at=route.look_at,
        aliases=tuple(name for name in names if name != host) if route.aliases else (),
        source=f"route {route.host}{route.path}",
    )


def _ref(route: Route, host: str, path: bytes) -> Ref:
    """Fill in the key. Only the path and a host that was looked up go in, so the scope is the operator's own text."""
    assert route.key is not None
    wild = route.host.startswith("*.")
    own = host if wild else route.host
    names = {"host": own, "sub": own.removesuffix(route.host[1:]) if wild else ""}
    found = next(match for match in _PLACEHOLDER.finditer(route.key) if match[1] in ("path", "rest"))
    before = _fill(route.key[: found.start()], names).encode()
    value = path if found[1] == "path" else _rest(path, route.path.encode())
    if not before or before.endswith(b"/"):
        value = value[1:]
    after = _fill(route.key[found.end() :], names).encode()
    scope = _fill(_scope_text(route, route.key[: found.start()]), names)
    return Ref(locator=before + value + after, scope=scope.encode())


def _scope_text(route: Route, before: str) -> str:
    """The customer's own part of the store: up to the last segment that names the customer, the host or the sub-host,
    else all that stands before the path. Never wider by guess: what lies outside goes to a person.
    """
    segments = before.rstrip("/").split("/")
    own = [n for n, part in enumerate(segments) if part == route.customer or "{" in part]
    return "/".join(segments[: own[-1] + 1] if own else segments)


def _fill(text: str, names: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: names[match[1]], text)


def _rest(path: bytes, prefix: bytes) -> bytes:
    rest = path[len(prefix) :]
    return rest if rest.startswith(b"/") else b"/" + rest


def _key_problems(key: str, *, wild: bool) -> Iterator[str]:
    names = _PLACEHOLDER.findall(key)
    literal = _PLACEHOLDER.sub("", key)
    if "{" in literal or "}" in literal or not set(names) <= set(_KNOWN):
        yield "key may hold {path}, {rest}, {host} and {sub}, and no other braces"
    if names.count("path") + names.count("rest") != 1:
        yield "key must hold {path} or {rest}, once"
    if "sub" in names and not wild:
        yield "key holds {sub}, which only a `*.` host fills"
    if "\0" in key or any(part in (".", "..") for part in re.split(r"[/{}]", key)):
        yield "key must not hold a NUL or a . or .. segment"


def _is_route_host(host: str, *, wild: bool) -> bool:
    if _is_address(host):
        return not wild and str(ipaddress.ip_address(host)) == host
    last = host.rpartition(".")[2]
    return is_host_name(host) and not last.isdigit()


def _is_address(host: str) -> bool:
    if ":" not in host and not host[-1:].isdigit():
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
