"""What is written down of a file: its pin, and all that an exact undo and the evidence need."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import Any, Optional

from adapters.contract import Pin, Version, to_json
from adapters.filesystem import syscalls
from adapters.filesystem.walk import NotPlain

UNREADABLE = syscalls.NO_FLAGS_HERE | {errno.ENODATA, errno.EPERM, errno.EACCES}
"""An extended attribute that went away meanwhile, or is not for our eyes."""

MAX_XATTR_BYTES = 256 * 1024
"""Kept of the values; of more their hashes stand, or a customer could make an observation too large to be carried."""


def fingerprint(found: os.stat_result) -> str:
    """Names these bytes for as long as nobody writes: the change time cannot be set back, the others can."""
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


def pin_of(found: os.stat_result, op_id: str = "") -> Pin:
    """`op_id` stands in the pin of a file in quarantine, so that `open` finds it there."""
    return Pin(f"fs1:{fingerprint(found)}" + (f":{op_id}" if op_id else ""))


def op_id_of(pin: Pin) -> str:
    """The operation that holds these bytes; empty for a file in its own place."""
    parts = pin.value.split(":")
    return parts[6] if len(parts) == 7 else ""


def same_file(pin: Pin, found: os.stat_result) -> bool:
    """Whether it is the inode of the pin, whatever was written to it since."""
    return pin.value.split(":")[1:3] == [str(found.st_dev), str(found.st_ino)]


def holds(pin: Pin, found: os.stat_result) -> bool:
    """Whether the bytes are those of the pin.

    A file in quarantine is compared without the device number: its place says which disk it is on, and the number may
    be another after a restart.
    """
    known, now = pin.value.split(":")[1:6], fingerprint(found).split(":")
    return known[1:] == now[1:] if op_id_of(pin) else known == now


def closed_to_all(found: os.stat_result) -> bool:
    """Whether nobody but root reads it, by whatever name."""
    return stat.S_IMODE(found.st_mode) == 0 and found.st_uid == os.geteuid()


def born_as(path_fd: int, attributes: dict[str, Any]) -> bool:
    """False where it is surely another file under a number that was given out anew."""
    known, born = attributes.get("btime_ns"), syscalls.birth_ns(path_fd)
    return known is None or born is None or known == str(born)


def surely_born_as(path_fd: int, attributes: dict[str, Any]) -> bool:
    """False also where the filesystem keeps no birth times: there a number alone says little once its file is gone."""
    return attributes.get("btime_ns") is not None and attributes["btime_ns"] == str(syscalls.birth_ns(path_fd))


def require_plain(found: os.stat_result) -> None:
    """Raise NotPlain for a pipe, a device, a socket or a folder."""
    if not stat.S_ISREG(found.st_mode):
        raise NotPlain


def attributes_of(fd: int, found: os.stat_result) -> dict[str, Any]:
    """Owner, mode, times and extended attributes. Times are text: whole nanoseconds since 1970."""
    born = syscalls.birth_ns(fd)
    flags = syscalls.get_flags(fd)
    return {
        "mode": stat.S_IMODE(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
        "nlink": found.st_nlink,
        "atime_ns": str(found.st_atime_ns),
        "mtime_ns": str(found.st_mtime_ns),
        "ctime_ns": str(found.st_ctime_ns),
        "btime_ns": None if born is None else str(born),
        "flags": flags,
        "xattrs": read_xattrs(fd),
    }


def read_xattrs(fd: int) -> dict[str, Any]:
    """All of them, as JSON: access lists and capabilities are extended attributes too."""
    try:
        names = os.listxattr(fd)
    except OSError as exc:
        if exc.errno in syscalls.NO_FLAGS_HERE:
            return {}
        raise
    found: dict[str, Any] = {}
    kept_bytes = 0
    for name in sorted(names):
        value = _xattr(fd, name)
        if value is None:
            continue
        kept_bytes += len(value)
        shown = to_json(value)
        if kept_bytes > MAX_XATTR_BYTES:
            shown = {"sha256": hashlib.sha256(value).hexdigest(), "size_bytes": len(value)}
        found[name.encode("utf-8", "surrogateescape").decode("latin-1")] = shown
    return found


def _xattr(fd: int, name: str) -> Optional[bytes]:
    try:
        return os.getxattr(fd, name)
    except OSError as exc:
        if exc.errno in UNREADABLE:
            return None
        raise


def as_json(name: bytes) -> Any:
    return to_json(name)


def version_of(found: os.stat_result, attributes: dict[str, Any], pin: Pin) -> Version:
    return Version(
        pin=pin, size_bytes=found.st_size, modified_at=found.st_mtime_ns // 1000, current=True, attributes=attributes
    )
