"""Copies of checkpoints in places that this host should not be able to rewrite: other disks, mounts, WORM shares.

Each copy is one file that only grows: signed notes, an empty line after each. Without a copy outside, whoever is root
here could rewrite the ledger and sign it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from receiver.ledger.errors import LedgerCopyError

FILE_NAME = "checkpoints.txt"
# Bounded, so that a file full of something else is read through in one go.
_NOTE = re.compile("(?m:^)(?:[^\n]{1,1000}\n){1,16}\n(?:\N{EM DASH} [^\n]{1,1000}\n){1,16}(?=\n)")
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class CopyContent:
    """What a copy holds: its notes in order, unchecked, and how many letters belong to none."""

    notes: tuple[str, ...]
    unreadable: int

    @property
    def last(self) -> str | None:
        return self.notes[-1] if self.notes else None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Which copies took a checkpoint, and in words why others did not."""

    names: tuple[str, ...]
    problems: tuple[str, ...]


class DirectoryCopy:
    """One folder that takes copies. It must exist: a mount that is away must not be replaced by a folder here."""

    def __init__(self, folder: str, *, name: str | None = None) -> None:
        self.name = name or folder
        self._folder = folder
        self._path = os.path.join(folder, FILE_NAME)
        self._named = False

    def append(self, note: str) -> None:
        """Add a note, durable when this returns. Raises LedgerCopyError, and the file is then as it was."""
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._append(descriptor, note)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise LedgerCopyError(f"{self._failed('write')} ({error.strerror})") from error

    def read(self) -> CopyContent:
        """Everything. Raises LedgerCopyError; a copy never written to is empty."""
        return parse_copy(self._read(None))

    def read_end(self) -> CopyContent:
        """The newest notes, for the check before each new one."""
        return parse_copy(self._read(_TAIL_BYTES))

    def _append(self, descriptor: int, note: str) -> None:
        size = os.fstat(descriptor).st_size
        # A crash may have left half a note: begin after an empty line, so that ours can be read.
        sound = size == 0 or os.pread(descriptor, 2, max(0, size - 2)) == b"\n\n"
        data = (("" if sound else "\n\n") + note + "\n").encode()
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
            if size == 0 or not self._named:
                # Whoever made the file may not have lived to do this.
                _sync_folder(self._folder)
                self._named = True
        except OSError:
            # An append-only file cannot be cut; then the half note stays and `ledger verify` names it.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
            raise

    def _read(self, tail_bytes: int | None) -> str:
        try:
            if not os.path.isdir(self._folder):
                raise LedgerCopyError(self._failed("find"))
            with open(self._path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                start = max(0, size - tail_bytes) if tail_bytes else 0
                file.seek(start)
                data = file.read()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise LedgerCopyError(f"{self._failed('read')} ({error.strerror})") from error
        text = data.decode("utf-8", "replace")
        return text.partition("\n\n\N{EM DASH}")[2].partition("\n\n")[2] if start else text

    def _failed(self, doing: str) -> str:
        return f"could not {doing} the checkpoint copy {self.name}; is it mounted and writable?"


class CopySet:
    """All copies; fills the port `LedgerCopies`."""

    def __init__(self, copies: Sequence[DirectoryCopy]) -> None:
        self._copies = tuple(copies)

    def __iter__(self) -> Iterator[DirectoryCopy]:
        return iter(self._copies)

    def names(self) -> Iterator[str]:
        return (copy.name for copy in self._copies)

    def append(self, note: str) -> tuple[str, ...]:
        return self.put(note).names

    def put(self, note: str) -> Taken:
        """Give it to every copy; one that fails does not keep the others from it."""
        names, problems = [], []
        for copy in self._copies:
            try:
                copy.append(note)
            except LedgerCopyError as error:
                problems.append(str(error))
            else:
                names.append(copy.name)
        return Taken(names=tuple(names), problems=tuple(problems))


def parse_copy(text: str) -> CopyContent:
    notes, unreadable, position = [], 0, 0
    for found in _NOTE.finditer(text):
        unreadable += len(text[position : found.start()].strip("\n"))
        notes.append(found.group())
        position = found.end() + 1
    return CopyContent(notes=tuple(notes), unreadable=unreadable + len(text[position:].strip("\n")))


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
