"""Calls that have to be refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from receiver.steps.refusals import RefusedError


def refusal(call: Callable[..., Any], *args: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        call(*args)
    return caught.value
