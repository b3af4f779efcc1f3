"""The two directories an adapter acts between, and moving one name from one to the other."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from adapters.contract import Changed, Denied, NotFound, Unsupported
from adapters.filesystem import syscalls
from adapters.filesystem.record import Folder, Held, Operation, Record
from adapters.filesystem.walk import open_file, open_folder, open_parent, opened

GUARDED = syscalls.IMMUTABLE | syscalls.APPEND_ONLY
OTHER_MOUNT = (
    "blocking a file on another filesystem or mount than the quarantine directory; "
    "give that mount an adapter with a quarantine directory of its own"
)


@dataclass(frozen=True)
class Directories:
    """Opened for one call."""

    root: bytes
    root_fd: int
    quarantine_fd: int


@contextmanager
def directories(root: bytes, quarantine_dir: bytes) -> Iterator[Directories]:
    with opened(syscalls.open_directory(root)) as root_fd, opened(syscalls.open_directory(quarantine_dir)) as held_fd:
        if not _is_ours_alone(os.fstat(held_fd)):
            raise Denied("quarantine_dir was swapped or opened to others since the start; make it 0700 and ours again")
        yield Directories(root=root, root_fd=root_fd, quarantine_fd=held_fd)


def check_directories(root: bytes, quarantine_dir: bytes) -> None:
    """Make the quarantine directory where it is missing. Raises ValueError with words for the operator."""
    if not os.path.isabs(root) or not os.path.isdir(root):
        raise ValueError("root must be the absolute path of an existing folder")
    if not os.path.isabs(quarantine_dir):
        raise ValueError("quarantine_dir must be an absolute path")
    if os.path.realpath(root) != os.path.abspath(root):
        raise ValueError("root must be a real path, without links in it")
    if not os.path.lexists(quarantine_dir):
        os.mkdir(quarantine_dir, 0o700)
    # Also where it was there: whoever made it may not have lived to do this. A folder we may not read stays unsynced.
    above = os.path.realpath(os.path.dirname(os.path.abspath(quarantine_dir)))
    with contextlib.suppress(PermissionError), opened(syscalls.open_directory(above)) as above_fd:
        syscalls.sync(above_fd)
    found = os.lstat(quarantine_dir)
    if not stat.S_ISDIR(found.st_mode):
        raise ValueError("quarantine_dir must be a folder, not a link or a file")
    if not _is_ours_alone(found):
        raise ValueError("quarantine_dir must belong to the agent's user alone: chown it and chmod 0700")
    if _is_below(quarantine_dir, root) or _is_below(root, quarantine_dir):
        raise ValueError("quarantine_dir must not lie below root, nor root below it: customers must not reach it")


def _is_ours_alone(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077


def _is_below(path: bytes, above: bytes) -> bool:
    """By inode, so that a bind mount or a second path to the same folder is seen through."""
    wanted = os.stat(above)
    path = os.path.realpath(path)
    while True:
        found = os.stat(path)
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
        parent = os.path.dirname(path)
        if parent == path:
            return False
        path = parent


def folders_above(root_fd: int, path: bytes) -> tuple[Folder, ...]:
    """Owner and mode of each folder from the root down to the one that holds `path`."""
    found = []
    with contextlib.ExitStack() as above:
        # Step by step: a path from the root each time would cost the square of its depth.
        fd = root_fd
        for part in path.split(b"/")[:-1]:
            below = open_folder(fd, part)
            above.pop_all().close()
            fd = above.enter_context(opened(below))
            seen = os.fstat(fd)
            found.append(Folder(mode=stat.S_IMODE(seen.st_mode), uid=seen.st_uid, gid=seen.st_gid))
    return tuple(found)


@contextmanager
def unguarded(*fds: int) -> Iterator[None]:
    """Take the immutable and append-only flags off for one rename, and put them back on what had them."""
    had = [(fd, (syscalls.get_flags(fd) or 0) & GUARDED) for fd in fds]
    for fd, flags in had:
        if flags and not syscalls.change_flags(fd, drop=flags):
            raise Denied("the immutable flag is in the way; to clear it the agent needs CAP_LINUX_IMMUTABLE")
    try:
        yield
    finally:
        for fd, flags in had:
            syscalls.change_flags(fd, add=flags)


def take(where: Directories, op: Operation, record: Record, held: Held) -> Held:
    """Move one name into quarantine and check that it is the file that was meant.

    Raises NotFound or Changed with the customer's tree as it was.
    """
    slot = os.fsencode(held.slot)
    there = syscalls.stat_or_none(op.fd, slot)
    if there is not None and record.is_inode(there):
        settle(where, op, held)  # a crash may have come between the move and its being durable
        return held
    if there is not None:  # a crash came between a swap and putting it back
        _return_stray(where, op, record, held)
    with opened(open_parent(where.root_fd, held.path)) as parent_fd:
        name = os.path.basename(held.path)
        with opened(open_file(parent_fd, name)) as fd:
            if not record.is_inode(os.fstat(fd)):
                raise Changed("another file stands there now; look again")
            _rename_in(parent_fd, name, op, slot, fd)
        # Ours first: a power cut that leaves neither name would lose the file.
        op.sync()
        syscalls.sync(parent_fd)
        after = os.fstat(parent_fd).st_mtime_ns
    moved = syscalls.stat_or_none(op.fd, slot)
    if moved is None or not record.is_inode(moved):
        _return_stray(where, op, record, held)
        raise Changed("the file was swapped while it was being blocked; look again")
    return replace(held, parent_after_ns=str(after))


def settle(where: Directories, op: Operation, held: Held) -> None:
    """Make a move of an earlier try durable at both ends; which of them it reached is not known."""
    op.sync()
    settle_folder(where, held)


def settle_folder(where: Directories, held: Held) -> None:
    with contextlib.suppress(NotFound, Changed, Denied), opened(open_parent(where.root_fd, held.path)) as parent_fd:
        syscalls.sync(parent_fd)


def _rename_in(parent_fd: int, name: bytes, op: Operation, slot: bytes, fd: int) -> None:
    try:
        with unguarded(parent_fd, fd):
            syscalls.rename_no_replace(parent_fd, name, op.fd, slot)
    except FileNotFoundError as exc:
        raise NotFound("no file of that name") from exc
    except PermissionError as exc:
        raise Denied("the agent may not move this file; it needs CAP_DAC_OVERRIDE and CAP_FOWNER") from exc
    except OSError as exc:
        if exc.errno in (errno.EXDEV, errno.EBUSY):  # busy: the name itself is a mount point
            raise Unsupported(OTHER_MOUNT) from exc
        raise


def _return_stray(where: Directories, op: Operation, record: Record, held: Held) -> None:
    """Put back what the customer swapped in. Where something stands there already, keep it: nothing is lost."""
    slot = os.fsencode(held.slot)
    try:
        with opened(open_parent(where.root_fd, held.path)) as parent_fd:
            syscalls.rename_no_replace(op.fd, slot, parent_fd, os.path.basename(held.path))
            syscalls.sync(parent_fd)
    except (FileExistsError, NotFound, Changed):
        while True:
            record.strays += 1
            try:
                syscalls.rename_no_replace(op.fd, slot, op.fd, b"stray-%d" % record.strays)
            except FileExistsError:
                continue
            return
