"""Canonical JSON: what is hashed must have one spelling, and come back as it was."""

from __future__ import annotations

from typing import Any

import pytest

from receiver.domain.canonical import canonical_json, load_json


@pytest.mark.parametrize("value", [None, True, 7, "text", b"\xff\0", {"b": [1, b"x"], "a": ()}])
def test_values_come_back_as_written(value: Any) -> None:
    written = canonical_json(value)
    assert canonical_json(load_json(written)) == written


@pytest.mark.parametrize("value", [{1: "x"}, {b"x": 1}, 0.5, {"a": [0.5]}, {"x"}])
def test_values_without_one_spelling_are_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


@pytest.mark.parametrize("text", ["QUJ=", "QUI=\n", "QU I="])
def test_other_spellings_of_bytes_are_refused(text: str) -> None:
    """Two texts for the same bytes would be two hashes for the same entry."""
    with pytest.raises(ValueError):
        load_json(canonical_json({"b64": text}))
