"""Every harness by name."""

from __future__ import annotations

from tests.faults.fuzz import inside, outside
from tests.faults.fuzz.harness import FOUND, Harness
from tests.faults.fuzz.planted import PLANTED

MODULES = (outside, inside)
HARNESSES: dict[str, Harness] = dict(sorted(FOUND.items()))
ALL: dict[str, Harness] = {**HARNESSES, **PLANTED}
