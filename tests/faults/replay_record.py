"""Reads the calls of a play and says what they did to the disk, with a picture of the disk as it was live."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.filesystem import syscalls
from tests.faults.replay import ROOT, Disk, Event, Flags, Names, Node, Number, Say, Sync, Write, apply
from tests.faults.scenario_host import PICTURE
from tests.faults.strace_log import UNKNOWN, Call, decode

_VECTOR = re.compile(r'iov_base="((?:\\x[0-9a-f]{2})*)"')


@dataclass
class _Open:
    file: int
    at: int = 0
    appends: bool = False


class Recorder:
    """Reads calls and says what they did, with a picture of the disk as it was live."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self._top, self._peer = os.fsencode(root / "disk"), os.fsencode(root / "peer")
        self.disk = {place: node.copy() for place, node in disk.items()}
        self._open: dict[int, _Open] = {}

    def events(self, calls: Iterable[Call]) -> Iterator[Event]:
        """Of one process: the next one has its own open files."""
        self._open.clear()
        for call in calls:
            if call.failed:
                continue
            reader = getattr(self, f"_{call.name}", None)
            if reader is not None:
                for event in reader(call):
                    apply(self.disk, event)
                    yield event
            elif call.name in UNKNOWN and self._top.hex() in call.arguments.replace("\\x", ""):
                raise AssertionError(f"the replay does not know {call.name}")

    # --- finding files

    def _place(self, path: bytes) -> tuple[int, bytes] | None:
        """The folder and the last name of a path, where it lies on the disk that is watched."""
        if not path.startswith(self._top + b"/") or path.endswith(b"-shm"):
            return None
        folder, parts = ROOT, path[len(self._top) + 1 :].split(b"/")
        for part in parts[:-1]:
            names = self.disk[folder].names
            if names is None or part not in names:
                return None
            folder = names[part]
        return folder, parts[-1]

    def _find(self, path: bytes) -> int | None:
        if path == self._top:
            return ROOT
        place = self._place(path)
        if place is None:
            return None
        return (self.disk[place[0]].names or {}).get(place[1])

    def _new(self, *, folder: bool = False) -> int:
        place = len(self.disk)
        self.disk[place] = Node(names={} if folder else None)
        return place

    def _file_of(self, call: Call) -> int | None:
        number, path = call.file()
        held = self._open.get(number)
        return held.file if held is not None else self._find(path)

    # --- opening

    def _openat(self, call: Call) -> Iterator[Event]:
        self._open.pop(call.result, None)
        path = call.path(1, 0)
        place = self._place(path)
        if place is None:
            return
        flags, file = call.words[2], self._find(path)
        if file is None:
            if "O_CREAT" not in flags:
                return
            file = self._new()
            yield Names(place[0], ((place[1], file),))
        self._open[call.result] = _Open(file, appends="O_APPEND" in flags)
        if "O_TRUNC" in flags:
            yield Write(file, 0, None)

    def _openat2(self, call: Call) -> Iterator[Event]:
        self._open.pop(call.result, None)
        file = self._find(os.path.normpath(call.path(1, 0)))
        if file is not None:
            self._open[call.result] = _Open(file)
        yield from ()

    def _close(self, call: Call) -> Iterator[Event]:
        self._open.pop(call.file()[0], None)
        yield from ()

    def _lseek(self, call: Call) -> Iterator[Event]:
        held = self._open.get(call.file()[0])
        if held is not None:
            held.at = call.result
        yield from ()

    # --- bytes

    def _write(self, call: Call) -> Iterator[Event]:
        held = self._open.get(call.file()[0])
        if held is not None:
            at = len(self.disk[held.file].data) if held.appends else held.at
            held.at = at + call.result
            yield Write(held.file, at, call.text(1)[: call.result])

    def _pwrite64(self, call: Call) -> Iterator[Event]:
        held = self._open.get(call.file()[0])
        if held is not None:
            yield Write(held.file, call.number_at(3), call.text(1)[: call.result])

    def _writev(self, call: Call) -> Iterator[Event]:
        """Only the outside writes so: what peers keep, and what a customer uploads, which is on the disk at once."""
        number, path = call.file()
        data = b"".join(decode(piece) for piece in _VECTOR.findall(call.arguments))
        held = self._open.get(number)
        if held is not None:
            yield Write(held.file, 0, data)
            yield Sync(held.file)
            holders = [place for place, node in self.disk.items() if held.file in (node.names or {}).values()]
            yield from map(Sync, holders)
        elif path.startswith(self._peer + b"/"):
            yield Say(os.path.basename(path).decode(), data)
            if data.startswith(b"UPLOADED "):
                uploaded = self._find(self._top + b"/docroot/" + PICTURE.encode())
                assert uploaded is not None
                yield Number(uploaded, int(data.split()[1]))

    def _ftruncate(self, call: Call) -> Iterator[Event]:
        file = self._file_of(call)
        if file is not None:
            yield Write(file, call.number_at(1), None)

    def _fsync(self, call: Call) -> Iterator[Event]:
        file = self._file_of(call)
        if file is not None:
            yield Sync(file)

    _fdatasync = _fsync

    def _ioctl(self, call: Call) -> Iterator[Event]:
        file = self._file_of(call)
        if file is not None and call.words[1] == "FS_IOC_SETFLAGS":
            yield Flags(file, syscalls.IMMUTABLE if "FS_IMMUTABLE_FL" in call.arguments else 0)

    # --- names

    def _mkdir(self, call: Call) -> Iterator[Event]:
        yield from self._made(call.path(0))

    def _mkdirat(self, call: Call) -> Iterator[Event]:
        yield from self._made(call.path(1, 0))

    def _made(self, path: bytes) -> Iterator[Event]:
        place = self._place(path)
        if place is not None:
            yield Names(place[0], ((place[1], self._new(folder=True)),))

    def _unlink(self, call: Call) -> Iterator[Event]:
        yield from self._gone(call.path(0))

    _rmdir = _unlink

    def _unlinkat(self, call: Call) -> Iterator[Event]:
        yield from self._gone(call.path(1, 0))

    def _gone(self, path: bytes) -> Iterator[Event]:
        place = self._place(path)
        if place is not None:
            yield Names(place[0], ((place[1], None),))

    def _rename(self, call: Call) -> Iterator[Event]:
        yield from self._moved(call.path(0), call.path(1))

    def _renameat(self, call: Call) -> Iterator[Event]:
        yield from self._moved(call.path(1, 0), call.path(3, 2))

    _renameat2 = _renameat

    def _moved(self, old: bytes, new: bytes) -> Iterator[Event]:
        source, target, file = self._place(old), self._place(new), self._find(old)
        if source is None or target is None:
            return
        assert file is not None
        if source[0] == target[0]:
            yield Names(source[0], ((source[1], None), (target[1], file)))
        else:
            # Each folder has its own part of it, so that a sync of the one alone can lose the file.
            yield Names(target[0], ((target[1], file),))
            yield Names(source[0], ((source[1], None),))
