"""Reads what `strace -y -xx` wrote: one call a line, every string in hexadecimal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

WRITES = (
    *("write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2", "link", "linkat"),
    *("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "ftruncate", "truncate", "fallocate"),
    *("fchmod", "fchown", "utimensat", "setxattr", "fsetxattr", "sendto", "sendmsg", "openat", "ioctl"),
)
"""Calls that change a disk or tell somebody. `openat` counts where it may make a file, `ioctl` where it sets flags."""
BESIDE = ("close", "lseek", "dup", "dup2", "dup3", "fcntl", "writev", "open", "creat", "openat2")
UNKNOWN = ("pwritev", "pwritev2", "copy_file_range", "sendfile", "splice", "symlink", "symlinkat", "chmod", "fchmodat")
"""A replay would be wrong if one of these were made unseen."""

_LINE = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)(.*)", re.DOTALL)
_FILE = re.compile(r"(-?\d+|AT_FDCWD)(?:<((?:\\x[0-9a-f]{2})*)>)?(\(deleted\))?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


def decode(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def encode(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


@dataclass(frozen=True)
class Call:
    """One system call. `number` counts the calls of this name from the first, as strace's `when` does."""

    name: str
    arguments: str
    result: int
    number: int
    rest: str = ""

    @cached_property
    def words(self) -> list[str]:
        return self.arguments.split(", ")

    @property
    def failed(self) -> bool:
        return self.result < 0

    def file(self, place: int = 0) -> tuple[int, bytes]:
        """Number and path of an open file among the arguments; -100 for the working directory."""
        found = _FILE.match(self.words[place])
        assert found, self.words[place]
        number = -100 if found[1] == "AT_FDCWD" else int(found[1])
        return number, b"" if found[3] else decode(found[2] or "")

    def text(self, place: int) -> bytes:
        found = _TEXT.match(self.words[place])
        assert found, self.name
        assert not found[2], "strace cut a string"
        return decode(found[1])

    def path(self, place: int, folder: int | None = None) -> bytes:
        """The path among the arguments, whole; `folder` is the place of the open folder it is relative to."""
        path = self.text(place)
        return path if folder is None or path.startswith(b"/") else self.file(folder)[1] + b"/" + path

    def number_at(self, place: int) -> int:
        return int(self.words[place], 0)


def read(lines: Iterable[str]) -> Iterator[Call]:
    seen: Counter[str] = Counter()
    for line in lines:
        found = _LINE.match(line.rstrip("\n"))
        if found is None:
            continue
        name, arguments, result, rest = found.groups()
        seen[name] += 1
        yield Call(name, arguments, int(result), seen[name], rest)


def points(calls: Iterable[Call], folder: str) -> list[tuple[str, int]]:
    """Every write-type call on files below `folder`, as name and number."""
    mark = encode(folder + "/")
    return [
        (call.name, call.number)
        for call in calls
        if call.name in WRITES
        and mark in call.arguments
        and (call.name != "openat" or "O_CREAT" in call.arguments)
        and (call.name != "ioctl" or "FS_IOC_SETFLAGS" in call.arguments)
    ]
