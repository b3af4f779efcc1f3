"""From the log of a play, every state in which a power cut may leave the disk.

A file system promises little: what was written to a file is there once that file was synced, a name once its folder
was. Whatever was not synced may be there, may be missing, or may be there in part. Two rules are kinder, since every
file system in use keeps them: a new name replaces an old one in one step, and a file's flags, owner and mode come
with its data. `*-shm` is left out: it is made anew from the log beside it.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from adapters.filesystem import syscalls
from tests.faults.scenario_host import LONG_AGO_NS

SECTOR_BYTES = 512
ROOT = 0

Mode = Literal["all", "synced", "torn", "random-1", "random-2", "random-3"]
MODES: tuple[Mode, ...] = ("all", "synced", "torn", "random-1", "random-2", "random-3")


@dataclass(frozen=True)
class Write:
    """Bytes of a file. `data` None: cut to `at` bytes."""

    file: int
    at: int
    data: bytes | None


@dataclass(frozen=True)
class Flags:
    file: int
    flags: int


@dataclass(frozen=True)
class Names:
    """What becomes of the names in one folder, in one step: name to file, or to None."""

    folder: int
    changes: tuple[tuple[bytes, int | None], ...]


@dataclass(frozen=True)
class Sync:
    what: int


@dataclass(frozen=True)
class Say:
    """Something told to the outside, which no power cut takes back."""

    path: str
    data: bytes


@dataclass(frozen=True)
class Number:
    """The inode number of a new file of a customer's."""

    file: int
    number: int


Event = Write | Flags | Names | Sync | Say | Number


@dataclass
class Node:
    """A file or, with `names`, a folder."""

    data: bytearray = field(default_factory=bytearray)
    names: dict[bytes, int] | None = None
    flags: int = 0
    number: int = 0
    """Its inode number where a customer's file is meant, since pins name it."""

    def copy(self) -> Node:
        return Node(bytearray(self.data), None if self.names is None else dict(self.names), self.flags, self.number)


Disk = dict[int, Node]


def snapshot(top: Path) -> Disk:
    """The disk before the play: everything on it is durable."""
    disk: Disk = {}
    known: dict[int, int] = {}

    def add(path: Path) -> int:
        found = os.lstat(path)
        if found.st_ino in known:
            return known[found.st_ino]
        place = known[found.st_ino] = len(disk)
        disk[place] = node = Node(number=found.st_ino)
        if path.is_dir():
            node.names = {}
            for name in sorted(os.listdir(os.fsencode(path))):
                node.names[name] = add(path / os.fsdecode(name))
        else:
            node.data = bytearray(path.read_bytes())
        return place

    add(top)
    return disk


def apply(disk: Disk, event: Event) -> None:
    """What an event does to a disk on which it arrives."""
    match event:
        case Write(file, at, None):
            data = disk[file].data
            data[at:] = bytes(max(0, at - len(data)))
        case Write(file, at, bytes() as new):
            data = disk[file].data
            data += bytes(max(0, at - len(data)))
            data[at : at + len(new)] = new
        case Flags(file, flags):
            disk[file].flags = flags
        case Number(file, number):
            disk[file].number = number
        case Names(folder, changes):
            names = disk[folder].names
            assert names is not None
            for name, held in changes:
                if held is None:
                    names.pop(name, None)
                else:
                    names[name] = held
        case _:
            pass


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A play: the disk before it, all files and folders ever made, and what happened."""

    script: str
    before: Disk
    made: Disk
    """Those made meanwhile, empty."""
    events: Sequence[Event]
    first: int = 0
    """Power cuts before this many events were asked about elsewhere."""

    def prefixes(self, *, every: bool) -> list[int]:
        """After how many events the power may go; else only where something was synced or said."""
        chosen = [n for n, event in enumerate(self.events, 1) if every or isinstance(event, Sync | Say)]
        return [n for n in (0, *chosen) if n >= self.first]

    def state(self, prefix: int, mode: Mode, seed: int) -> State:
        dice = random.Random(f"{seed} {self.script} {prefix} {mode}")
        events = self.events[:prefix]
        sound = _durable(events)
        disk = {place: node.copy() for place, node in (self.before | self.made).items()}
        last = max((n for n, e in enumerate(events) if n not in sound and isinstance(e, Write) and e.data), default=-1)
        reached = False
        for n, event in enumerate(events):
            if mode == "torn" and n == last and isinstance(event, Write):
                _tear(disk, event, dice)
                continue
            by_chance = mode != "synced" and (reached if _ends_move(events, n) else dice.random() < 0.5)
            reached = mode in ("all", "torn") or n in sound or by_chance
            if reached:
                apply(disk, event)
        said = [event for event in events if isinstance(event, Say)]
        return State(disk=disk, said=said)


def _durable(events: Sequence[Event]) -> set[int]:
    """Which of them the disk must have: those that a later sync of their file or folder covers."""
    synced: set[int] = set()
    sound: set[int] = set()
    for n in range(len(events) - 1, -1, -1):
        match events[n]:
            case Sync(what):
                synced.add(what)
            case Write(file, _, _) | Flags(file, _) | Names(file, _):
                sound |= {n} if file in synced else set()
            case _:
                sound.add(n)
    return sound


def _ends_move(events: Sequence[Event], n: int) -> bool:
    """The old name's end of a move to another folder: of itself no file system loses the one without making the other.

    Where somebody syncs the old folder alone the two may part all the same: that is left to what was synced.
    """
    before, event = events[n - 1] if n else None, events[n]
    if not isinstance(before, Names) or not isinstance(event, Names) or before.folder == event.folder:
        return False
    made = any(file is not None for _, file in before.changes)
    return made and all(file is None for _, file in event.changes)


def _tear(disk: Disk, event: Write, dice: random.Random) -> None:
    """Some of the sectors from the first on; the file may have its new length all the same."""
    assert event.data is not None
    end = event.at + len(event.data)
    borders = [event.at, *range(event.at // SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES, end, SECTOR_BYTES)]
    kept = dice.choice(borders) - event.at
    if dice.random() < 0.5:
        apply(disk, Write(event.file, end, b""))
    apply(disk, Write(event.file, event.at, event.data[:kept]))


@dataclass(frozen=True, kw_only=True)
class State:
    """A disk after a power cut, and what the outside had heard by then."""

    disk: Disk
    said: Sequence[Say]

    def digest(self) -> bytes:
        """The same for states in which everything that can be reached is the same."""
        found = hashlib.sha256(repr(len(self.said)).encode())
        for path, node in self._walk():
            found.update(repr((path, node.flags, node.names and sorted(node.names), len(node.data))).encode())
            found.update(node.data)
        return found.digest()

    def files(self) -> Iterator[tuple[str, Node]]:
        return ((os.fsdecode(path), node) for path, node in self._walk())

    def _walk(self) -> Iterator[tuple[bytes, Node]]:
        waiting = [(b"disk", ROOT)]
        while waiting:
            path, place = waiting.pop()
            node = self.disk[place]
            yield path, node
            waiting += [(path + b"/" + name, inner) for name, inner in sorted((node.names or {}).items())]

    def build(self, root: Path) -> dict[str, int]:
        """Write it out; the answer is which inode number stands for which."""
        numbers: dict[str, int] = {}
        first: dict[int, str] = {}
        frozen: list[str] = []
        for name, node in self._walk():
            path = os.path.join(root, os.fsdecode(name))
            if node.names is not None:
                os.makedirs(path, mode=0o700)
            elif id(node) in first:
                os.link(first[id(node)], path)
            else:
                first[id(node)] = path
                self._write(path, node, numbers)
                frozen += [path] if node.flags & syscalls.IMMUTABLE else []
        for path in frozen:
            file = os.open(path, os.O_RDONLY)
            syscalls.change_flags(file, add=syscalls.IMMUTABLE)
            os.close(file)
        peer = root / "peer"
        peer.mkdir()
        for word in self.said:
            with (peer / word.path).open("ab") as kept:
                kept.write(word.data)
        return numbers

    def _write(self, path: str, node: Node, numbers: dict[str, int]) -> None:
        with open(path, "xb") as file:
            os.fchmod(file.fileno(), 0o644 if node.number else 0o600)
            file.write(node.data)
            file.flush()
            if node.number:
                os.utime(file.fileno(), ns=(LONG_AGO_NS, LONG_AGO_NS))
                numbers[str(os.fstat(file.fileno()).st_ino)] = node.number
