"""The Linux calls that Python has no name for, and every call that changes a disk.

All changes to a customer's tree go through the functions at the end, so that a test can stop between any two of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import signal
import stat
import struct
from typing import Optional, Union

libc = ctypes.CDLL(None, use_errno=True)

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RENAME_NOREPLACE = 1
OPENAT2 = 437  # the same number on every architecture
RENAMEAT2 = {"x86_64": 316, "aarch64": 276, "riscv64": 276}
STATX_BTIME = 0x800
AT_EMPTY_PATH = 0x1000

_LONG_BYTES = struct.calcsize("l")
FS_IOC_GETFLAGS = 0x80006601 | (_LONG_BYTES << 16)
FS_IOC_SETFLAGS = 0x40006602 | (_LONG_BYTES << 16)
IMMUTABLE = 0x10
APPEND_ONLY = 0x20
NO_FLAGS_HERE = frozenset({errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def openat2(dir_fd: int, path: bytes, flags: int, resolve: int) -> int:
    """Open below `dir_fd` under the kernel's own watch. Raises OSError: EXDEV outside, ELOOP at a forbidden link."""
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, 0, resolve)
    for _ in range(20):
        found = libc.syscall(
            ctypes.c_long(OPENAT2), ctypes.c_int(dir_fd), ctypes.c_char_p(path), how, ctypes.c_size_t(len(how))
        )
        if found >= 0:
            return int(found)
        # The kernel answers EAGAIN when a rename elsewhere kept it from being sure.
        if ctypes.get_errno() != errno.EAGAIN:
            break
    raise _error()


def open_beneath(dir_fd: int, path: bytes, flags: int, *, one_mount: bool = False) -> int:
    """Open a path that holds no link at all, relative to `dir_fd`.

    `one_mount` also refuses, with EXDEV, what another mount holds: it may be a second way to somebody else's folder.
    """
    refused = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS
    return openat2(dir_fd, path, flags, refused | (RESOLVE_NO_XDEV if one_mount else 0))


def open_quietly(dir_fd: int, path: bytes, flags: int, *, one_mount: bool = False) -> int:
    """Open without touching the access time, where our privileges allow that."""
    try:
        return open_beneath(dir_fd, path, flags | os.O_NOATIME, one_mount=one_mount)
    except PermissionError:
        return open_beneath(dir_fd, path, flags, one_mount=one_mount)


def open_patiently(dir_fd: int, path: bytes, flags: int) -> int:
    """Open a plain file without waiting for a pipe; but do wait for whoever holds a lease on it.

    The owner of a file may take a lease on it and so refuse every open that does not wait. The kernel ends such a wait
    after /proc/sys/fs/lease-break-time seconds at the latest.
    """
    try:
        return open_quietly(dir_fd, path, flags | os.O_NONBLOCK)
    except BlockingIOError:
        anchor = open_beneath(dir_fd, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(anchor).st_mode):  # a pipe was put there meanwhile, which might wait for ever
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        again, way = (flags & ~os.O_NOFOLLOW) | os.O_CLOEXEC, f"/proc/self/fd/{anchor}"
        try:
            return os.open(way, again | os.O_NOATIME)
        except PermissionError:
            return os.open(way, again)
    finally:
        os.close(anchor)


def birth_ns(fd: int) -> Optional[int]:
    """When the file was made, where the filesystem keeps that."""
    if not hasattr(libc, "statx"):
        return None
    found = ctypes.create_string_buffer(256)
    if libc.statx(fd, b"", AT_EMPTY_PATH, STATX_BTIME, found) != 0:
        return None
    mask: int = struct.unpack_from("I", found, 0)[0]
    if not mask & STATX_BTIME:
        return None
    seconds, nanoseconds = struct.unpack_from("qI", found, 0x50)
    return int(seconds * 1_000_000_000 + nanoseconds)


def get_flags(fd: int) -> Optional[int]:
    """The inode's flags, or None on a filesystem that has none."""
    buffer = bytearray(_LONG_BYTES)
    try:
        fcntl.ioctl(fd, FS_IOC_GETFLAGS, buffer)
    except OSError as exc:
        if exc.errno in NO_FLAGS_HERE:
            return None
        raise
    return int(struct.unpack("I", buffer[:4])[0])


def nobody_writes(fd: int) -> Optional[bool]:
    """Ask by a lease whether anybody has the file open for writing. None: leases do not work here."""
    # Whoever opens the file while we hold the lease makes the kernel signal us. By default that is SIGIO, which ends a
    # process; SIGURG is ignored by all who did not ask for it.
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as exc:
        return False if exc.errno in (errno.EAGAIN, errno.EBUSY) else None
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return True


def open_directory(path: Union[str, bytes], *, dir_fd: Optional[int] = None) -> int:
    """A directory for reading and syncing; never through a link in its last part."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)


def stat_or_none(dir_fd: int, name: bytes) -> Optional[os.stat_result]:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def same_mount(one_fd: int, other_fd: int) -> bool:
    """Whether a file can be renamed between two directories. Tries to move a name that does not exist."""
    name = b".takedown-" + os.urandom(12).hex().encode("ascii")
    try:
        rename_no_replace(one_fd, name, other_fd, name)
    except OSError as exc:
        return exc.errno == errno.ENOENT
    raise AssertionError("a random name existed")


# --- what changes the disk


def rename_no_replace(from_fd: int, name: bytes, to_fd: int, new_name: bytes) -> None:
    """Move a name; FileExistsError instead of overwriting."""
    arguments = (
        ctypes.c_int(from_fd), ctypes.c_char_p(name), ctypes.c_int(to_fd), ctypes.c_char_p(new_name),
        ctypes.c_uint(RENAME_NOREPLACE),
    )  # fmt: skip
    if hasattr(libc, "renameat2"):
        failed = libc.renameat2(*arguments)
    else:
        failed = libc.syscall(ctypes.c_long(RENAMEAT2[platform.machine()]), *arguments)
    if failed:
        raise _error()


def set_flags(fd: int, flags: int) -> None:
    fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("l", flags))


def change_flags(fd: int, *, add: int = 0, drop: int = 0) -> bool:
    """Set or clear inode flags. Returns False where the filesystem or our privileges do not allow it."""
    before = get_flags(fd)
    if before is None:
        return not add
    wanted = (before | add) & ~drop
    if wanted == before:
        return True
    try:
        set_flags(fd, wanted)
    except OSError as exc:
        if exc.errno in NO_FLAGS_HERE or isinstance(exc, PermissionError):
            return False
        raise
    # Not every filesystem that takes the call keeps the flag.
    return ((get_flags(fd) or 0) ^ wanted) & (add | drop) == 0


def sync(fd: int) -> None:
    os.fsync(fd)


def unlink(dir_fd: int, name: bytes) -> None:
    """Delete a name; what is not there is fine, since an earlier try may have done it."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=dir_fd)


def set_times(fd: int, atime_ns: int, mtime_ns: int) -> None:
    os.utime(fd, ns=(atime_ns, mtime_ns))


def close_to_all(fd: int) -> bool:
    """Take the file from its owner and let nobody read it, by whatever name. False where we may not."""
    try:
        os.fchown(fd, os.geteuid(), os.getegid())
        os.fchmod(fd, 0)
    except PermissionError:
        return False
    return True


def make_directory(dir_fd: int, name: bytes) -> bool:
    """For our eyes only. Returns False when it was there already."""
    try:
        os.mkdir(name, 0o700, dir_fd=dir_fd)
    except FileExistsError:
        return False
    return True


def dress_directory(fd: int, mode: int, uid: int, gid: int) -> None:
    """Owner first, since changing it clears mode bits."""
    os.fchown(fd, uid, gid)
    os.fchmod(fd, mode)


def write_durably(dir_fd: int, name: bytes, data: bytes) -> None:
    """Replace a small file in one step that a power cut leaves whole, old or new."""
    temporary = name + b".new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=dir_fd)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    _must_hold(dir_fd, temporary, data)  # before it takes the place of what was good
    os.rename(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    os.fsync(dir_fd)
    _must_hold(dir_fd, name, data)


def _must_hold(dir_fd: int, name: bytes, data: bytes) -> None:
    """All that follows rests on this file, so a disk that only said yes must be found out at once."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        found = b"".join(iter(lambda: os.read(fd, 1 << 20), b""))
    finally:
        os.close(fd)
    if found != data:
        raise OSError(errno.EIO, "what was written does not read back")
