"""Reads the members of one JSON object, collecting every fault instead of stopping at the first."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from receiver.domain.strict_json import shown_name
from receiver.intake.errors import FieldFault
from receiver.intake.limits import MAX_ERRORS
from receiver.intake.times import parse_rfc3339

ID_PATTERN = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
SLUG_PATTERN = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
TOKEN_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,63}", re.ASCII)
REQUIRED = object()
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LAYOUT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Faults:
    """The list that all readers of one body share."""

    def __init__(self) -> None:
        self._found: list[FieldFault] = []

    def add(self, pointer: str, message: str) -> None:
        if len(self._found) < MAX_ERRORS:
            self._found.append(FieldFault(pointer=pointer, message=message))

    def all(self) -> tuple[FieldFault, ...]:
        return tuple(self._found)

    def __bool__(self) -> bool:
        return bool(self._found)


class Members:
    """One object's members. Each getter returns a usable value even after a fault; look at the faults at the end."""

    def __init__(self, value: object, pointer: str, faults: Faults) -> None:
        self.pointer = pointer
        self.faults = faults
        self.value: Mapping[str, Any] = value if isinstance(value, dict) else {}
        if not isinstance(value, dict):
            faults.add(pointer, "must be an object")

    def at(self, name: str) -> str:
        return f"{self.pointer}/{name}"

    def refuse_others(self, known: frozenset[str]) -> None:
        """Name every member that the protocol does not know, so that no issuer believes it was heeded."""
        for name in self.value:
            if name not in known:
                shown = shown_name(name).replace("~", "~0").replace("/", "~1")
                self.faults.add(f"{self.pointer}/{shown}", "is not a member this version knows")

    def raw(self, name: str, default: object = None) -> Any:
        if name not in self.value and default is REQUIRED:
            self.faults.add(self.at(name), "is required")
            return None
        return self.value.get(name, default)

    def match(self, name: str, pattern: re.Pattern[str], rule: str, *, default: object = REQUIRED) -> str:
        value = self.raw(name, default)
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        if name in self.value:
            self.faults.add(self.at(name), rule)
        return ""

    def text(self, name: str, limit: int, *, layout: bool = False) -> str | None:
        """Free text or null. `layout` allows line ends and tabs; other control characters never pass."""
        value = self.raw(name)
        if value is None:
            return None
        if not is_text(value, limit, layout=layout):
            self.faults.add(self.at(name), f"must be text of 1 to {limit} characters without control characters")
            return None
        return str(value)

    def choice(self, name: str, allowed: tuple[str, ...], *, default: object = REQUIRED) -> str:
        value = self.raw(name, default)
        if isinstance(value, str) and value in allowed:
            return value
        if name in self.value:
            self.faults.add(self.at(name), f"must be one of: {', '.join(allowed)}")
        return ""

    def flag(self, name: str) -> bool:
        value = self.raw(name, default=False)
        if isinstance(value, bool):
            return value
        self.faults.add(self.at(name), "must be true or false")
        return False

    def time(self, name: str, *, default: object = None) -> dt.datetime | None:
        value = self.raw(name, default)
        if value is None and default is not REQUIRED:
            return None
        moment = parse_rfc3339(value) if isinstance(value, str) else None
        if moment is None and name in self.value:
            self.faults.add(self.at(name), "must be an RFC 3339 time with an offset, such as 2026-11-22T09:30:00Z")
        return moment

    def address(self, name: str) -> str | None:
        value = self.raw(name)
        if value is None:
            return None
        try:
            # str first: an int would pass for an address too.
            return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
        except ValueError:
            self.faults.add(self.at(name), "must be an IPv4 or IPv6 address")
            return None


def is_text(value: object, limit: int, *, layout: bool = False) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        return False
    return not (_CONTROL_BUT_LAYOUT if layout else _CONTROL).search(value)
