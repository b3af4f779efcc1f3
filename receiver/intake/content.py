"""Finds content in a notice. Criminal material must not reach our disks by way of a notice, so it is refused unread."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
_DATA_URL = re.compile(r"\s*data:", re.IGNORECASE)
_DATA_URL_WITHIN = re.compile(r"data:[\w.+-]{1,40}/[\w.+-]{1,80}[;,]", re.IGNORECASE | re.ASCII)


def find_content(document: Any) -> tuple[str, ...]:
    """JSON pointers of what looks like embedded content: telling names with a value, data: URLs, base64 payloads.

    URLs are exempt from the base64 rule, since some sites put long tokens in paths.
    """
    return tuple(_walk(document, ""))


def _walk(value: Any, pointer: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            here = f"{pointer}/{shown_name(name).replace('~', '~0').replace('/', '~1')}"
            if name.lower() in CONTENT_NAMES and item not in (None, "", [], {}, False):
                yield here
            else:
                yield from _walk(item, here)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _walk(item, f"{pointer}/{number}")
    elif isinstance(value, str) and _is_content(value, is_url=_is_url_place(pointer)):
        yield pointer


def _is_url_place(pointer: str) -> bool:
    parts = pointer.split("/")
    return parts[-1] in {"url", "referrer"} or (len(parts) == 3 and parts[1] == "urls")


def _is_content(text: str, *, is_url: bool) -> bool:
    if is_url:
        return _DATA_URL.match(text) is not None
    joined = text.replace("\r", "").replace("\n", "")  # as mail software wraps it
    if _DATA_URL_WITHIN.search(joined) or _BASE64_PICTURE.search(joined):
        return True
    return any(len(run) >= MIN_BASE64_RUN for run in _BASE64_RUN.findall(joined))
