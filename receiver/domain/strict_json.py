"""JSON from outside, read so that nobody else can read it differently (RFC 8259, RFC 7493 where it is stricter)."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from receiver.domain.errors import ReceiverError

MAX_DEPTH = 16
_MAX_NAME_SHOWN = 40
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""One that never ends runs to the end of the body; else each of its quotes would be tried as a beginning, for hours."""
_NO_BRACKET = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP = {byte: 1 if byte in b"[{" else -1 for byte in b"[]{}"}
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


class StrictJsonError(ReceiverError):
    """The bytes are not JSON that two readers must read alike. `kind` is stable; the message echoes no value."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def load_strict_json(data: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Read UTF-8 JSON without BOM. Refuses duplicate members, NaN, infinities, lone surrogates, NUL and deep nesting.

    Raises StrictJsonError with the kind `malformed-json`, `duplicate-member` or `too-deep`.
    """
    if data.startswith(b"\xef\xbb\xbf"):
        raise StrictJsonError("malformed-json", "the body starts with a byte order mark; send plain UTF-8")
    # Depth is counted before parsing, since the parser itself recurses.
    if _depth(data) > max_depth:
        raise StrictJsonError("too-deep", f"the JSON is nested deeper than {max_depth} levels")
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise StrictJsonError("malformed-json", "the body is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise StrictJsonError("malformed-json", "the body is not JSON; check it with any JSON tool") from error
    for text in _texts(value):
        if _NOT_TEXT.search(text):
            raise StrictJsonError("malformed-json", "a string holds U+0000 or half of a surrogate pair")
    return value


def shown_name(name: str) -> str:
    """A member's name as a message may repeat it: short, printable ASCII only."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in name)
    return plain if len(plain) <= _MAX_NAME_SHOWN else plain[:_MAX_NAME_SHOWN] + "..."


def _depth(data: bytes) -> int:
    # Without a backslash every quote begins or ends a string, and what is cut at quotes is in turn outside and inside.
    outside = _STRING.sub(b"", data) if b"\\" in data else b"".join(data.split(b'"')[::2])
    brackets = outside.translate(None, _NO_BRACKET)
    return max(itertools.accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise StrictJsonError("duplicate-member", f'the member "{shown_name(name)}" stands twice in one object')
            seen.add(name)
    return members


def _no_constant(_: str) -> NoReturn:
    raise StrictJsonError("malformed-json", "NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise StrictJsonError("malformed-json", "a number is too large")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
