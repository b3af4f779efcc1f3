"""Clears away what an earlier demonstration left, frozen evidence too."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
from collections.abc import Collection
from pathlib import Path

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
IMMUTABLE, APPEND_ONLY = 0x10, 0x20


def clear_folder(root: Path, *, spare: Collection[str]) -> None:
    """Delete everything in the folder but the spared names."""
    for entry in root.iterdir():
        if entry.name in spare:
            continue
        if entry.is_dir() and not entry.is_symlink():
            thaw(entry)
            shutil.rmtree(entry)
        else:
            entry.unlink()


def thaw(folder: Path) -> None:
    """The agent makes held bytes immutable, and what is immutable not even root can delete."""
    for parent, _, names in os.walk(folder):
        for path in (parent, *(os.path.join(parent, name) for name in names)):
            # Sockets and links have no flags, and where a flag cannot be cleared the deletion says why.
            with contextlib.suppress(OSError):
                _thaw_one(path)


def _thaw_one(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(handle, FS_IOC_GETFLAGS, struct.pack("l", 0)))
        if flags & (IMMUTABLE | APPEND_ONLY):
            fcntl.ioctl(handle, FS_IOC_SETFLAGS, struct.pack("l", flags & ~(IMMUTABLE | APPEND_ONLY)))
    finally:
        os.close(handle)
