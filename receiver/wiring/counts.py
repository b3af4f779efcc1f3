"""Counts of the public side's processes, added up for whoever asks the staff side.

Each process keeps its counts in a file of its own under `data_dir/run/figures`, locked while it lives. A new process
takes over what dead ones left, so the sum never falls: not when a process ends, not when all are started anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from receiver.config.durable import make_folder
from receiver.domain.figures import Count
from receiver.domain.ids import new_id

MAX_FILE_BYTES = 1024 * 1024
_TRIES = 20
Key = tuple[str, tuple[tuple[str, str], ...]]


class CountsFile:
    """One process's counts. Open it after the fork. Raises OSError where the folder cannot be used."""

    def __init__(self, data_dir: Path) -> None:
        self._lock = threading.Lock()
        folder = _folder(data_dir)
        make_folder(folder, mode=0o750)
        with _locked(folder, fcntl.LOCK_EX):
            dead = list(_unlocked(folder))
            self._counts = _sum(dead)
            self._file = os.open(folder / f"web-{new_id()}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._length = 0
            self._write()
            for path in dead:
                path.unlink()

    def add(self, name: str, labels: dict[str, str]) -> None:
        """Count one more. It is in the file when this returns, though not on the disk."""
        with self._lock:
            self._counts[name, tuple(sorted(labels.items()))] += 1
            self._write()

    def close(self) -> None:
        """What a request that would not end counts later is lost: the descriptor may be another file's by then."""
        with self._lock:
            file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _write(self) -> None:
        body = json.dumps([[name, labels, value] for (name, labels), value in self._counts.items()]).encode()
        data = b"%08x %s" % (zlib.crc32(body), body)
        # Never shorter than before: whoever reads in this moment finds no old end behind a new beginning.
        self._length = max(self._length, len(data))
        with contextlib.suppress(OSError):
            # A full disk costs counts, never a notice; the next count brings the whole again.
            os.pwrite(self._file, data.ljust(self._length), 0)


def read_counts(data_dir: Path) -> Sequence[Count]:
    """The sum over all processes, dead ones too. Empty where none ever ran here."""
    folder = _folder(data_dir)
    try:
        with _locked(folder, fcntl.LOCK_SH):
            total = _sum(folder.glob("web-*"))
    except OSError:
        return ()
    return tuple(Count(name=name, labels=dict(labels), value=value) for (name, labels), value in total.items())


def _folder(data_dir: Path) -> Path:
    return data_dir / "run" / "figures"


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _unlocked(folder: Path) -> Iterator[Path]:
    """Files of processes that ended."""
    for path in folder.glob("web-*"):
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield path
        except BlockingIOError:
            continue
        finally:
            os.close(handle)


def _sum(paths: Iterator[Path] | Sequence[Path]) -> Counter[Key]:
    total: Counter[Key] = Counter()
    for path in paths:
        for name, labels, value in _read(path):
            total[name, tuple((key, word) for key, word in labels)] += value
    return total


def _read(path: Path) -> list[tuple[str, list[list[str]], int]]:
    """Read again where a write came in between; what stays broken counts nothing."""
    for _ in range(_TRIES):
        mark, _, body = path.read_bytes()[:MAX_FILE_BYTES].rstrip().partition(b" ")
        with contextlib.suppress(ValueError):
            if int(mark, 16) == zlib.crc32(body):
                found: list[tuple[str, list[list[str]], int]] = json.loads(body)
                return found
    return []
