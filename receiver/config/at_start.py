"""Settings that a process takes in when it starts: a reload leaves them as they were, and says which ones wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from receiver.config.models import Config

_EVERYWHERE = "database server.data_dir server.log_level keys.data_key_file"
_BY_PROCESS: Mapping[str, str] = {
    "web": "server.public_bind server.web_processes server.web_threads server.tls_cert_file server.tls_key_file",
    "admin": "server.admin_bind server.admin_threads",
    "worker": "keys.ledger_key_file ledger worker",
}


def _spelled(names: str) -> Iterator[str]:
    """Each setting by itself where a whole table was named."""
    for name in names.split():
        table, dot, _ = name.partition(".")
        members: Any = () if dot else Config.model_fields[table].annotation
        yield from (f"{table}.{key}" for key in members.model_fields) if members else (name,)


AT_START: Mapping[str, tuple[str, ...]] = {
    process: tuple(_spelled(f"{_EVERYWHERE} {names}")) for process, names in _BY_PROCESS.items()
}
"""By process. All that stands nowhere here is in force as soon as that process has read it again."""


def in_force(process: str, running: Config, read: Config) -> tuple[Config, tuple[str, ...]]:
    """What a process goes by after a reload, and the names of changed settings that wait for its next start."""
    waiting = tuple(name for name in AT_START[process] if _value(running, name) != _value(read, name))
    kept: dict[str, dict[str, Any]] = {}
    for name in waiting:
        table, _, key = name.partition(".")
        kept.setdefault(table, {})[key] = _value(running, name)
    tables = {table: getattr(read, table).model_copy(update=values) for table, values in kept.items()}
    return read.model_copy(update=tables), waiting


def _value(config: Config, name: str) -> object:
    table, _, key = name.partition(".")
    return getattr(getattr(config, table), key)
