"""Fits an operator's table to a plug-in's settings class, so that authors meet only the types they asked for."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

_WORDS: Mapping[type, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def tidy(value: Any) -> Any:
    """TOML's lists become tuples, at every depth, so that frozen settings stay frozen."""
    if isinstance(value, list):
        return tuple(tidy(item) for item in value)
    if isinstance(value, Mapping):
        return {key: tidy(item) for key, item in value.items()}
    return value


def misfits(cls: type, members: Mapping[str, Any]) -> list[str]:
    """Words about each member of the wrong type. Types this does not know are left to the settings class."""
    hints = get_type_hints(cls)
    wrong = ((name, _wanted(hints.get(name, Any), value)) for name, value in members.items())
    return [f"{name} must be {wanted}" for name, wanted in wrong if wanted]


def _wanted(hint: Any, value: Any) -> str | None:
    """What the hint asks for, where the value is something else."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Union or origin is types.UnionType:
        if value is None and type(None) in args:
            return None
        answers = [_wanted(arg, value) for arg in args if arg is not type(None)]
        return None if None in answers else " or ".join(word for word in answers if word)
    if origin is tuple:
        if not isinstance(value, tuple):
            return "a list"
        if args[-1] is Ellipsis and any(_wanted(args[0], item) for item in value):
            return f"a list, each item {_WORDS.get(args[0], 'as documented')}"
        return None
    if hint not in _WORDS:
        return None
    fits = isinstance(value, (int, float) if hint is float else hint) and (hint is bool or not isinstance(value, bool))
    return None if fits else _WORDS[hint]
