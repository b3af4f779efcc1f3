"""Our canonical JSON: sorted keys, no spaces, whole numbers and text only, bytes as ``{"b64": …}``.

What is hashed, committed to or compared goes through here. Notices from outside are compared in RFC 8785 form instead
(`receiver.intake`), since their numbers are the issuer's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


AS_THEY_ARE = frozenset({str, int, bool, type(None)})
"""Types whose values need no looking into."""


def canonical_json(value: Any) -> bytes:
    """UTF-8 bytes, the same for the same value on every machine. Raises TypeError for floats and foreign types."""
    return _ENCODER.encode(_plain(value)).encode()


def _plain(value: Any) -> Any:
    if type(value) in AS_THEY_ARE or isinstance(value, str | bool | int):
        return value
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode("ascii")}
    if type(value) is dict or isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys must be text")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")


def load_json(data: bytes | str) -> Any:
    """Read back what `canonical_json` wrote, bytes restored."""
    return json.loads(data, object_hook=_revive)


def _revive(found: dict[str, Any]) -> Any:
    if set(found) == {"b64"} and isinstance(found["b64"], str):
        return _decoded(found["b64"])
    return found


def _decoded(text: str) -> bytes:
    """Only the one spelling that we write, so that equal bytes always are equal JSON."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode("ascii") != text:
        raise ValueError("base64 that we did not write")
    return data
