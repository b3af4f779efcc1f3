"""The conformance kit: classes a test file inherits to prove that an adapter keeps the contract.

The only package here that needs pytest; nothing else in `adapters` imports it. How to use it is in
docs/writing-an-adapter.md.
"""

from __future__ import annotations

import pytest

# Without this a failing case of the kit shows a bare AssertionError instead of the two values.
pytest.register_assert_rewrite(
    "adapters.conformance.cache",
    "adapters.conformance.gate",
    "adapters.conformance.hostile",
    "adapters.conformance.late",
    "adapters.conformance.lies",
    "adapters.conformance.names",
    "adapters.conformance.removing",
    "adapters.conformance.restarts",
    "adapters.conformance.storage",
)
