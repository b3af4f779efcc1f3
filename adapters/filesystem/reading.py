"""A file as a stream that ends well only if nobody wrote to the file meanwhile."""

from __future__ import annotations

import os

from adapters.contract import Changed, Reader, Retryable


class FileReader(Reader):
    """Owns its descriptor."""

    def __init__(self, fd: int, before: os.stat_result, offset: int) -> None:
        self._fd = fd
        self._before = before
        self._offset = offset

    def _read(self, size: int) -> bytes:
        if self._fd < 0:
            raise ValueError("the reader is closed")
        data = os.pread(self._fd, size, self._offset)
        self._offset += len(data)
        if not data:
            self._check()
            if self._offset < self._before.st_size:
                raise Retryable("the disk gave fewer bytes than the file has")
        return data

    def _check(self) -> None:
        now, before = os.fstat(self._fd), self._before
        if (now.st_size, now.st_mtime_ns, now.st_ctime_ns) != (before.st_size, before.st_mtime_ns, before.st_ctime_ns):
            raise Changed("the file changed while it was read")

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self._close()
