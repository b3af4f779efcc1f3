"""A docroot with neighbours, and a customer's own process beside it that works against us.

Whatever the test does, leaving `hostile_site` compares everything that is not the customer's own resource with what it
was before: bytes, inode, owner, mode, times, extended attributes, flags.
"""

from __future__ import annotations

import faulthandler
import itertools
import logging
import multiprocessing
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.filesystem import syscalls
from tests.faults.scale import SEED
from tests.support import wait_until
from tests.unit.adapters.docroot import Docroot

CUSTOMER_ID = 4711
"""User and group of the customer's programs; nobody on this machine has it."""
BODY = b"a colour field"
Hostile = Callable[..., None]
_FORK = multiprocessing.get_context("fork")


def facts_of(path: Path) -> tuple[object, ...]:
    """All of one name that another program could see changed, but the access time of a folder we look into."""
    seen = path.lstat()
    plain, folder = stat.S_ISREG(seen.st_mode), stat.S_ISDIR(seen.st_mode)
    body: object = path.readlink() if path.is_symlink() else None
    flags = None
    if plain or folder:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME)
        flags = syscalls.get_flags(fd)
        body = os.pread(fd, 1 << 20, 0) if plain else None
        os.close(fd)
    xattrs = tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in _xattr_names(path))
    return (
        seen.st_ino, seen.st_mode, seen.st_uid, seen.st_gid, seen.st_nlink, seen.st_size, seen.st_mtime_ns,
        seen.st_ctime_ns, xattrs, flags, body,
    )  # fmt: skip


def whole(path: Path) -> tuple[object, ...]:
    """All but the change time, which nobody can put back; and the folder's time."""
    shown = facts_of(path)
    return (*shown[:7], *shown[8:], path.lstat().st_atime_ns, path.parent.lstat().st_mtime_ns)


def _xattr_names(path: Path) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))


def everything_in(*roots: Path) -> dict[str, tuple[object, ...]]:
    found = {}
    for root in roots:
        for path in (root, *sorted(root.rglob("*"))):
            found[str(path)] = facts_of(path)
    return found


class HostileSite(Docroot):
    """`acme` is the customer who is blocked; `other` is the neighbour, and so is what lies beside the root."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.base = base
        self.outside = base / "outside"
        self._dress_neighbours()
        self.path("").chmod(0o755)
        os.chown(self.path(""), CUSTOMER_ID, CUSTOMER_ID)
        self.shared: set[str] = set()
        """Neighbours' names of the customer's own inode: only their flags, change time and links may differ."""
        self.theirs = (self.root / "other", self.outside, self.path("kept"))
        self.before = everything_in(*self.theirs)

    def _dress_neighbours(self) -> None:
        self.outside.mkdir()
        (self.outside / "secret").write_bytes(b"the host's own")
        for folder in (self.root / "other", self.path("kept")):
            (folder / "d").mkdir(parents=True)
            for name in ("a.jpg", "d/a.jpg", "-rf", "x\ny.jpg"):
                (folder / name).write_bytes(b"not the customer's " + name.encode())
            (folder / "link").symlink_to("a.jpg")
            (folder / "twin.jpg").hardlink_to(folder / "a.jpg")
            os.mkfifo(folder / "pipe")
            os.setxattr(folder / "a.jpg", "user.note", b"mine")
            os.chown(folder / "a.jpg", 1234, 2345)
            (folder / "a.jpg").chmod(0o4640)
            os.utime(folder / "d", ns=(1, 2_000_000_003))
        fd = os.open(self.root / "other" / "-rf", os.O_RDONLY)
        syscalls.change_flags(fd, add=syscalls.IMMUTABLE)
        os.close(fd)

    def mine(self, name: str = "a.jpg", body: bytes = BODY) -> Any:
        """Store a file that belongs to the customer, in folders that do."""
        ref = self.put(name, body)
        path = self.path(name)
        while path != self.root / "acme":
            os.chown(path, CUSTOMER_ID, CUSTOMER_ID, follow_symlinks=False)
            path = path.parent
        return ref

    def assert_neighbours_untouched(self) -> None:
        now = everything_in(*self.theirs)
        assert now.keys() == self.before.keys()
        for name, known in self.before.items():
            if name in self.shared:
                # ino, mode, owner, size, mtime, xattrs, bytes; not links, change time and flags.
                assert (now[name][:4], now[name][5:7], now[name][8], now[name][10]) == (
                    known[:4], known[5:7], known[8], known[10],
                ), name  # fmt: skip
            else:
                assert now[name] == known, name

    @contextmanager
    def customer_does(self, act: Hostile, *args: object, as_root: bool = False) -> Iterator[Any]:
        """Run `act(turns, *args)` in a process of the customer's, until the block ends. `turns.value` counts."""
        turns = _FORK.Value("Q", 0, lock=False)
        process = _FORK.Process(target=_as_customer, args=(act, turns, as_root, *args))
        process.start()
        try:
            wait_until(lambda: turns.value > 0 or not process.is_alive(), "the customer began", seconds=60)
            yield turns
        finally:
            process.kill()
            process.join()

    def as_customer(self, act: Callable[..., object], *args: object) -> int:
        """Run it once, as the customer's user. Returns the exit code: 0 when it got through, an errno when not."""
        process = _FORK.Process(target=_once, args=(act, *args))
        process.start()
        process.join(60)
        code = process.exitcode
        process.close()
        assert code is not None
        return code


def _become_customer() -> None:
    os.setgroups([])
    os.setresgid(CUSTOMER_ID, CUSTOMER_ID, CUSTOMER_ID)
    os.setresuid(CUSTOMER_ID, CUSTOMER_ID, CUSTOMER_ID)


def _as_customer(act: Hostile, turns: Any, as_root: bool, *args: object) -> None:
    faulthandler.disable()  # a customer whose write the kernel refuses ends by a signal, as it should
    if not as_root:
        _become_customer()
    act(turns, *args)


def _once(act: Callable[..., None], *args: object) -> None:
    _become_customer()
    try:
        act(*args)
    except OSError as exc:
        os._exit(exc.errno or 99)


@contextmanager
def hostile_site(base: Path | None = None) -> Iterator[HostileSite]:
    """The customer must be able to walk in, so it does not lie in pytest's own folder."""
    logging.getLogger(__name__).warning("SEED=%d", SEED)
    base = base or Path(tempfile.mkdtemp(prefix="hostile-"))
    base.mkdir(exist_ok=True)
    base.chmod(0o755)
    site = HostileSite(base)
    try:
        yield site
        site.assert_neighbours_untouched()
    finally:
        site.clear()
        subprocess.run(["chattr", "-R", "-f", "-ia", base], check=False)
        shutil.rmtree(base, ignore_errors=True)


def tries(seconds: float) -> Iterator[tuple[int, bool]]:
    """A number for each try, and whether the time is over; long after it the tries end, so that a test fails then."""
    begun = time.monotonic()
    for number in itertools.count():
        passed = time.monotonic() - begun
        if passed > seconds + 60:
            return
        yield number, passed > seconds
