"""Waits and limits of a module made so small, or so large, that a test need not sit them out or fill them up."""

from __future__ import annotations

from types import ModuleType

import pytest


def set_numbers(patch: pytest.MonkeyPatch, module: ModuleType, **numbers: float) -> None:
    """Until the test ends. Only what is a number already can be set: no test replaces code by this."""
    for name, number in numbers.items():
        if not isinstance(vars(module)[name], int | float):
            raise TypeError(f"{module.__name__}.{name} is no number")
        patch.setattr(module, name, number)
