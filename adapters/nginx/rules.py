"""From URLs to refuse to an nginx configuration that refuses exactly those, however they are spelled.

What nginx makes of a request: ``$host`` in lower case without port, ``$uri`` decoded, with `//`, `/./` and `/../`
resolved, ``$args`` as sent. A key is ``host args path``: neither host nor args can hold a space, so no two requests
share one. nginx ignores letter case when it looks up a key, so each key carries itself as value and a second look
compares exactly. Nothing here is ever written into the file unquoted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional
from urllib.parse import unquote_to_bytes

from adapters.contract import Denied, DenyTarget

MAX_TOKEN_BYTES = 3900
"""nginx reads its configuration in pieces of 4,096 bytes, and one word must fit into a piece."""

HOST = re.compile(r"[a-z0-9._\-]{1,255}|\[[0-9a-f:.]{2,45}\]")
ANY_CASE = "*"
HEADER = b"# Written by the takedown agent."
CODED = b"map $args $takedown_coded"
"""Only such a query is held against the spellings; many dollar signs have no line as they are."""
KINDS = ("file", "page", "queried", "spelling")
"""The maps that grow: stored files with any query, pages with exactly this one, and what finds a query's spellings."""

Line = tuple[str, bytes]
"""Kind and key of one line in a map."""
PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
ESCAPES = {b"\\": b"\\\\", b'"': b'\\"', b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}
NEEDS_ESCAPE = re.compile(rb'[\\"\n\r\t]')


@dataclass(frozen=True)
class Rule:
    """One URL to refuse, as nginx sees it."""

    host: str
    path: bytes
    query: bytes = b""
    any_query: bool = False

    def __repr__(self) -> str:
        return "Rule(<url>)"


def rules_for(target: DenyTarget) -> tuple[Rule, ...]:
    """Both the path as nginx resolves it and, for servers that leave slashes alone, the path as it is."""
    if not HOST.fullmatch(target.host):
        raise Denied("a host name here is letters, digits, dots and hyphens, in lower case")
    query = b"" if target.any_query else target.query or b""
    paths = dict.fromkeys((resolved_path(target.path), target.path))
    return tuple(Rule(host=target.host, path=path, query=query, any_query=target.any_query) for path in paths)


def resolved_path(path: bytes) -> bytes:
    """Merge slashes and resolve dots as nginx does with a decoded path."""
    done: list[bytes] = []
    parts = path.split(b"/")[1:]
    for part in parts:
        if part == b"..":
            del done[-1:]
        elif part not in (b"", b"."):
            done.append(part)
    open_end = parts[-1] in (b"", b".", b"..") and bool(done)
    return b"/" + b"/".join(done) + (b"/" if open_end else b"")


def is_too_long(rule: Rule) -> bool:
    """Whether nginx could not read a line with this URL in it."""
    return not _fits(_key(rule.host, rule.query, rule.path))


def literal_query(query: bytes) -> bytes:
    return unquote_to_bytes(query)


def is_refused_decoded(rule: Rule) -> bool:
    """Whether the query gets a line of its own as decoded: where that fits, and cannot be taken for another page's."""
    # A blank in the query would end it: `/p?%20/x` has the key of `/x%20/p`. No request has one there.
    literal = literal_query(rule.query)
    return b" " not in literal and _fits(_key(rule.host, literal, rule.path))


def _fits(key: bytes) -> bool:
    """As nginx reads it: each dollar sign takes the place of many bytes."""
    return len(_value(key)) <= MAX_TOKEN_BYTES


def spelled_regex(rule: Rule) -> bytes:
    """Matches the query with any of its characters percent-encoded, and a blank as plus or %20."""
    query = b"".join([SPELLINGS[byte] for byte in literal_query(rule.query)])
    host = b"".join([LITERAL[byte] for byte in rule.host.encode("ascii")])
    return b"~^" + host + b"\\x20" + query + b"\\x20" + b"".join([LITERAL[byte] for byte in rule.path]) + b"\\z"


def _hex(byte: int) -> bytes:
    return bytes([byte]) if byte in PLAIN else b"\\x%02x" % byte


def _either(byte: int) -> bytes:
    coded = b"%%%s%s" % tuple(
        digit if digit.isdigit() else b"[" + digit + digit.lower() + b"]"
        for digit in (b"%X" % (byte >> 4), b"%X" % (byte & 15))
    )
    ways = [coded]
    if byte == 0x20:
        ways.append(_hex(0x2B))
    elif byte == 0x2B:
        ways.append(b"%20")
    # A raw percent sign is no spelling of itself: it begins another character.
    if byte not in (0x20, 0x25):
        ways.append(_hex(byte))
    return b"(?:" + b"|".join(ways) + b")"


LITERAL = tuple(_hex(byte) for byte in range(256))
SPELLINGS = tuple(_either(byte) for byte in range(256))


def _key(host: str, args: Optional[bytes], path: bytes) -> bytes:
    return host.encode("ascii") + b" " + (b"" if args is None else args + b" ") + path


def _word(text: bytes) -> bytes:
    """A quoted word of nginx's configuration that means exactly these bytes."""
    return b'"' + NEEDS_ESCAPE.sub(lambda found: ESCAPES[found[0]], text) + b'"'


def _value(text: bytes) -> bytes:
    """The same where nginx looks for variables; there is no escape for a dollar sign, so it comes from one."""
    return _word(text).replace(b"$", b"${takedown_dollar}")


def lines_of(rule: Rule) -> tuple[Line, ...]:
    """What this rule puts into which map. Rules that mean the same have the same lines."""
    if rule.any_query:
        return (("file", _key(rule.host, None, rule.path)),)
    literal = (literal_query(rule.query),) if is_refused_decoded(rule) else ()
    spelled = dict.fromkeys((rule.query, *literal))
    lines: list[Line] = [("page", _key(rule.host, args, rule.path)) for args in spelled]
    if rule.query:
        lines.append(("queried", _key(rule.host, None, rule.path).lower()))
        regex = spelled_regex(rule)
        if len(regex) <= MAX_TOKEN_BYTES:
            lines.append(("spelling", regex))
    return tuple(lines)


def head(generation: str, within: Mapping[str, Sequence[bytes]]) -> bytes:
    """The file that nginx includes inside ``http { }``, with these lines in the map of each kind."""
    return b"\n".join(
        [
            HEADER + b" Do not edit: it is replaced as a whole.",
            b'map $host $takedown_generation { default "%s"; }' % generation.encode("ascii"),
            b'geo $takedown_dollar { default "$"; }',
            *_exact(b"file", b"$host $uri", within.get("file", ())),
            *_exact(b"page", b"$host $args $uri", within.get("page", ())),
            b'map "$host $uri" $takedown_queried {', b"default 0;", *within.get("queried", ()), b"}",
            CODED + b' { default 0; "~[%+$]" 1; }',
            b'map "$host $args $uri" $takedown_spelling {', b"default 0;", *within.get("spelling", ()), b"}",
            b'map "$takedown_queried$takedown_coded" $takedown_spelled { default 0; 11 $takedown_spelling; }',
            b'map "$takedown_file_denied$takedown_page_denied$takedown_spelled" $takedown_deny { default 1; 000 0; }',
            b'map $takedown_deny $takedown_cache_control { default ""; 1 "no-store"; }',
            b"",
        ]
    )  # fmt: skip


def include(path: str) -> bytes:
    return b"include " + _word(os.fsencode(path)) + b";"


def map_lines(kind: str, keys: Iterable[bytes]) -> list[bytes]:
    """The lines of these keys, each key once. All that differ in letter case only must be given together."""
    if kind == "spelling":
        return [b'"' + regex + b'" 1;' for regex in sorted(set(keys))]
    if kind == "queried":
        return [_word(key) + b" 1;" for key in sorted(set(keys))]
    by_case: dict[bytes, list[bytes]] = {}
    # One line that nginx cannot read would take all others with it; a book from before may still hold one.
    for key in sorted({key for key in keys if _fits(key)}):
        by_case.setdefault(key.lower(), []).append(key)
    any_case = _word(ANY_CASE.encode("ascii"))
    return [
        _word(folded) + b" " + (_value(same[0]) if len(same) == 1 else any_case) + b";"
        for folded, same in by_case.items()
    ]


def _exact(name: bytes, source: bytes, lines: Sequence[bytes]) -> list[bytes]:
    """Three maps: look the key up whatever its case, compare it byte for byte, and put the two together."""
    # A key of full length that no request has: it shows at once when map_hash_bucket_size is too small.
    guard = _word(b"length-guard " + b"x" * MAX_TOKEN_BYTES) + b' "";'
    return [
        b'map "%s" $takedown_%s {' % (source, name), b'default "";', guard, *lines, b"}",
        b'map "$takedown_%s\\n%s" $takedown_%s_exact { default 0; "~^(?s)(.+)\\n\\1\\z" 1; }' % (name, source, name),
        b'map $takedown_%s $takedown_%s_denied { default $takedown_%s_exact; "" 0; "*" 1; }' % (name, name, name),
    ]  # fmt: skip
