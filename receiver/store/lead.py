"""One leader by name among all processes of this machine, for the sequencer and the sweeps."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLead:
    """By `flock`; the kernel gives it back when the process ends."""

    def __init__(self, file: int) -> None:
        self._file: int | None = file

    @classmethod
    def take(cls, path: Path) -> FileLead | None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        return cls(file)

    def held(self) -> bool:
        return self._file is not None

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> FileLead:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()
