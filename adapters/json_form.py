"""The contract's values as JSON and back: the form in which the journal and the agent carry them.

Part of `adapters.contract`, which is where to import it from. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Optional, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


PLAIN = frozenset({str, int, float, bool, type(None)})


def to_json(value: Any) -> Any:
    """Turn a contract value into JSON: bytes become ``{"b64": …}``, enums their value, dataclasses maps."""
    kind: Any = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode("ascii")}
    names = _names_of(kind)
    if names is not None:
        return {name: to_json(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{kind.__name__} has no JSON form")


@functools.lru_cache(maxsize=None)
def _names_of(kind: Any) -> Optional[tuple[str, ...]]:
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None


def from_json(kind: type[T], data: Any) -> T:
    """Rebuild a contract value. Raises ValueError when the data has another shape."""
    shape: Any = kind
    return _builder(shape)(data)  # type: ignore[no-any-return]  # the builder returns what `kind` names


Builder = Callable[[Any], Any]


@functools.lru_cache(maxsize=None)
def _builder(kind: Any) -> Builder:
    """What to do for this kind, found out once: the same few shapes come with every act."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Union:
        return functools.partial(_optional, _builder(next(a for a in args if a is not type(None))))
    if origin is tuple:
        return functools.partial(_tuple, kind, [_builder(a) for a in args if a is not Ellipsis], args[-1] is Ellipsis)
    if kind is bytes:
        return _bytes
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind
    if dataclasses.is_dataclass(kind):
        return functools.partial(_dataclass, kind)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return functools.partial(_checked, kind, dict)
    if isinstance(kind, type):
        return functools.partial(_checked, kind, kind)
    return _as_it_is


def _optional(build: Builder, data: Any) -> Any:
    return None if data is None else build(data)


def _tuple(kind: Any, builders: Sequence[Builder], repeats: bool, data: Any) -> Any:
    if not isinstance(data, list):
        _wrong(kind)
    if repeats:
        return tuple(map(builders[0], data))
    if len(builders) != len(data):
        _wrong(kind)
    return tuple(build(item) for build, item in zip(builders, data))


def _bytes(data: Any) -> bytes:
    if not isinstance(data, dict) or set(data) != {"b64"} or not isinstance(data["b64"], str):
        _wrong(bytes)
    return base64.b64decode(data["b64"], validate=True)


def _dataclass(kind: Any, data: Any) -> Any:
    if not isinstance(data, dict):
        _wrong(kind)
    builders = _members_of(kind)
    if data.keys() - builders.keys():
        _wrong(kind)
    return kind(**{name: builders[name](item) for name, item in data.items()})


@functools.lru_cache(maxsize=None)
def _members_of(kind: Any) -> dict[str, Builder]:
    """Not before the first value comes, since a kind may name itself."""
    hints = get_type_hints(kind)
    return {f.name: _builder(hints[f.name]) for f in dataclasses.fields(kind)}


def _checked(kind: Any, expected: type, data: Any) -> Any:
    return data if isinstance(data, expected) and not (kind is int and isinstance(data, bool)) else _wrong(kind)


def _as_it_is(data: Any) -> Any:
    return data


def _wrong(kind: Any) -> NoReturn:
    raise ValueError(f"not the JSON form of {getattr(kind, '__name__', kind)}")
