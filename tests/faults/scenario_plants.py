"""What a play has and no real process does: bugs to be found, files that keep their numbers, statements made before."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from adapters.filesystem import walk
from receiver.domain.errors import StoreUnavailableError
from receiver.domain.outcome import CommitResult, Outcome
from receiver.store import sqlite
from receiver.vault import directory
from tests.faults import scenario_parts


def steady_files(known: dict[str, int]) -> None:
    """Plain files keep the inode number that `known` gives for theirs, and their change time says what mtime says.

    A replay writes the files anew, so both would be others there, and every pin would say that the bytes changed. No
    scenario changes bytes behind the receiver's back without changing their size or inode.
    """
    numbers = {int(real): told for real, told in known.items()}
    real_stat, real_fstat, real_list = os.stat, os.fstat, walk.OtherNames._list

    def told(found: os.stat_result) -> os.stat_result:
        if not stat.S_ISREG(found.st_mode):
            return found
        fields = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
        fields |= {"st_ctime_ns": found.st_mtime_ns, "st_ctime": found.st_mtime}
        plain = list(found)
        plain[1] = numbers.get(found.st_ino, found.st_ino)
        return os.stat_result(plain, fields)

    def listed(self: Any, root_fd: int, folder: bytes) -> list[tuple[bytes, bool, int]]:
        return [(name, is_dir, numbers.get(inode, inode)) for name, is_dir, inode in real_list(self, root_fd, folder)]

    os.stat = lambda *args, **kwargs: told(real_stat(*args, **kwargs))
    os.fstat = lambda fd: told(real_fstat(fd))
    walk.OtherNames._list = listed  # type: ignore[method-assign]


def share_statements() -> None:
    """A forked child takes the SQL that its parent compiled: that is half of the work of a short play."""
    make = sqlite._engine
    known: list[Engine] = []

    def engine(url: URL) -> Engine:
        made = make(url)
        known.append(made)
        made.dialect, made._compiled_cache = known[0].dialect, known[0]._compiled_cache
        return made

    sqlite._engine = engine


def hasty_commits() -> None:
    """An answer goes out before the disk has what it is about."""
    backend: Any = sqlite.SqliteBackend
    made = backend.__init__

    def init(self: Any, *args: Any) -> None:
        made(self, *args)
        self.writer = self.hasty

    backend.__init__ = init


def unsynced_evidence() -> None:
    """A seal is called good while the disk does not have it."""
    names = {name: getattr(os, name) for name in dir(os)}
    told: Any = directory
    told.os = SimpleNamespace(**{**names, "fsync": lambda _file: None})


def unsettled_names() -> None:
    """A seal is called good while the second header store has its bytes and not their names."""
    store: Any = directory.DirectoryStore
    settle = store.settle
    store.settle = lambda self, refs: None if self.root.endswith("second") else settle(self, refs)


def answers_anyway() -> None:
    """Whoever waits for a commit hears that it is written, also where it is not."""
    submit = scenario_parts.OneThread.submit

    def pleased(self: scenario_parts.OneThread, outcome: Outcome) -> CommitResult:
        with contextlib.suppress(StoreUnavailableError):
            return submit(self, outcome)
        return CommitResult()

    scenario_parts.OneThread.submit = pleased  # type: ignore[method-assign]


PLANTS: dict[str, Callable[[], None]] = {
    "hasty_commits": hasty_commits,
    "unsynced_evidence": unsynced_evidence,
    "unsettled_names": unsettled_names,
    "answers_anyway": answers_anyway,
}
