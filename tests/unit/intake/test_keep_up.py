"""Content is kept up for the police only with every condition met."""

from __future__ import annotations

from typing import Any

import pytest

from receiver.domain.notice import Notice
from receiver.intake.errors import IntakeError
from receiver.intake.handling import check_handling
from receiver.intake.limits import Limits
from tests.unit.intake.bodies import NOW, faults, notice


def keep_up(**changes: Any) -> Notice:
    fields = {"handling": {"act": "preserve_only", "police_reference": "P-1"}, "deadline": "2026-11-25T09:30:00Z"}
    return notice(**{**fields, **changes})


def test_keeping_up_with_all_conditions_is_taken() -> None:
    check_handling(keep_up(), may_keep_up=True, received_at=NOW)
    check_handling(notice(), may_keep_up=False, received_at=NOW)


@pytest.mark.parametrize(
    ("changes", "may", "pointer"),
    [
        ({}, False, "/handling/act"),
        ({"handling": {"act": "preserve_only"}}, True, "/handling/police_reference"),
        ({"deadline": None}, True, "/deadline"),
        ({"deadline": "2026-11-25T09:30:01Z"}, True, "/deadline"),
        ({"deadline": "2026-11-22T09:30:00Z"}, True, "/deadline"),
    ],
)
def test_keeping_up_otherwise_is_refused(changes: dict[str, Any], may: bool, pointer: str) -> None:
    with pytest.raises(IntakeError) as caught:
        check_handling(keep_up(**changes), may_keep_up=may, received_at=NOW)
    assert list(faults(caught)) == [pointer]
    assert caught.value.status == 422


def test_keep_up_hours_are_a_setting() -> None:
    with pytest.raises(IntakeError):
        check_handling(keep_up(), may_keep_up=True, received_at=NOW, limits=Limits(keep_up_max_hours=71))
