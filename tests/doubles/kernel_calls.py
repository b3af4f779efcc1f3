"""The filesystem adapter's system calls, made by a test in the kernel's place: before one, after one, or not at all."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from adapters.filesystem import syscalls

_REAL = {name: inspect.signature(call) for name, call in vars(syscalls).items() if inspect.isfunction(call)}


class KernelCalls:
    """A double takes what the real call takes; whether it makes that call as well is its own affair."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def replace(self, **doubles: Callable[..., Any]) -> None:
        """Until the test ends."""
        for name, double in doubles.items():
            check_fits(name, double)
            self._patch.setattr(syscalls, name, double)

    @contextmanager
    def during(self, **doubles: Callable[..., Any]) -> Iterator[None]:
        with self._patch.context() as patch:
            KernelCalls(patch).replace(**doubles)
            yield


def check_fits(name: str, double: Callable[..., Any]) -> None:
    """Raises TypeError where the adapter's calls would not reach the double as they reach the kernel."""
    given: list[object] = []
    named: dict[str, object] = {}
    for parameter in _REAL[name].parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = None
        else:
            given.append(None)
    inspect.signature(double).bind(*given, **named)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> KernelCalls:
    return KernelCalls(monkeypatch)
