"""What a direction says, and what is refused with its fault named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from receiver.intake.direction import parse_direction
from receiver.intake.errors import IntakeError
from tests.unit.intake.bodies import DIRECTION, direction, faults


@pytest.mark.parametrize("kind", ["withdraw", "proceed", "hold", "release_hold", "allow_customer_notice"])
def test_every_direction_is_read(kind: str) -> None:
    parsed = direction(
        direction=kind, items=["1", "2"], reason="why\nso", until="2027-01-01T00:00:00Z", police_reference="P"
    )
    assert (parsed.direction, parsed.items) == (kind, ("1", "2"))


def test_direction_without_items_means_all() -> None:
    assert direction().items is None
    assert direction(items=None).items is None


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"schema": "takedown-notice/1"}, "/schema"),
        ({"direction": "delete"}, "/direction"),
        ({"direction_id": ""}, "/direction_id"),
        ({"items": []}, "/items"),
        ({"items": "1"}, "/items"),
        ({"items": [1]}, "/items/0"),
        ({"items": ["1", "1"]}, "/items/1"),
        ({"items": [[]]}, "/items/0"),
        ({"until": "tomorrow"}, "/until"),
        ({"reason": 7}, "/reason"),
        ({"issued_at": None}, "/issued_at"),
        ({"notice_id": "x"}, "/notice_id"),
    ],
)
def test_bad_direction_is_refused(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(IntakeError) as caught:
        direction(**changes)
    assert list(faults(caught)) == [pointer]
    assert caught.value.type == "invalid-direction"


def test_direction_without_schema_is_refused() -> None:
    body = json.dumps({name: value for name, value in DIRECTION.items() if name != "schema"}).encode()
    with pytest.raises(IntakeError):
        parse_direction(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b'{"schema":NaN}', b"\xff"])
def test_direction_garbage_stays_in_family(body: bytes) -> None:
    with pytest.raises(IntakeError):
        parse_direction(body)
