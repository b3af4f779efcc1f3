"""Small files that a power cut leaves whole, old or new."""
from __future__ import annotations

import contextlib
import os


def read_or_empty(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def write_durably(path: str, data: bytes, mode: int = 0o600) -> None:
    """Replace a file in one step. An existing file's owner and mode are kept, so that nginx can still read it."""
    temporary = path + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        with contextlib.suppress(FileNotFoundError):
            known = os.stat(path)
            os.fchown(fd, known.st_uid, known.st_gid)
            os.fchmod(fd, known.st_mode & 0o777)
        file.write(data)
        file.flush()
        os.fsync(fd)
    os.rename(temporary, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
