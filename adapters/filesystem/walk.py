"""From a locator to the one real name it means, inside the customer's folder, and to the other names of a file.

Links are followed here, not by the kernel, so that each is written down; the kernel then opens the result and refuses
any link in it, so that a link swapped in meanwhile leads nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional

from adapters.contract import Changed, Denied, NotFound, OtherName, Ref
from adapters.filesystem import syscalls

MAX_LINKS = 40
MAX_NAME_BYTES = 4096
WALK_ENTRIES = 1_000_000
WALK_SECONDS = 30.0
MAX_NAMES = 100
"""Of one file, that are listed and moved. Of more the file itself is closed, which closes them all at once."""
WALK_WAITING_BYTES = 64 * 1024 * 1024
"""Of the names of folders still to be looked into: a customer can make millions of long ones."""


class OutOfScope(Denied):
    """The name leads out of the customer's folder now."""


class NotPlain(Denied):
    """A folder, pipe, device or socket stands there now."""

    def __init__(self) -> None:
        super().__init__("not a plain file: a folder, pipe, device or socket is never acted on")


@dataclass(frozen=True)
class Place:
    """The real name behind a locator. Paths are relative to the store's root."""

    path: bytes
    links: tuple[tuple[bytes, bytes], ...] = ()
    """Each link on the way: where it stands and what it says."""

    @property
    def parent(self) -> bytes:
        return os.path.dirname(self.path)

    @property
    def name(self) -> bytes:
        return os.path.basename(self.path)

    def __repr__(self) -> str:
        return "Place(<path>)"


@contextmanager
def opened(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


def checked_parts(locator: bytes) -> list[bytes]:
    """The names in a locator. Raises Denied for what no store of files could mean by it."""
    if not locator or locator.startswith(b"/") or b"\0" in locator or len(locator) > MAX_NAME_BYTES:
        raise Denied("a file's name here is relative to the root, without a leading slash")
    parts = [part for part in locator.split(b"/") if part not in (b"", b".")]
    if not parts or b".." in parts:
        raise Denied("a file's name here holds no '..'")
    return parts


def in_scope(path: bytes, scope: bytes) -> bool:
    scope = scope.strip(b"/")
    return not scope or path == scope or path.startswith(scope + b"/")


def resolve(root_fd: int, root: bytes, ref: Ref) -> Place:
    """Follow the links of a locator. Raises NotFound, and Denied where it leads out of the customer's folder."""
    todo = checked_parts(ref.locator)
    scope = [part for part in ref.scope.split(b"/") if part]
    if b".." in scope or b"." in scope or todo[: len(scope)] != scope:
        raise Denied("the name is outside the customer's folder")
    todo = todo[len(scope) :]
    done = list(scope)
    links: list[tuple[bytes, bytes]] = []
    while todo:
        part = todo.pop(0)
        if part == b"..":
            if len(done) <= len(scope):
                raise OutOfScope("a link leads out of the customer's folder")
            done.pop()
            continue
        if part in (b"", b"."):
            continue
        target = _link_at(root_fd, done, part)
        if target is None:
            done.append(part)
            continue
        if len(links) >= MAX_LINKS:
            raise Denied("too many links in a row")
        links.append((b"/".join([*done, part]), target))
        done, todo = _follow(root, scope, done, target, todo)
    if len(done) <= len(scope):
        raise NotPlain
    return Place(path=b"/".join(done), links=tuple(links))


def _link_at(root_fd: int, done: list[bytes], part: bytes) -> Optional[bytes]:
    """What the link of that name says; None where it is no link."""
    try:
        fd = syscalls.open_beneath(root_fd, b"/".join([*done, part]), os.O_PATH | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NotFound("no file of that name") from exc
    except OSError as exc:
        raise _moved(exc) from exc
    with opened(fd):
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            return None
        return os.readlink(b"", dir_fd=fd)


def _follow(
    root: bytes, scope: list[bytes], done: list[bytes], target: bytes, todo: list[bytes]
) -> tuple[list[bytes], list[bytes]]:
    if not target.startswith(b"/"):
        return done, [*target.split(b"/"), *todo]
    # An absolute link is fine as long as it says plainly that it stays inside; `..` in it counts from there.
    inside = b"/".join([root.rstrip(b"/"), *scope])
    if target != inside and not target.startswith(inside + b"/"):
        raise OutOfScope("a link leads out of the customer's folder")
    return list(scope), [*target[len(inside) :].split(b"/"), *todo]


def _moved(exc: OSError) -> Exception:
    """What the kernel's refusal of a path without links means: somebody swapped a part, or it is not ours to see."""
    if exc.errno == errno.ENAMETOOLONG:  # longer than any file's name can be here
        return NotFound("no file of that name")
    if exc.errno == errno.ELOOP:  # a link stands where a moment ago there was none
        return Changed("a folder was swapped for a link on the way; look again")
    if isinstance(exc, PermissionError):
        return Denied("the agent may not read this file or its folder; it needs CAP_DAC_OVERRIDE")
    return exc


def open_folder(root_fd: int, path: bytes) -> int:
    """Raises NotFound, or Changed where a link now stands in the way."""
    try:
        return syscalls.open_quietly(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NotFound("no file of that name") from exc
    except OSError as exc:
        raise _moved(exc) from exc


def open_parent(root_fd: int, path: bytes) -> int:
    """The folder that holds `path`."""
    return open_folder(root_fd, os.path.dirname(path) or b".")


def open_file(parent_fd: int, name: bytes) -> int:
    """A file for reading. Raises NotFound; Denied for what is not plain; never waits for a pipe."""
    found = syscalls.stat_or_none(parent_fd, name)
    if found is None:
        raise NotFound("no file of that name")
    # Opening a device can have effects, so the kind is looked at first; it is looked at again once open.
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISLNK(found.st_mode):
        raise NotPlain
    try:
        return syscalls.open_patiently(parent_fd, name, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError as exc:
        raise NotFound("no file of that name") from exc
    except OSError as exc:
        raise _moved(exc) from exc


class OtherNames:
    """Looks for further names of one inode: first in the customer's folder, then in the rest of the root."""

    def __init__(self, *, entries: int = WALK_ENTRIES, seconds: float = WALK_SECONDS) -> None:
        self._entries_left = entries
        self._until = time.monotonic() + seconds
        self.complete = True
        self.seen = self.seen_in_scope = 0
        self._places: set[tuple[int, bytes]] = set()
        """A folder moved about during the walk is met twice; its names count once."""

    def find(self, root_fd: int, ref: Ref, inode: os.stat_result, wanted: int) -> list[OtherName]:
        """Look until `wanted` names were found; of these return MAX_NAMES at most and count them all in `seen`.

        `complete` is False afterwards where the search had to stop early.
        """
        found: list[OtherName] = []
        scope = ref.scope.strip(b"/")
        for start, skip in ((scope, None), (b"", scope)) if scope else ((b"", None),):
            for path in self._names_below(root_fd, start, skip, inode):
                name = OtherName(locator=path, in_scope=in_scope(path, ref.scope))
                self.seen += 1
                self.seen_in_scope += name.in_scope
                if len(found) < MAX_NAMES:
                    found.append(name)
                if self.seen >= wanted:
                    return found
        return found

    def _names_below(self, root_fd: int, start: bytes, skip: Optional[bytes], inode: os.stat_result) -> Iterator[bytes]:
        waiting, waiting_bytes = [start], len(start)
        while waiting:
            folder = waiting.pop()
            waiting_bytes -= len(folder)
            for name, is_folder, number in self._list(root_fd, folder):
                path = folder + b"/" + name if folder else name
                if is_folder:
                    if path != skip:
                        waiting.append(path)
                        waiting_bytes += len(path)
                elif number == inode.st_ino and self._is_new(root_fd, folder, name, inode):
                    yield path
                self._entries_left -= 1
                if self._entries_left <= 0 or time.monotonic() > self._until or waiting_bytes > WALK_WAITING_BYTES:
                    self.complete = False
                    return

    def _list(self, root_fd: int, folder: bytes) -> list[tuple[bytes, bool, int]]:
        """Name, whether it is a folder, and inode number of each entry."""
        try:
            fd = syscalls.open_quietly(root_fd, folder or b".", os.O_RDONLY | os.O_DIRECTORY, one_mount=True)
        except OSError as exc:
            # Deeper than a path can say; or the agent may not look. Else it went away, or became a link, meanwhile.
            self.complete = self.complete and exc.errno not in (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM)
            return []
        with opened(fd), os.scandir(fd) as entries:
            some = itertools.islice(entries, self._entries_left + 1)
            return [(os.fsencode(e.name), e.is_dir(follow_symlinks=False), e.inode()) for e in some]

    def _is_new(self, root_fd: int, folder: bytes, name: bytes, inode: os.stat_result) -> bool:
        """Whether it is a name of this file that was not met yet, wherever its folder stood then."""
        plain = os.O_PATH | os.O_NOFOLLOW
        with contextlib.suppress(OSError):
            with opened(syscalls.open_beneath(root_fd, folder or b".", plain, one_mount=True)) as folder_fd:
                with opened(syscalls.open_beneath(folder_fd, name, plain, one_mount=True)) as fd:
                    found = os.fstat(fd)
                place = os.fstat(folder_fd).st_ino, name
            if (found.st_dev, found.st_ino) != (inode.st_dev, inode.st_ino) or place in self._places:
                return False
            self._places.add(place)
            return True
        return False
