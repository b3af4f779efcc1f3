"""Logs of every process: one JSON object a line, with a case id where there is one and never a URL in clear."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, TextIO

import structlog

from receiver.domain.web import defang

_URL = re.compile(r"https?://[^\s\"'<>\\)\]}]*", re.IGNORECASE)
_HIDDEN_URL = re.compile(r"https?(?:%3a|:)(?:%2f|\\u002f|\\?/){2}[^\s\"'<>]*", re.IGNORECASE)
_LOUD_LIBRARIES = ("urllib3", "apscheduler", "alembic", "sqlalchemy.engine")
_OURS, _AGENT = "receiver", "takedown.agent"
MAX_DEPTH = 8


def configure_logs(process: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Send everything, the libraries' lines too, through the same filter to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _named(process),
        structlog.processors.format_exc_info,
        mask_urls,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), name_foreign, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                mask_urls,
                structlog.processors.JSONRenderer(sort_keys=True, default=repr_masked),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _LOUD_LIBRARIES:
        # These say every address they connect to, or every statement with its values.
        logging.getLogger(name).setLevel(logging.WARNING)


def _named(process: str) -> structlog.typing.Processor:
    def add(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("process", process)
        return event

    return add


def name_foreign(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Libraries write sentences; ours are the names of docs/logs.md, for those who filter by `event`."""
    name = str(event["_record"].name)
    if name.partition(".")[0] != _OURS:
        said = "agent.said" if name == _AGENT else "library.said"
        event.update(words=event["event"], event=said, logger=name)
    return event


def mask_urls(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Whatever looks like a web address is defanged to its host, at any depth, in keys too."""
    return {mask_text(str(key)): _masked(value, MAX_DEPTH) for key, value in event.items()}


def mask_text(text: str) -> str:
    text = _URL.sub(lambda found: defang(found[0]), text)
    return _HIDDEN_URL.sub("(a web address)", text)


def repr_masked(value: object) -> str:
    return mask_text(repr(value))


def _masked(value: Any, depth: int) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, str):
        return mask_text(value)
    if depth == 0:
        return "(too deep for a log)"
    if isinstance(value, Mapping):
        return {mask_text(str(key)): _masked(item, depth - 1) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_masked(item, depth - 1) for item in value]
    if isinstance(value, bytes | bytearray):
        return f"({len(value)} bytes)"
    return value if hasattr(value, "levelno") else repr_masked(value)
