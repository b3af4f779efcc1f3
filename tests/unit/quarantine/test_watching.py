"""When what is down is looked at again."""

from __future__ import annotations

import pytest

from receiver.quarantine.watching import DAY, HOUR, SECOND, next_look, should_purge


@pytest.mark.parametrize(
    ("passed", "due"),
    [
        (-SECOND, 30 * SECOND),
        (0, 30 * SECOND),
        (30 * SECOND, 300 * SECOND),
        (300 * SECOND, 300 * SECOND + HOUR),
        (DAY - 1, DAY - 1 + HOUR),
        (DAY, 2 * DAY),
        (14 * DAY - 1, 15 * DAY - 1),
        (14 * DAY, 21 * DAY),
        (90 * DAY - 1, 97 * DAY - 1),
        (90 * DAY, None),
    ],
)
def test_looks_grow_rarer_until_the_end(passed: int, due: int | None) -> None:
    assert next_look(started_at=0, now=passed, watch_days=90) == due


@pytest.mark.parametrize(
    ("now", "purged", "again"),
    [
        (29 * SECOND, [], False),
        (30 * SECOND, [0], True),
        (30 * SECOND, [0, 30 * SECOND], False),
        (299 * SECOND, [30 * SECOND], False),
        (300 * SECOND, [30 * SECOND], True),
        (DAY, [30 * SECOND, 301 * SECOND], False),
    ],
)
def test_each_further_purge_is_made_once(now: int, purged: list[int], again: bool) -> None:
    assert should_purge(started_at=0, now=now, purged_at=purged) is again
