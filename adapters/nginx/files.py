"""Small files that a power cut leaves whole, old or new."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

AT_ONCE = 8
"""Syncs of many files share the disk's turns when they are asked for together."""


def read_or_empty(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def write_durably(path: str, data: bytes, mode: int = 0o600) -> None:
    """Replace a file in one step. An existing file's owner and mode are kept, so that nginx can still read it."""
    _prepare(path, data, path, mode)
    os.rename(path + ".new", path)
    sync_folder(os.path.dirname(path))


def write_all_durably(folder: str, files: Mapping[str, bytes], *, like: str) -> None:
    """The same for files of one folder, by name, with the owner and mode of the file `like`.

    The folder is synced once, and also where nothing is to be written: a crash may have come just before.
    """
    paths = {os.path.join(folder, name): data for name, data in files.items()}
    if len(paths) < AT_ONCE:
        for path, data in paths.items():
            _prepare(path, data, like, 0o600)
    else:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda one: _prepare(one[0], one[1], like, 0o600), paths.items()))
    for path in paths:
        os.rename(path + ".new", path)
    sync_folder(folder)


def make_folder_like(path: str, like: str) -> None:
    """A folder for whoever may read the file `like`, and for nobody else."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        sync_folder(os.path.dirname(path))
    with contextlib.suppress(FileNotFoundError):
        known = os.stat(like)
        mode = known.st_mode & 0o777
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchown(folder, known.st_uid, known.st_gid)
            os.fchmod(folder, 0o700 | mode | (mode & 0o444) >> 2)
        finally:
            os.close(folder)


def sync_folder(path: str) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def locked(path: str) -> Iterator[None]:
    """One at a time, in this process and others."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _prepare(path: str, data: bytes, like: str, mode: int) -> None:
    """Write and sync `<path>.new`; what cannot be finished is removed, since the disk may be full."""
    temporary = path + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            with contextlib.suppress(FileNotFoundError):
                known = os.stat(like)
                os.fchown(fd, known.st_uid, known.st_gid)
                os.fchmod(fd, known.st_mode & 0o777)
            file.write(data)
            file.flush()
            os.fsync(fd)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
