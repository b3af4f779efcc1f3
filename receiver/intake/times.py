"""RFC 3339 times as issuers write them."""

from __future__ import annotations

import datetime as dt
import re

_RFC3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d{2}):(\d{2}))", re.ASCII
)


def parse_rfc3339(text: str) -> dt.datetime | None:
    """An aware time in UTC, or None when it is not RFC 3339 with an offset (section 5.6).

    Finer than microseconds is cut off. A leap second counts as the second after it.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[n]) for n in range(1, 7))
    micros = int((match[7] or "0").ljust(6, "0")[:6])
    leap = second == 60
    try:
        moment = dt.datetime(year, month, day, hour, minute, 59 if leap else second, micros, tzinfo=_offset(match))
        return moment.astimezone(dt.UTC) + dt.timedelta(seconds=1 if leap else 0)
    except (ValueError, OverflowError):
        return None


def _offset(match: re.Match[str]) -> dt.timezone:
    if match[8]:
        return dt.UTC
    hours, minutes = int(match[10]), int(match[11])
    if hours > 23 or minutes > 59:
        raise ValueError("no such offset")
    delta = dt.timedelta(hours=hours, minutes=minutes)
    return dt.timezone(-delta if match[9] == "-" else delta)
