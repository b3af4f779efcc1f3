"""What no notice may take down without a person: front pages, indexes, shared files, what the host lists. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from receiver.domain.web import CanonicalUrl
from receiver.resolution.routes import merge_slashes
from receiver.resolution.urls import UrlRefusedError, canonical_url

__all__ = [
    "INDEX_STEMS",
    "PROGRAM_SUFFIXES",
    "SHARED_NAMES",
    "SHARED_SUFFIXES",
    "Protected",
    "is_program",
    "is_protected",
]

SHARED_SUFFIXES = (".css", ".js", ".mjs", ".map", ".woff", ".woff2", ".ttf", ".otf", ".eot", ".webmanifest", ".wasm")
SHARED_NAMES = ("favicon.ico", "robots.txt", "sitemap.xml", "ads.txt", "crossdomain.xml", ".htaccess", "web.config")
INDEX_STEMS = ("index", "default", "home", "main")
PAGE_SUFFIXES = (".html", ".htm", ".xhtml", ".shtml")
PROGRAM_SUFFIXES = (".php", ".php5", ".phtml", ".asp", ".aspx", ".ashx", ".jsp", ".jspx", ".do", ".cgi", ".pl", ".py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Protected:
    """One entry of `policy.protected`: a host and a path prefix, whatever the scheme and the port."""

    host: str
    path: bytes

    @classmethod
    def parse(cls, prefix: str) -> Self:
        """Raises ValueError with words for the operator."""
        try:
            url = canonical_url(prefix)
        except UrlRefusedError as exc:
            raise ValueError(f"a protected prefix must be a plain URL: {exc.words}") from exc
        if url.query is not None:
            raise ValueError("a protected prefix must have no query; the path protects every query")
        return cls(host=url.host, path=_folded(url.path))

    def covers(self, host: str, path: bytes) -> bool:
        """Prefixes end at a `/`, as in routes."""
        if host != self.host:
            return False
        own = self.path.rstrip(b"/")
        return path.startswith(own + b"/") or path == own


def is_protected(
    url: CanonicalUrl,
    protected: Sequence[Protected],
    *,
    shared_suffixes: Sequence[str] = SHARED_SUFFIXES,
    shared_names: Sequence[str] = SHARED_NAMES,
) -> str | None:
    """Why a person must decide first: `protected_prefix`, `front_page`, `index` or `shared_asset`; None if nothing.

    Compared as lenient servers read paths: letters of either case, `//` as `/`. So `/Index.PHP` is an index, with any
    query: behind it stands the file that makes the whole site.
    """
    path = _folded(url.path)
    if any(entry.covers(url.host, path) for entry in protected):
        return "protected_prefix"
    if path == b"/":
        return "front_page"
    last = path.rpartition(b"/")[2]
    stem, dot, suffix = last.partition(b".")
    pages = {name.encode() for name in (*PAGE_SUFFIXES, *PROGRAM_SUFFIXES)}
    if not last or (stem.decode("latin-1") in INDEX_STEMS and (not dot or dot + suffix in pages)):
        return "index"
    if last.endswith(tuple(s.encode() for s in shared_suffixes)) or last in {s.encode() for s in shared_names}:
        return "shared_asset"
    return None


def is_program(url: CanonicalUrl) -> bool:
    """The stored file makes many pages (`gallery.php?id=7`): deny the URL at a gate, never block the file."""
    return _folded(url.path).endswith(tuple(suffix.encode() for suffix in PROGRAM_SUFFIXES))


def _folded(path: bytes) -> bytes:
    return merge_slashes(path).lower()
