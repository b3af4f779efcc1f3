"""One file may have names under several blocks: which these are, and that one at a time acts on the file itself.

What a block does to a file it does to all names of it. So each looks first what stood before any other's doing, and
none takes away what another still needs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional

from adapters.contract import AdapterError, Retryable
from adapters.filesystem import facts, syscalls
from adapters.filesystem.record import INODES, MAX_LOCK_TRIES, Operation, Record, operations_on, operations_on_inode
from adapters.filesystem.walk import open_file, open_parent, opened

WAIT_SECONDS = 10.0
TRY_EVERY_SECONDS = 0.02
LAST_ON_A_NAME = 8
DRESS = ("mode", "uid", "gid", "xattrs")
"""What closing a file changes, beside its flags."""


@contextmanager
def alone(quarantine_fd: int, inode: int, links: int) -> Iterator[None]:
    """While it lasts no other operation changes this file's flags, owner or mode. Taken after an operation's own lock.

    `links` is how many names the file has. Of one name there is nobody else to wait for, so nothing is locked.
    Raises Retryable where another one takes long, as a search for names may.
    """
    if links <= 1:
        yield
        return
    syscalls.make_directory(quarantine_fd, INODES)
    name = b"%d" % inode
    with opened(syscalls.open_directory(INODES, dir_fd=quarantine_fd)) as folder_fd, opened(_locked(folder_fd, name)):
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=folder_fd)


def links_of(op: Operation, record: Record) -> int:
    """How many names a held file has; several where that cannot be told, as after a crash between two moves."""
    slots = (syscalls.stat_or_none(op.fd, os.fsencode(held.slot)) for held in record.names)
    return next((slot.st_nlink for slot in slots if slot is not None and record.is_inode(slot)), 2)


def _locked(folder_fd: int, name: bytes) -> int:
    """A folder that is there while somebody acts, and is gone afterwards."""
    ends = time.monotonic() + WAIT_SECONDS
    lost = 0
    while time.monotonic() < ends and lost < MAX_LOCK_TRIES:
        syscalls.make_directory(folder_fd, name)
        try:
            fd = syscalls.open_directory(name, dir_fd=folder_fd)
        except FileNotFoundError:
            lost += 1  # whoever acted before gave it up between our two steps
            continue
        if _lock(fd):
            now = syscalls.stat_or_none(folder_fd, name)
            if now is not None and now.st_ino == os.fstat(fd).st_ino:
                return fd
            lost += 1
        else:
            time.sleep(TRY_EVERY_SECONDS)
        os.close(fd)
    raise Retryable("another operation on the same file is under way")


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True)
class Sharer:
    """Another operation on the same file."""

    record: Record
    held: int
    """How many names of the file lie in its folder. While one does, the inode's number cannot be another file's."""


def sharers(quarantine_fd: int, op_id: str, fd: int, paths: Iterable[bytes] = ()) -> list[Sharer]:
    """Those that act on the open file or, as an older record may, on one of these names of it."""
    found = os.fstat(fd)
    ids = set(operations_on_inode(quarantine_fd, found.st_ino)) if found.st_nlink > 1 else set()
    for path in paths:
        ids.update(operations_on(quarantine_fd, path)[:LAST_ON_A_NAME])
    seen = [_peek(quarantine_fd, other, found) for other in sorted(ids - {op_id})]
    return [one for one in seen if one is not None and (one.held or facts.born_as(fd, one.record.attributes))]


def _peek(quarantine_fd: int, op_id: str, found: os.stat_result) -> Optional[Sharer]:
    """Without its lock, which must not be waited for: a record is replaced whole, and `alone` guards what counts."""
    try:
        folder_fd = syscalls.open_directory(os.fsencode(op_id), dir_fd=quarantine_fd)
    except FileNotFoundError:
        return None
    with opened(folder_fd), contextlib.suppress(AdapterError):  # whoever acts on an unreadable record is told so
        op = Operation(quarantine_fd, folder_fd, op_id)
        record = op.load()
        if record is not None and record.is_inode(found):
            return Sharer(record=record, held=op.count_held(record))
    return None


def freeze_elsewhere(quarantine_fd: int, record: Record) -> bool:
    """Freeze again what other blocks hold of a file that a crash left without the flag. False where none holds any."""
    for op_id in operations_on_inode(quarantine_fd, record.inode):
        if op_id != record.op_id and _freeze_under(quarantine_fd, op_id, record):
            return True
    return False


def _freeze_under(quarantine_fd: int, op_id: str, record: Record) -> bool:
    with contextlib.ExitStack() as fds, contextlib.suppress(FileNotFoundError, AdapterError):
        folder_fd = fds.enter_context(opened(syscalls.open_directory(os.fsencode(op_id), dir_fd=quarantine_fd)))
        op = Operation(quarantine_fd, folder_fd, op_id)
        other = op.load()
        if other is None or other.inode != record.inode:
            return False
        for slot in (held.slot for held in other.names if op.holds(other, held)):
            fd = fds.enter_context(opened(open_file(folder_fd, os.fsencode(slot))))
            syscalls.change_flags(fd, add=syscalls.IMMUTABLE)
            syscalls.sync(fd)
            return True
    return False


def held_by(others: list[Sharer]) -> int:
    """How many names of the file lie in quarantine under other blocks."""
    return sum(other.held for other in others)


def must_stay_frozen(others: list[Sharer]) -> bool:
    return any(_blocks(other) for other in others)


def closers(others: list[Sharer], fd: int) -> list[Record]:
    """Those that closed the file over names that still stand; a removal leaves such names closed for good."""
    closing = [other.record for other in others if other.record.state == "removed" or _blocks(other)]
    return [record for record in closing if record.closed] if facts.closed_to_all(os.fstat(fd)) else []


def _blocks(other: Sharer) -> bool:
    return other.held > 0 and other.record.state in ("intent", "blocked")


def as_it_was(root_fd: int, others: list[Sharer], fd: int, found: os.stat_result) -> dict[str, Any]:
    """What an undo must give back: the file as it is, but for what others that are not undone yet made of it."""
    now = facts.attributes_of(fd, found)
    for earlier in (other.record for other in others if _dressed(other) and _is_of(root_fd, other, fd)):
        now["flags"] = earlier.attributes["flags"]
        if earlier.closed or facts.closed_to_all(found):
            now.update({key: earlier.attributes[key] for key in DRESS})
    return now


def _dressed(other: Sharer) -> bool:
    """A block whose names are gone was undone by hand."""
    return other.record.state in ("intent", "unblocking") or _blocks(other)


def _is_of(root_fd: int, other: Sharer, fd: int) -> bool:
    """Without birth times a record whose names are gone may be of an earlier file with the same number.

    Then it counts only where the file stands at one of its own names, or a stranger's would get that one's owner.
    """
    if other.held or facts.surely_born_as(fd, other.record.attributes):
        return True
    for path in (held.path for held in other.record.names):
        with contextlib.suppress(AdapterError), opened(open_parent(root_fd, path)) as parent_fd:
            found = syscalls.stat_or_none(parent_fd, os.path.basename(path))
            if found is not None and other.record.is_inode(found):
                return True
    return False
