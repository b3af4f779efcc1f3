"""Reads a gate's map files as nginx does, for tests that need no nginx."""

from __future__ import annotations

import re
from pathlib import Path

INCLUDE = re.compile(rb'^include "([^"\\]+)";$')


def lines_in(path: Path) -> list[bytes]:
    """All lines that nginx would read, in order. Raises FileNotFoundError where nginx would not start."""
    lines: list[bytes] = []
    for line in path.read_bytes().split(b"\n"):
        found = INCLUDE.match(line)
        lines += lines_in(Path(found[1].decode())) if found else [line]
    return lines


def denied_in(path: Path) -> set[bytes]:
    """Paths of plain names that the file refuses."""
    return set(re.findall(rb'^"[^ ]+ +(/[^ "]+)" "', b"\n".join(lines_in(path)), re.MULTILINE))
