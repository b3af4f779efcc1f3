"""JSON that everybody must read alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.domain.strict_json import StrictJsonError, load_strict_json, shown_name
from receiver.intake.same import same_notice
from tests.support import cpu_limit

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
SAFE = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15) | TEXT
VALUES = st.recursive(
    SAFE, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=8
)


@given(VALUES)
@settings(deadline=None)
def test_ordinary_json_is_read(value: bool | dict[str, Any] | None) -> None:
    assert load_strict_json(json.dumps(value).encode(), max_depth=64) == value
    assert load_strict_json(json.dumps(value, ensure_ascii=False, indent=2).encode(), max_depth=64) == value


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0d8ae1NIn-.tf \n', max_size=60).map(lambda text: text.encode()))
@settings(max_examples=400, deadline=None)
def test_anything_else_stays_in_family(data: bytes) -> None:
    try:
        value = load_strict_json(data)
    except StrictJsonError:
        return
    assert json.loads(data) == value


@pytest.mark.parametrize("depth", [1, 15, 16])
def test_depth_within_limit_is_read(depth: int) -> None:
    assert load_strict_json(b"[" * depth + b"]" * depth) is not None


@pytest.mark.parametrize(
    "data",
    [b"[" * 17 + b"]" * 17, b'{"a":' * 17 + b"1" + b"}" * 17, b"[" * 1_000_000, b'["\\""' + b",[" * 17 + b"]" * 18],
)
def test_depth_beyond_limit_is_refused(data: bytes) -> None:
    with pytest.raises(StrictJsonError) as caught:
        load_strict_json(data)
    assert caught.value.kind == "too-deep"


def test_brackets_inside_strings_do_not_count() -> None:
    assert load_strict_json(b'["' + b"[" * 50 + b'\\"[[[[[[[[[[[[[[[[[[["]')


def test_unfinished_string_is_refused_quickly() -> None:
    with pytest.raises(StrictJsonError):
        load_strict_json(b'["' + b"\\" * 500_000)


def test_message_shows_name_safely() -> None:
    assert shown_name("a\nb\u202e" + "x" * 100) == "a?b?" + "x" * 36 + "..."
    with pytest.raises(StrictJsonError, match='member "a\\?b" stands twice'):
        load_strict_json(b'{"a\\nb":1,"a\\nb":"secret"}')


@given(st.dictionaries(TEXT, VALUES, max_size=4))
@settings(deadline=None)
def test_layout_does_not_make_another_notice(value: dict[str, Any]) -> None:
    one = json.dumps(value, indent=3).encode()
    other = rfc8785.dumps(value)
    assert same_notice(one, other)
    assert same_notice(other, one)


@given(VALUES, VALUES)
@settings(deadline=None)
def test_sameness_is_canonical_equality(
    first: bool | dict[str, Any] | None, second: bool | dict[str, Any] | None
) -> None:
    one, other = json.dumps(first).encode(), json.dumps(second).encode()
    assert same_notice(one, other) == (rfc8785.dumps(first) == rfc8785.dumps(second))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"a":1,"b":2}', b'{ "b": 2, "a": 1 }', True),
        (b'{"a":"\\u00e9"}', '{"a":"é"}'.encode(), True),
        (b'{"a":1.0}', b'{"a":1}', True),
        (b'{"a":"1"}', b'{"a":1}', False),
        (b'{"a":true}', b'{"a":1}', False),
        (b"[1,2]", b"[2,1]", False),
        (b'{"a":123456789012345678901}', b'{ "a":123456789012345678901}', True),
        (b'{"a":123456789012345678901}', b'{"a":123456789012345678902}', False),
        (b'{"a":1,"a":1}', b'{"a":1}', False),
        (b'{"a":1,"a":1}', b'{"a":1,"a":1}', True),
    ],
)
def test_sameness_by_example(one: bytes, other: bytes, same: bool) -> None:
    assert same_notice(one, other) is same


@pytest.mark.parametrize("letters", [b'\\"', b'"', b"\\", b'"\\', b'"[', b'\\"{'])
def test_strings_without_end_take_no_time(letters: bytes) -> None:
    """A megabyte took hours where every quote in it was tried as the beginning of a string."""
    with cpu_limit(60), pytest.raises(StrictJsonError):
        load_strict_json(b'{"a":"' + letters * (1_000_000 // len(letters)))
