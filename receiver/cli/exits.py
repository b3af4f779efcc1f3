"""What the exit codes say. They are documented in docs/operating.md; scripts rely on them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    PROBLEM = 1
    """It ran and found something wrong, or was told no."""
    USAGE = 2
    """The command was typed wrongly."""
    SETTINGS = 3
    """The settings hold mistakes; all were listed."""
    UNREACHABLE = 4
    """The database, the agent or another server could not be reached; try again later."""
