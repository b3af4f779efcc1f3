"""What is said of a reload that is not enough."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

log = structlog.get_logger(__name__)


def say_waiting(settings: Sequence[str]) -> None:
    """Name the changed settings that a process takes in only when it starts."""
    if settings:
        log.warning("reload.restart_needed", settings=list(settings))
