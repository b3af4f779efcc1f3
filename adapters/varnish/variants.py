"""Under which keys Varnish may hold a URL. Only Host and request target count, so http and https are one.

Pure: no I/O, no knowledge of what is cached.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

import can_ada

from adapters.contract import CacheHints, CacheKey

_URL = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?", re.IGNORECASE
)
_SCHEME_PORT = {"http:": "80", "https:": "443"}
_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))
_PATH_SAFE = "/-._~!$&'()*+,;=:@"
_UNRESERVED = "/-._~"
MAX_PURGES = 4000
MAX_PATTERN_CHARS = 4000
"""Varnish takes header lines up to 8 KiB."""


def keys_for(url: str, hints: CacheHints, *, hosts: tuple[str, ...], ban_header: str) -> tuple[CacheKey, ...]:
    """Every key to purge, and one ban for each host and path where bans are known. Raises ValueError for no URL."""
    names: dict[str, None] = {}
    paths: dict[str, None] = {}
    queries: dict[str, None] = {}
    for spelled in (url, *hints.raw_urls):
        parts = _URL.match(spelled.strip())
        if parts is None:
            raise ValueError("not an absolute URL")
        names |= dict.fromkeys(_hosts(spelled, parts["host"]))
        paths |= dict.fromkeys(_spellings(spelled, parts["path"] or "/"))
        queries |= dict.fromkeys((parts["query"] or "", ""))
    names |= dict.fromkeys((*map(str.lower, hints.aliases), *hosts))
    queries |= dict.fromkeys("?" + query for query in hints.queries)
    # Thousands of queries must not make the purge fail; the ban clears those that are left out.
    few = list(queries)[: max(1, MAX_PURGES // (len(names) * len(paths)))]
    found = [
        CacheKey(value=_wire(path + query), headers=(("Host", host),))
        for host, path, query in itertools.product(names, paths, few)
    ]
    bans = dict.fromkeys(any_spelling(unquote_to_bytes(path)) for path in paths) if ban_header else {}
    found += [
        CacheKey(value="/", headers=(("Host", host), (ban_header, ban))) for host, ban in itertools.product(names, bans)
    ]
    return tuple(dict.fromkeys(found))


def any_spelling(path: bytes) -> str:
    """A pattern for this path with any query, each character written plainly or as %hh, slashes doubled or dotted.

    It holds no blank, quote or backslash, which would end or change the ban it is put into.
    """
    plain = re.sub(rb"/([.]?/)*", b"/", path)
    pattern = "".join(_letter(byte) for byte in plain)
    if len(pattern) > MAX_PATTERN_CHARS:
        pattern = "".join(_plainly(char) for char in quote(path, safe=_PATH_SAFE))
    return f"^{pattern}([?]|$)"


def _letter(byte: int) -> str:
    if byte == ord("/"):
        return "(/([.]/)*)+"
    encoded = f"%(?i:{byte:02x})"
    return f"({_plainly(chr(byte))}|{encoded})" if chr(byte) in _PRINTABLE else encoded


def _plainly(char: str) -> str:
    """One character as a pattern. For the few that cannot stand in a ban, any character: too wide, but not wrong."""
    if char.isalnum() or char in "/_~-%":
        return char
    return "." if char in '"\\^]' else f"[{char}]"


def _hosts(spelled: str, written: str) -> Iterator[str]:
    """The host as browsers send it, and as it was written (a final dot is another key)."""
    parsed = _browser(spelled)
    if parsed is not None:
        yield parsed.host
    if written.isascii():
        plain = written.lower()
        yield plain.removesuffix(":" + _SCHEME_PORT.get(spelled.partition("//")[0].lower(), "-"))


def _spellings(spelled: str, path: str) -> Iterator[str]:
    yield _wire(path)
    parsed = _browser(spelled)
    if parsed is not None:
        yield parsed.pathname
    plain = unquote_to_bytes(path)
    yield quote(plain, safe=_PATH_SAFE)
    yield quote(plain, safe=_UNRESERVED)
    yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(plain, safe=_UNRESERVED))


def _browser(spelled: str) -> can_ada.URL | None:
    try:
        return can_ada.parse(spelled)
    except ValueError:
        return None


def _wire(text: str) -> str:
    """What can stand in a request line; anything else is percent-encoded as a browser does."""
    return quote(text, safe=_PRINTABLE)
