"""Finds content in a notice. Criminal material must not reach our disks by way of a notice, so it is refused unread."""

from __future__ import annotations

import re
from typing import Any

from receiver.domain.strict_json import shown_name

CONTENT_NAMES = frozenset(
    {"attachment", "attachments", "base64", "evidence", "payload", "payloads", "screenshot", "screenshots"}
    | {"thumbnail", "thumbnails"}
)
MIN_BASE64_RUN = 1024
"""No hash, signature or id is that long; a small picture is longer."""
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]+", re.ASCII)
_BASE64_PICTURE = re.compile(
    r"(?:/9j/|iVBORw0KGgo|R0lGOD[lg]|UklGR|AAAA[A-Za-z0-9+/]{2}Z0eX)[A-Za-z0-9+/=]{48,}", re.ASCII
)
_SHORTEST_PICTURE = 52
_Path = tuple[str | int, ...]
_DATA_URL = re.compile(r"\s*data:", re.IGNORECASE)
_DATA_URL_WITHIN = re.compile(r"data:[\w.+-]{1,40}/[\w.+-]{1,80}[;,]", re.IGNORECASE | re.ASCII)


def find_content(document: Any) -> tuple[str, ...]:
    """JSON pointers of what looks like embedded content: telling names with a value, data: URLs, base64 payloads.

    URLs are exempt from the base64 rule, since some sites put long tokens in paths.
    """
    found: list[str] = []
    _walk(document, (), found)
    return tuple(found)


def _walk(value: Any, path: _Path, found: list[str]) -> None:
    """The path is written out only where something is found: most notices have thousands of places and no content."""
    if isinstance(value, str):
        if _is_content(value, is_url=_is_url_place(path)):
            found.append(_pointer(path))
    elif isinstance(value, dict):
        for name, item in value.items():
            if name.lower() in CONTENT_NAMES and item not in (None, "", [], {}, False):
                found.append(_pointer((*path, name)))
            else:
                _walk(item, (*path, name), found)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _walk(item, (*path, number), found)


def _pointer(path: _Path) -> str:
    return "".join(f"/{shown_name(str(part)).replace('~', '~0').replace('/', '~1')}" for part in path)


def _is_url_place(path: _Path) -> bool:
    return path[-1:] in {("url",), ("referrer",)} or (len(path) == 2 and path[0] == "urls")


def _is_content(text: str, *, is_url: bool) -> bool:
    if is_url:
        return _DATA_URL.match(text) is not None
    if len(text) < _SHORTEST_PICTURE and ":" not in text:
        return False
    joined = text.replace("\r", "").replace("\n", "")  # as mail software wraps it
    if _DATA_URL_WITHIN.search(joined) or _BASE64_PICTURE.search(joined):
        return True
    if len(joined) < MIN_BASE64_RUN:
        return False
    return any(len(run) >= MIN_BASE64_RUN for run in _BASE64_RUN.findall(joined))
