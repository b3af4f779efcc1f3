"""The quarantine directory: one folder per operation, with what is needed to finish or undo it after any crash.

``<quarantine_dir>/<op_id>/record.json`` is written before anything is moved. The held names lie beside it as ``0``,
``1``, …; ``<quarantine_dir>/.names/`` says which operations hold a name, so that looking at an empty name is one step;
``<quarantine_dir>/.inodes/`` says which act on a file that has or had several names.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Optional

from adapters.contract import AdapterError, Pin, Ref, Retryable, from_json, to_json
from adapters.filesystem import syscalls
from adapters.filesystem.walk import opened

RECORD = b"record.json"
NAMES = b".names"  # no op_id can hold a dot
INODES = b".inodes"
MAX_LOCK_TRIES = 100


@dataclass(frozen=True)
class Folder:
    """A folder above a held name, so that it can be made again should the customer delete it meanwhile."""

    mode: int
    uid: int
    gid: int


@dataclass(frozen=True)
class Held:
    """One name of the file: where it stood, and under what number it lies in quarantine."""

    path: bytes
    slot: str
    parent_mtime_ns: str
    parent_after_ns: str = ""
    """The folder's time right after the move. Still the same at undo: then nobody else changed the folder."""
    folders: tuple[Folder, ...] = ()

    def __repr__(self) -> str:
        return f"Held(slot={self.slot})"


@dataclass
class Record:
    """What `record.json` says. States: intent, blocked, unblocking, unblocked, removing, removed."""

    op_id: str
    locator: bytes
    scope: bytes
    state: str
    device: int
    inode: int
    attributes: dict[str, Any]
    links: list[dict[str, bytes]]
    names: list[Held] = field(default_factory=list)
    pins: list[str] = field(default_factory=list)
    """The last one is the pin of the bytes now; earlier ones name the same bytes before we changed a flag."""
    doors: list[str] = field(default_factory=list)
    residual: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    closed: bool = False
    """The file itself is, or is about to be, taken from its owner and closed to all, since not all names were moved."""
    strays: int = 0
    """Files the customer swapped in at the very moment of a move, kept as `stray-N`."""
    remove_op_id: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Record(op_id={self.op_id}, state={self.state})"

    @property
    def ref(self) -> Ref:
        return Ref(locator=self.locator, scope=self.scope)

    def is_inode(self, found: os.stat_result) -> bool:
        """Within the quarantine's own filesystem the inode number is enough; device numbers change at restarts."""
        return found.st_ino == self.inode

    def accepts(self, pin: Pin) -> bool:
        return pin.value in self.pins


class Operation:
    """One operation's folder, opened and locked: two workers never act on the same one at once."""

    def __init__(self, quarantine_fd: int, folder_fd: int, op_id: str) -> None:
        self.quarantine_fd = quarantine_fd
        self.fd = folder_fd
        self.op_id = op_id

    def load(self) -> Optional[Record]:
        try:
            fd = os.open(RECORD, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)
        except FileNotFoundError:
            return None
        with opened(fd):
            data = b"".join(iter(lambda: os.read(fd, 1 << 20), b""))
        try:
            return _record_from(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise AdapterError("a record in the quarantine directory cannot be read; restore it from a backup") from exc

    def save(self, record: Record) -> None:
        shown = {key: to_json(value) for key, value in vars(record).items()}
        data = json.dumps({"v": 1, **shown}, separators=(",", ":"), sort_keys=True).encode("utf-8")
        syscalls.write_durably(self.fd, RECORD, data)

    def sync(self) -> None:
        syscalls.sync(self.fd)

    def holds(self, record: Record, held: Held) -> bool:
        found = syscalls.stat_or_none(self.fd, os.fsencode(held.slot))
        return found is not None and record.is_inode(found)

    def count_held(self, record: Record) -> int:
        """How many names of the file lie here now."""
        return sum(self.holds(record, held) for held in record.names)

    def forget(self) -> None:
        """Take back an intent that never moved anything."""
        syscalls.unlink(self.fd, RECORD)
        syscalls.unlink(self.fd, RECORD + b".new")
        try:
            os.rmdir(os.fsencode(self.op_id), dir_fd=self.quarantine_fd)
        except OSError:
            return  # a stray lies in it: the folder stays


@contextmanager
def quarantine(path: bytes) -> Iterator[int]:
    with opened(syscalls.open_directory(path)) as fd:
        yield fd


@contextmanager
def operation(quarantine_fd: int, op_id: str, *, create: bool = False) -> Iterator[Optional[Operation]]:
    """Open and lock the folder of `op_id`; None where there is none and `create` is False."""
    fd = _lock(quarantine_fd, os.fsencode(op_id), create=create)
    if fd is None:
        yield None
        return
    with opened(fd):
        yield Operation(quarantine_fd, fd, op_id)


def _lock(quarantine_fd: int, name: bytes, *, create: bool) -> Optional[int]:
    if not name.replace(b"-", b"").isalnum():  # a pin or receipt that was made up must lead nowhere else
        return None
    for _ in range(MAX_LOCK_TRIES):
        if create:
            syscalls.make_directory(quarantine_fd, NAMES)
            syscalls.make_directory(quarantine_fd, INODES)
            syscalls.make_directory(quarantine_fd, name)
            # Also where they were there: whoever made them may not have lived to do this.
            syscalls.sync(quarantine_fd)
        try:
            fd = syscalls.open_directory(name, dir_fd=quarantine_fd)
        except FileNotFoundError:
            if create:
                continue  # another worker took back its intent between our two steps
            return None
        fcntl.flock(fd, fcntl.LOCK_EX)
        now = syscalls.stat_or_none(quarantine_fd, name)
        if now is not None and now.st_ino == os.fstat(fd).st_ino:
            return fd
        os.close(fd)
    raise Retryable("the folder of this operation was not there after it was made")


def note_name(quarantine_fd: int, path: bytes, op_id: str) -> None:
    """Write down that this operation holds that name."""
    with opened(syscalls.open_directory(NAMES, dir_fd=quarantine_fd)) as names_fd:
        key = _key(path)
        syscalls.make_directory(names_fd, key)
        with opened(syscalls.open_directory(key, dir_fd=names_fd)) as fd:
            syscalls.make_directory(fd, os.fsencode(op_id))
            syscalls.sync(fd)
        syscalls.sync(names_fd)


def operations_on(quarantine_fd: int, path: bytes) -> list[str]:
    """Operations that hold or held the name, newest first as far as ids tell."""
    try:
        return sorted(os.listdir(f"/proc/self/fd/{quarantine_fd}/.names/{_key(path).decode('ascii')}"), reverse=True)
    except FileNotFoundError:
        return []


def note_inode(quarantine_fd: int, inode: int, op_id: str) -> None:
    """Write down that this operation acts on that file; by one of its other names another one may come upon it."""
    with opened(syscalls.open_directory(INODES, dir_fd=quarantine_fd)) as fd:
        syscalls.make_directory(fd, b"%d.%s" % (inode, os.fsencode(op_id)))
        syscalls.sync(fd)


def forget_inode(quarantine_fd: int, inode: int, op_id: str) -> None:
    """What a crash leaves there is looked through, so nothing depends on this."""
    with contextlib.suppress(OSError), opened(syscalls.open_directory(INODES, dir_fd=quarantine_fd)) as fd:
        os.rmdir(b"%d.%s" % (inode, os.fsencode(op_id)), dir_fd=fd)


def operations_on_inode(quarantine_fd: int, inode: int) -> list[str]:
    try:
        names = os.listdir(f"/proc/self/fd/{quarantine_fd}/.inodes")
    except FileNotFoundError:
        return []
    return sorted(name.partition(".")[2] for name in names if name.startswith(f"{inode}."))


def _key(path: bytes) -> bytes:
    return hashlib.sha256(path).hexdigest().encode("ascii")


def _record_from(data: dict[str, Any]) -> Record:
    data = dict(data)
    if data.pop("v") != 1:
        raise ValueError("another version")
    data["names"] = [from_json(Held, held) for held in data["names"]]
    data["locator"], data["scope"] = from_json(bytes, data["locator"]), from_json(bytes, data["scope"])
    data["links"] = [{key: base64.b64decode(value["b64"]) for key, value in link.items()} for link in data["links"]]
    return Record(**data)
