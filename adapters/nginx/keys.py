"""nginx's cache keys: making them from a URL, and recognising a URL in a stored one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Optional
from urllib.parse import quote, unquote_to_bytes, urlsplit

from adapters.nginx.rules import resolved_path

VARIABLE = re.compile(r"\$\{?([a-z_]+)\}?")
PATTERNS = {
    "proxy_host": rb"[^/]*",
    "host": rb"[^/]*",
    "http_host": rb"[^/]*",
    "server_name": rb"[^/]*",
    "request_method": rb"[A-Z]+",
    "request_uri": rb"/.*",
    "uri": rb"/[^?]*",
    "is_args": rb"\??",
    "args": rb".*",
    "query_string": rb".*",
}
HOSTS = ("host", "http_host", "server_name")
SCHEMES = ("http", "https")
KEY_MARK = b"\nKEY: "


@dataclass(frozen=True)
class Wanted:
    """A resource to drop from the cache: its hosts, and its path as nginx resolves it."""

    host: str
    path: bytes

    def __repr__(self) -> str:
        return "Wanted(<url>)"


def wanted_of(url: str) -> Wanted:
    parts = urlsplit(url)
    return Wanted(host=(parts.hostname or "").rstrip("."), path=resolved_path(unquote_to_bytes(parts.path) or b"/"))


class KeyTemplate:
    """`proxy_cache_key`, as written in nginx's configuration. Raises ValueError for variables it does not know."""

    def __init__(self, template: str, proxy_hosts: Iterable[str] = ()) -> None:
        names = VARIABLE.findall(template)
        unknown = sorted(set(names) - set(PATTERNS) - {"scheme"})
        if unknown:
            raise ValueError(f"key_template: the variable {unknown[0]} is not known here")
        if not {"request_uri", "uri"} & set(names):
            raise ValueError("key_template must hold $request_uri or $uri, as proxy_cache_key does")
        self._template = template
        self._proxy_hosts = tuple(proxy_hosts)
        self._groups = names
        # `httpsite.example` is http and `site`, or https and `ite`: such a key is read both ways.
        self._patterns = tuple(re.compile(self._regex(scheme), re.DOTALL) for scheme in SCHEMES)

    def _regex(self, scheme: str) -> bytes:
        patterns = {**PATTERNS, "scheme": scheme.encode()}
        pattern, end = b"", 0
        for found in VARIABLE.finditer(self._template):
            pattern += re.escape(self._template[end : found.start()].encode()) + b"(" + patterns[found[1]] + b")"
            end = found.end()
        return pattern + re.escape(self._template[end:].encode())

    def keys_for(self, url: str) -> Iterator[bytes]:
        """The key of this very URL for each scheme and each known upstream."""
        parts = urlsplit(url)
        path, query = parts.path or "/", parts.query
        values = {
            "host": parts.hostname or "",
            "http_host": parts.netloc.rpartition("@")[2],
            "server_name": parts.hostname or "",
            "request_method": "GET",
            "request_uri": path + ("?" + query if query else ""),
            "is_args": "?" if query else "",
            "args": query,
            "query_string": query,
        }
        uri = resolved_path(unquote_to_bytes(path))
        for scheme in SCHEMES:
            for upstream in self._proxy_hosts or ("",):
                known = {key: value.encode("utf-8", "surrogateescape") for key, value in values.items()}
                known.update(scheme=scheme.encode(), proxy_host=upstream.encode(), uri=uri)
                yield self._fill(known)

    def _fill(self, values: dict[str, bytes]) -> bytes:
        filled, end = b"", 0
        for found in VARIABLE.finditer(self._template):
            filled += self._template[end : found.start()].encode() + values[found[1]]
            end = found.end()
        return filled + self._template[end:].encode()

    def names(self, key: bytes, wanted: frozenset[Wanted]) -> bool:
        """Whether a stored key is one of these resources, with whatever query and scheme."""
        readings = (pattern.fullmatch(key) for pattern in self._patterns)
        return any(self._is_one(found.groups(), wanted) for found in readings if found is not None)

    def _is_one(self, groups: Sequence[bytes], wanted: frozenset[Wanted]) -> bool:
        values = dict(zip(self._groups, groups))
        if "request_uri" in values:
            path = resolved_path(unquote_to_bytes(values["request_uri"].partition(b"?")[0]))
        else:
            path = resolved_path(values["uri"])
        hosts = [values[name] for name in HOSTS if name in values]
        return any(path == one.path and all(_same_host(host, one.host) for host in hosts) for one in wanted)


def _same_host(stored: bytes, wanted: str) -> bool:
    host = stored.decode("latin-1").lower()
    if not host.endswith("]"):
        host = re.sub(r":[0-9]*$", "", host)
    return host.rstrip(".").strip("[]") == wanted


def file_of(key: bytes, levels: tuple[int, ...]) -> str:
    """Where nginx keeps a key, relative to the cache directory: the levels are taken from the hash's end."""
    digest = hashlib.md5(key).hexdigest()  # noqa: S324  # nginx's own naming, not for security
    parts, end = [], len(digest)
    for width in levels:
        parts.append(digest[end - width : end])
        end -= width
    return "/".join([*parts, digest])


def parse_levels(levels: str) -> tuple[int, ...]:
    parts = tuple(int(part) if part in ("1", "2") else 0 for part in levels.split(":")) if levels else ()
    if 0 in parts or len(parts) > 3:
        raise ValueError("levels must be as in proxy_cache_path: up to three of 1 and 2, such as 1:2")
    return parts


def stored_key(head: bytes) -> Optional[bytes]:
    """The key in the beginning of a cache file; None where this is no such file."""
    start = head.find(KEY_MARK)
    if start < 0:
        return None
    start += len(KEY_MARK)
    end = head.find(b"\n", start)
    return head[start:end] if end >= 0 else None


def spellings(path: str) -> list[str]:
    """The path as written, fully decoded and encoded again, and with only what must be encoded."""
    decoded = unquote_to_bytes(path)
    return list(dict.fromkeys([path or "/", quote(decoded), quote(decoded, safe="/!$&'()*+,;=:@~")]))
