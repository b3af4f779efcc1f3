"""The contract's values as JSON and back: the form in which the journal and the agent carry them.

Part of `adapters.contract`, which is where to import it from. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import functools
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Turn a contract value into JSON: bytes become ``{"b64": …}``, enums their value, dataclasses maps."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode("ascii")}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def from_json(kind: type[T], data: Any) -> T:
    """Rebuild a contract value. Raises ValueError when the data has another shape."""
    return _build(kind, data)  # type: ignore[no-any-return]  # _build returns what `kind` names


def _build(kind: Any, data: Any) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Union:
        return None if data is None else _build(next(a for a in args if a is not type(None)), data)
    if origin is tuple:
        if not isinstance(data, list):
            _wrong(kind)
        kinds = [args[0]] * len(data) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(data):
            _wrong(kind)
        return tuple(_build(k, d) for k, d in zip(kinds, data))
    if kind is bytes:
        if not isinstance(data, dict) or set(data) != {"b64"} or not isinstance(data["b64"], str):
            _wrong(kind)
        return base64.b64decode(data["b64"], validate=True)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(data)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, data)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return data if isinstance(data, dict) else _wrong(kind)
    if isinstance(kind, type):
        return data if isinstance(data, kind) and not (kind is int and isinstance(data, bool)) else _wrong(kind)
    return data


def _build_dataclass(kind: Any, data: Any) -> Any:
    if not isinstance(data, dict):
        _wrong(kind)
    hints = _hints_of(kind)
    names = {f.name for f in dataclasses.fields(kind)}
    if set(data) - names:
        _wrong(kind)
    return kind(**{name: _build(hints[name], item) for name, item in data.items()})


_hints_of = functools.lru_cache(maxsize=None)(get_type_hints)


def _wrong(kind: Any) -> NoReturn:
    raise ValueError(f"not the JSON form of {getattr(kind, '__name__', kind)}")
