"""Whether two bodies are the same notice, whoever laid out the JSON."""

from __future__ import annotations

import json
from typing import Any

import rfc8785

from receiver.domain.strict_json import StrictJsonError, load_strict_json


def same_notice(first: bytes, second: bytes) -> bool:
    """Equal in RFC 8785 form. Bytes that cannot be read strictly are the same only when they are identical.

    Whole numbers beyond 2^53 have no RFC 8785 form; such bodies are compared with sorted members and exact numbers.
    """
    if first == second:
        return True
    try:
        one, other = load_strict_json(first), load_strict_json(second)
    except StrictJsonError:
        return False
    return _form(one) == _form(other)


def _form(value: Any) -> bytes:
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
