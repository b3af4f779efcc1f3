"""Freezing a file; and closing it where it has more names than can be moved, but no name of somebody else's."""

from __future__ import annotations

import os

from adapters.filesystem import facts, syscalls
from adapters.filesystem.dressing import restore_owner
from adapters.filesystem.record import Operation, Record
from adapters.filesystem.sharing import held_by, sharers
from adapters.filesystem.store import Directories
from adapters.filesystem.walk import OtherNames


def freeze(fd: int) -> bool:
    frozen = syscalls.change_flags(fd, add=syscalls.IMMUTABLE)
    # Writing back now makes the kernel refuse the next write through memory the customer has mapped.
    syscalls.sync(fd)
    return frozen


def standing(where: Directories, op: Operation, record: Record, fd: int) -> int:
    """How many names of the file no block holds."""
    left = os.fstat(fd).st_nlink - op.count_held(record)
    if left > 0:
        left -= held_by(sharers(where.quarantine_fd, record.op_id, fd))
    return max(left, 0)


def all_ours(where: Directories, record: Record, fd: int, left: int) -> bool:
    """Whether every standing name is the customer's. Sure only while the file is frozen: then nobody makes names."""
    if left == 0:
        return True
    search = OtherNames()
    search.find(where.root_fd, record.ref, os.fstat(fd), left)
    return search.seen_in_scope >= left


def is_closed(record: Record, fd: int) -> bool:
    return record.closed and facts.closed_to_all(os.fstat(fd))


def close(op: Operation, record: Record, fd: int) -> bool:
    """Close a frozen file. For a moment it is not frozen, so whoever calls looks again whose the names are."""
    record.closed = True
    op.save(record)  # first, or a crash would leave a closed file that nobody knows to be closed
    syscalls.change_flags(fd, drop=syscalls.IMMUTABLE)
    record.closed = syscalls.close_to_all(fd)
    freeze(fd)
    return record.closed


def open_again(op: Operation, record: Record, fd: int) -> list[str]:
    """Give a closed file back to its owner, but frozen: a name of it is somebody else's. Returns what could not be."""
    syscalls.change_flags(fd, drop=syscalls.IMMUTABLE)
    losses = restore_owner(fd, record.attributes)
    freeze(fd)
    record.closed = False
    op.save(record)
    return losses
