"""Which texts are times, and which moment they mean."""

from __future__ import annotations

import datetime as dt
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.intake.times import parse_rfc3339
from tests.unit.intake.bodies import NOW


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T09:30:00Z",
        "2026-11-22t10:30:00.0+01:00",
        "2026-11-22T09:30:00-00:00",
        "2026-11-21T09:31:00.000000000-23:59",
    ],
)
def test_times_mean_the_same_moment(text: str) -> None:
    assert parse_rfc3339(text) == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T09:30Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T09:30:00",
        "0001-01-01T00:00:00+01:00",
        "2026-11-22T09:30:00+24:00",
        "2026-11-22T09:30:61Z",
        "20261122T093000Z",
        "2026-11-22T09:30:00Z\n",
    ],
)
def test_other_texts_are_no_times(text: str) -> None:
    assert parse_rfc3339(text) is None


@given(st.datetimes(min_value=dt.datetime(2, 1, 1), max_value=dt.datetime(9998, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
@settings(deadline=None)
def test_any_written_time_is_read_back(moment: datetime) -> None:
    offset = moment.utcoffset()
    assert offset is not None
    whole = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=round(offset.total_seconds() / 60))))
    assert parse_rfc3339(whole.isoformat()) == whole
