"""What this filesystem and our privileges really allow, tried on a scratch file in the quarantine directory."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

from adapters.contract import Capabilities
from adapters.filesystem import syscalls
from adapters.filesystem.store import OTHER_MOUNT, Directories
from adapters.filesystem.walk import opened

COSTS = {
    1: ("CAP_DAC_OVERRIDE", "files and folders closed to the agent's user cannot be blocked, read or put back"),
    3: ("CAP_FOWNER", "reading may change access times, and times and modes cannot be put back"),
    0: ("CAP_CHOWN", "owners cannot be put back"),
    9: ("CAP_LINUX_IMMUTABLE", "held bytes cannot be frozen against programs that have them open"),
    28: ("CAP_LEASE", "whether somebody is still writing cannot be told"),
}
SMALL_COSTS = {
    4: ("CAP_FSETID", "the set-group-ID bit of a file that had to be closed to all cannot be put back"),
}
"""The agent as it is delivered does without these."""


@dataclass(frozen=True)
class Measured:
    same_mount: bool
    immutable: bool
    stops_open_writers: bool
    leases: bool
    xattrs: bool
    noatime: bool


def probe(name: str, where: Directories) -> Capabilities:
    seen = measure(where)
    can = ["strong_pin", "other_names"]
    if seen.same_mount:
        can += ["block", "exact_unblock", "remove"]
    if seen.immutable and seen.stops_open_writers:
        can.append("freeze")
    lost = [*_without(COSTS), *_lost(seen)]
    notes = (
        "a download that has begun goes on to its end after a block, unless the server closes it",
        "snapshots, mirrors and backups of this disk are not searched",
        *_without(SMALL_COSTS),
    )
    return Capabilities(name=name, version=platform.release(), can=tuple(can), lost=tuple(lost), notes=notes)


def _without(costs: dict[int, tuple[str, str]]) -> list[str]:
    return [f"without {word}: {cost}" for number, (word, cost) in costs.items() if not _holds(number)]


def _lost(seen: Measured) -> list[str]:
    lost = []
    if not seen.same_mount:
        lost.append(f"no file can be blocked: {OTHER_MOUNT}")
    if not seen.immutable:
        lost.append("the immutable flag does not work here: a program that has a file open can still change held bytes")
    elif not seen.stops_open_writers:
        lost.append("the immutable flag does not stop writers that were there before")
    if not seen.leases:
        lost.append("leases do not work here: whether somebody is still writing cannot be told")
    if not seen.xattrs:
        lost.append("this filesystem keeps no extended attributes, so there are none to put back")
    if not seen.noatime:
        lost.append("reading changes access times")
    return lost


def measure(where: Directories) -> Measured:
    """Leaves nothing behind."""
    name = b".probe-" + os.urandom(8).hex().encode("ascii")
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=where.quarantine_fd)
    with opened(fd):
        try:
            os.write(fd, b"scratch")
            return _try_out(where, name, fd)
        finally:
            syscalls.change_flags(fd, drop=syscalls.IMMUTABLE)
            os.unlink(name, dir_fd=where.quarantine_fd)


def _try_out(where: Directories, name: bytes, writer_fd: int) -> Measured:
    with opened(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=where.quarantine_fd)) as fd:
        # We hold it open for writing ourselves, so a lease that works must refuse.
        leases = syscalls.nobody_writes(fd) is False
        xattrs = _works(lambda: os.setxattr(fd, "user.takedown-probe", b"1"))
        noatime = _works(
            lambda: os.close(os.open(name, os.O_RDONLY | os.O_NOATIME | os.O_CLOEXEC, dir_fd=where.quarantine_fd))
        )
        immutable = syscalls.change_flags(fd, add=syscalls.IMMUTABLE)
        stops = immutable and not _works(lambda: os.pwrite(writer_fd, b"late", 0))
    return Measured(
        same_mount=syscalls.same_mount(where.root_fd, where.quarantine_fd),
        immutable=immutable,
        stops_open_writers=stops,
        leases=leases,
        xattrs=xattrs,
        noatime=noatime,
    )


def _works(attempt: object) -> bool:
    assert callable(attempt)
    try:
        attempt()
    except OSError:
        return False
    return True


def _holds(number: int) -> bool:
    return bool(effective_capabilities() >> number & 1)


def effective_capabilities() -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0
