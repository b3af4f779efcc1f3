"""Owner, mode, extended attributes, times and flags as they were before the block."""

from __future__ import annotations

import os
import stat
from typing import Any

from adapters.contract import from_json
from adapters.filesystem import facts, syscalls
from adapters.filesystem.store import GUARDED


def restore_owner(fd: int, known: dict[str, Any]) -> list[str]:
    """Only what differs is written; with the immutable flag nothing does. Returns what could not be put back."""
    losses = []
    try:
        now = os.fstat(fd)
        if (now.st_uid, now.st_gid) != (known["uid"], known["gid"]):
            os.fchown(fd, known["uid"], known["gid"])
    except PermissionError:
        losses.append("the owner could not be put back")
    if not _restore_xattrs(fd, known["xattrs"]):
        losses.append("extended attributes could not be put back")
    # Last, since a new owner or access list clears bits of it.
    return losses + _restore_mode(fd, known["mode"])


def _restore_mode(fd: int, known: int) -> list[str]:
    try:
        if stat.S_IMODE(os.fstat(fd).st_mode) != known:
            os.fchmod(fd, known)
    except PermissionError:
        return ["the mode could not be put back"]
    # Without CAP_FSETID the kernel takes the call and drops the bit of a group that is not ours.
    missing = stat.S_IMODE(os.fstat(fd).st_mode) ^ known
    if missing == stat.S_ISGID:
        return ["the set-group-ID bit could not be put back"]
    return ["the mode could not be put back"] if missing else []


def _restore_xattrs(fd: int, known: dict[str, Any]) -> bool:
    now = facts.read_xattrs(fd)
    if now == known:
        return True
    try:
        for name in now.keys() - known.keys():
            os.removexattr(fd, name.encode("latin-1"))
        for name, value in known.items():
            if now.get(name) != value:
                os.setxattr(fd, name.encode("latin-1"), from_json(bytes, value))
    except (OSError, ValueError):  # of a value too large to be kept there is only the hash
        return False
    return True


def restore_times_and_flags(fd: int, known: dict[str, Any]) -> None:
    now = os.fstat(fd)
    wanted = int(known["atime_ns"]), int(known["mtime_ns"])
    if (now.st_atime_ns, now.st_mtime_ns) != wanted:
        syscalls.set_times(fd, *wanted)
    syscalls.change_flags(fd, add=(known["flags"] or 0) & GUARDED)
    syscalls.sync(fd)
