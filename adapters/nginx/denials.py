"""What each operation denies, kept beside the map file and written before nginx hears of it.

A small SQLite file, so that one change costs the same beside one denied URL and beside a million. The map files can be
made again from it; it can be made from nothing.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from adapters.nginx.book import State
from adapters.nginx.operations import Change, View
from adapters.nginx.schema import connect, in_our_words, is_new, make_tables


class Denials:
    """Safe to use from several threads and processes.

    Args:
        path: of the SQLite file; its folder must be on a local disk.
        first: what a book that does not exist yet begins with. May raise AdapterError where one was lost.
    """

    def __init__(self, path: str, first: Callable[[], State]) -> None:
        self._path, self._first = path, first
        self._lock = threading.RLock()
        self._held: list[sqlite3.Connection] = []
        self._inode = 0
        # A process that ends in good order leaves one file, which may then be copied.
        weakref.finalize(self, _close_all, self._held)

    def close(self) -> None:
        with self._lock:
            _close_all(self._held)

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """All or nothing, durable when it ends, and one at a time."""
        with self._within("BEGIN IMMEDIATE") as link:
            yield Change(link)

    @contextmanager
    def noting(self) -> Iterator[Change]:
        """The same for what a power cut may take back: it becomes durable with the next change."""
        with self._within("BEGIN IMMEDIATE", "NORMAL") as link:
            yield Change(link)

    @contextmanager
    def reading(self) -> Iterator[View]:
        """Everything as of one moment."""
        with self._within("BEGIN") as link:
            yield View(link)

    @contextmanager
    def _within(self, begin: str, synchronous: str = "FULL") -> Iterator[sqlite3.Connection]:
        with self._lock, in_our_words():
            link = self._connected()
            try:
                link.execute(f"PRAGMA synchronous = {synchronous}")
                link.execute(begin)
                yield link
                link.execute("COMMIT")
            except sqlite3.Error:
                # After a failed write nothing is assumed about the connection; the next one looks at the file anew.
                self.close()
                raise
            except BaseException:
                link.execute("ROLLBACK")
                raise

    def _connected(self) -> sqlite3.Connection:
        """The file may have been put back from a backup, or taken away, while we had it open."""
        try:
            inode = os.stat(self._path).st_ino
        except FileNotFoundError:
            inode = 0
        if self._held and inode and inode == self._inode:
            return self._held[0]
        self.close()
        first = self._first() if not inode else None
        link = connect(self._path)
        try:
            if is_new(link):
                self._begin(link, first or self._first())
        except BaseException:
            link.close()
            raise
        self._inode = os.stat(self._path).st_ino
        self._held.append(link)
        return link

    def _begin(self, link: sqlite3.Connection, first: State) -> None:
        link.execute("BEGIN IMMEDIATE")
        if is_new(link):
            make_tables(link)
            Change(link).carry_over(first)
        link.execute("COMMIT")


def _close_all(links: list[sqlite3.Connection]) -> None:
    while links:
        with contextlib.suppress(sqlite3.Error):
            links.pop().close()
