"""The database as a command has it: opened, used, closed; and acts under the name of whoever typed it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from receiver.cli.base import CommandError, check_files
from receiver.config import Config
from receiver.domain.errors import ConflictError, ReceiverError
from receiver.domain.outcome import Outcome
from receiver.store import SqlStore
from receiver.wiring import build_store

MAKE_IT = "Type: takedown-receiver db upgrade, which makes it; one that was lost comes back from the backup instead"


@contextmanager
def opened(config: Config) -> Iterator[SqlStore]:
    """Makes no file and no folder: who types a command may not be the user of the processes."""
    # The admin side's files are the data key and the database's password: all that opening it takes.
    check_files(config, "admin")
    if config.database.is_to_be_made:
        raise CommandError(f"the database {config.database.sqlite_path} is not there yet. {MAKE_IT}")
    store = build_store(config, make_folders=False)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def opened_if_it_opens(config: Config) -> Iterator[SqlStore | None]:
    """For a look at what it says; None where it does not open, which `check` says in words of its own."""
    store = None
    if not config.database.is_to_be_made:
        with suppress(ReceiverError, OSError):
            store = build_store(config, make_folders=False)
    try:
        yield store
    finally:
        if store is not None:
            store.close()


def who_typed() -> str:
    """`cli:anna`: the person behind sudo, where there is one."""
    return f"cli:{os.environ.get('SUDO_USER') or getpass.getuser()}"


def write(store: SqlStore, outcome: Outcome, *, conflict: str) -> None:
    """One outcome in one transaction; `conflict` says what it means that the rows stood otherwise."""
    (result,) = store.commit([outcome])
    if isinstance(result.error, ConflictError):
        raise CommandError(conflict) from result.error
    if result.error is not None:
        raise result.error
