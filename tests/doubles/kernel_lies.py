"""What a lying kernel may say: errors, half-done work, other bytes, other facts, each told at one call or at all."""

from __future__ import annotations

import errno
import itertools
import os
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Call = Callable[..., Any]
Lie = Callable[[str, Call, tuple[Any, ...]], Any]
"""The system call's name, the real one, and what it was called with."""
READS = frozenset(
    {"fstat", "stat", "pread", "read", "scandir", "listdir", "readlink", "listxattr", "getxattr", "getflags"}
)
OPENS = frozenset({"open", "openat2"})
CHANGES = frozenset(
    {"rename", "renameat2", "unlink", "rmdir", "mkdir", "write", "fsync", "utime", "fchown", "fchmod", "setxattr"}
    | {"removexattr", "setflags"}
)
SLOW_SECONDS = 0.001


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _failing(number: int, *names: str, done: bool = False) -> Callable[[], Lie]:
    def lie(name: str, real: Call, args: tuple[Any, ...]) -> Any:
        if name not in names:
            return real(*args)
        if done:
            found = real(*args)
            if isinstance(found, int) and found < 0:
                return found
        raise _error(number)

    return lambda: lie


def _not_done(*names: str) -> Callable[[], Lie]:
    """Success is reported, and nothing happened. What is written counts as written."""

    def lie(name: str, real: Call, args: tuple[Any, ...]) -> Any:
        if name not in names:
            return real(*args)
        return len(args[1]) if name == "write" else 0

    return lambda: lie


def _body(change: Callable[[bytes, int], bytes]) -> Callable[[], Lie]:
    """`change` gets what was read, and from where."""

    def lie(name: str, real: Call, args: tuple[Any, ...]) -> Any:
        found = real(*args)
        return change(found, args[2]) if name == "pread" and found else found

    return lambda: lie


def _flipped(body: bytes, _at: int) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def _breaking_off() -> Lie:
    def lie(name: str, real: Call, args: tuple[Any, ...]) -> Any:
        if name == "pread" and args[2] > 0:
            raise _error(errno.EIO)
        return real(*args)

    return lie


def _flags_pretended() -> Lie:
    """The flag is not set, and asked for it the filesystem says that it is."""
    said: dict[int, int] = {}

    def lie(name: str, real: Call, args: tuple[Any, ...]) -> Any:
        if name == "setflags":
            said[os.fstat(args[0]).st_ino] = struct.unpack("l", args[2])[0]
            return 0
        found = real(*args)
        known = said.get(os.fstat(args[0]).st_ino) if name == "getflags" else None
        if known is not None:
            args[2][:4] = struct.pack("I", known)
        return found

    return lie


def _old(*names: str) -> Callable[[], Lie]:
    """Every answer is the first that was given for this descriptor's file, or this name in it."""

    def make() -> Lie:
        kept: dict[Any, Any] = {}

        def lie(name: str, real: Call, args: tuple[Any, ...]) -> Any:
            if name not in names:
                return real(*args)
            about = (name, os.fstat(args[0]).st_ino) if isinstance(args[0], int) else (name, args)
            if about not in kept:
                try:
                    kept[about] = real(*args)
                except OSError as exc:
                    kept[about] = exc
            if isinstance(kept[about], OSError):
                raise kept[about]
            return kept[about]

        return lie

    return make


def _empty(name: str, real: Call, args: tuple[Any, ...]) -> Any:
    if name == "listdir":
        return []
    found = real(*args)
    if name == "scandir":
        found.close()
        return _NoEntries()
    return found


class _NoEntries:
    def __enter__(self) -> Iterator[Any]:
        return iter(())

    def __exit__(self, *exc: object) -> None:
        """Nothing is held."""


def _missing(name: str, real: Call, args: tuple[Any, ...]) -> Any:
    if name == "stat":
        raise _error(errno.ENOENT)
    return real(*args)


def _every_other(*, done: bool) -> Callable[[], Lie]:
    def make() -> Lie:
        turn = itertools.count()

        def lie(name: str, real: Call, args: tuple[Any, ...]) -> Any:
            if name not in CHANGES or next(turn) % 2 == 0:
                return real(*args)
            if done:
                real(*args)
            raise _error(errno.EIO)

        return lie

    return make


def _half_written(name: str, real: Call, args: tuple[Any, ...]) -> Any:
    """The disk is full in the middle of a record."""
    if name == "write":
        if len(args[1]) < 64:
            raise _error(errno.ENOSPC)
        return real(args[0], args[1][: len(args[1]) // 2])
    return real(*args)


def _slow(name: str, real: Call, args: tuple[Any, ...]) -> Any:
    if name in CHANGES or name == "pread":
        time.sleep(SLOW_SECONDS)
    return real(*args)


def _once(number: int) -> Callable[[], Lie]:
    """The first change fails, all others are done."""

    def make() -> Lie:
        turn = itertools.count()

        def lie(name: str, real: Call, args: tuple[Any, ...]) -> Any:
            if name in CHANGES and next(turn) == 0:
                raise _error(number)
            return real(*args)

        return lie

    return make


def _plain(lie: Lie) -> Callable[[], Lie]:
    return lambda: lie


LIES: Mapping[str, Callable[[], Lie]] = {
    "moves are not done": _not_done("renameat2"),
    "moves are done and said to have failed": _failing(errno.EIO, "renameat2", done=True),
    "moves fail": _failing(errno.EIO, "renameat2"),
    "moves meet a stale handle": _failing(errno.ESTALE, "renameat2"),
    "deletes are not done": _not_done("unlink", "rmdir"),
    "deletes are done and said to have failed": _failing(errno.EIO, "unlink", done=True),
    "deletes fail": _failing(errno.EIO, "unlink"),
    "writes are not done": _not_done("write"),
    "records are not put in place": _not_done("rename"),
    "records are put in place and said not to be": _failing(errno.EIO, "rename", done=True),
    "folders are not made": _not_done("mkdir"),
    "flags are not set": _not_done("setflags"),
    "flags are said to be set": _flags_pretended,
    "flags fail": _failing(errno.EIO, "setflags"),
    "times are not put back": _not_done("utime"),
    "the disk is full": _failing(errno.ENOSPC, "write", "mkdir", "open"),
    "the disk is full in mid-record": _plain(_half_written),
    "the quota is used up": _failing(errno.EDQUOT, "write", "mkdir", "rename", "renameat2"),
    "the disk is read-only": _failing(errno.EROFS, *CHANGES),
    "syncs fail": _failing(errno.EIO, "fsync"),
    "every change fails": _failing(errno.EIO, *CHANGES),
    "the first change fails": _once(errno.EIO),
    "every other answer is lost": _every_other(done=True),
    "every other request is lost": _every_other(done=False),
    "opens meet a stale handle": _failing(errno.ESTALE, *OPENS),
    "too many files are open": _failing(errno.EMFILE, *OPENS),
    "looks fail": _failing(errno.EIO, "stat", "fstat"),
    "looks find nothing": _plain(_missing),
    "looks by name are old": _old("stat"),
    "looks at open files are old": _old("fstat"),
    "listings are empty": _plain(_empty),
    "listings fail": _failing(errno.EIO, "listdir", "scandir"),
    "bodies are cut short": _body(lambda body, at: b"" if at else body[:-1]),
    "bodies are empty": _body(lambda _body, _at: b""),
    "bodies break off": _breaking_off,
    "bodies cannot be read": _failing(errno.EIO, "pread"),
    "bodies have a flipped bit": _body(_flipped),
    "busy": _failing(errno.EBUSY, *CHANGES, *OPENS, "pread"),
    "slow": _plain(_slow),
}
