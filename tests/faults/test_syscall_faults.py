"""Every system call that writes fails, once or for ever, or is the last thing the process does.

A call that fails must end as an error or a wait, never as a false end. After it a new process finishes everything, and
the checker finds every promise kept.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.scale import SEED, TORTURE
from tests.faults.strace_attach import Server, clear, fast_folder, injecting, recording
from tests.faults.strace_log import Call, encode, points, read
from tests.support import need_program

SCRIPTS = ("take_down", "withdraw", "preserve", "upload_again", "remove", "first_start")
PLAYED = SCRIPTS if TORTURE else ("withdraw", *random.Random(SEED).sample(sorted({*SCRIPTS} - {"withdraw"}), 2))
"""`withdraw` has calls of every kind."""
SAMPLE_SECONDS = 25.0
AT_LEAST = 12
FAULTS = {
    "EIO once": ("error=EIO", "{}"),
    "EIO for ever": ("error=EIO", "{}+"),
    "ENOSPC once": ("error=ENOSPC", "{}"),
    "ENOSPC for ever": ("error=ENOSPC", "{}+"),
    "SIGKILL": ("signal=SIGKILL", "{}"),
}
UNEXPECTED = 70
ACK, WAL = encode("ACK "), encode("receiver.db-wal")


@dataclass(frozen=True)
class Fault:
    script: str
    call: str
    number: int
    kind: str

    def __str__(self) -> str:
        return f"{self.script}: {self.kind} at {self.call} {self.number}"


@dataclass(frozen=True)
class Stage:
    server: Server
    folder: Path

    def fresh(self, name: str, script: str) -> Path:
        """A host as it was before the play."""
        ready = self.folder / f"ready-{script}"
        if not ready.exists():
            self.server.prepare(ready, script)
        place = self.folder / name
        # With hard links and times as they are.
        subprocess.run([need_program("cp"), "-a", str(ready), str(place)], check=True)
        return place

    def calls(self, script: str) -> list[Call]:
        place = self.fresh(f"list-{script}", script)
        try:
            assert self.server.play(place, script, *recording(place / "strace")) == 0, (place / "log").read_text()
            with (place / "strace").open() as lines:
                return list(read(lines))
        finally:
            clear(place)

    def points(self, script: str) -> list[tuple[str, int]]:
        return points(self.calls(script), str(self.folder / f"list-{script}" / "disk"))

    def problems(self, fault: Fault, plant: str = "") -> list[str]:
        """Everything that is wrong after this fault, and after a new process has worked on."""
        place = self.fresh(str(fault).replace(" ", "-"), fault.script)
        try:
            what, when = FAULTS[fault.kind]
            options = injecting(fault.call, what, when.format(fault.number))
            status = self.server.play(place, fault.script, *options, plant=plant)
            if status >> 8 == UNEXPECTED:
                return [f"the process fell over: {(place / 'log').read_text()[-2000:]}"]
            return self.server.check(place, fault.script, done=status == 0)
        finally:
            clear(place)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    need_program("strace")
    with fast_folder() as folder, Server() as server:
        yield Stage(server=server, folder=folder)


@pytest.fixture(scope="module")
def faults(stage: Stage) -> list[Fault]:
    """All of them, in an order that the seed decides; kinds of calls take turns, since most are page writes."""
    found = [(script, *point) for script in PLAYED for point in stage.points(script)]
    every = [Fault(script, call, number, kind) for script, call, number in found for kind in FAULTS]
    random.Random(SEED).shuffle(every)
    turn: Counter[str] = Counter()
    order: list[tuple[int, int]] = []
    for fault in every:
        order.append((turn[fault.call], len(order)))
        turn[fault.call] += 1
    return [every[place] for _, place in sorted(order)]


def test_writes_of_every_kind_are_points(faults: Sequence[Fault]) -> None:
    known = {fault.call for fault in faults}
    assert {"write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink"} <= known
    assert {"mkdir", "mkdirat", "ftruncate", "openat", "ioctl", "fsetxattr", "utimensat"} <= known
    assert {fault.script for fault in faults} == set(PLAYED)


def test_answers_without_commit_are_found_out(stage: Stage) -> None:
    """The database is full in the middle of the commit that the first answer waits for."""
    calls = stage.calls("take_down")
    answer = next(n for n, call in enumerate(calls) if call.name == "writev" and ACK in call.arguments)
    last = max(call.number for call in calls[:answer] if call.name == "pwrite64" and WAL in call.arguments)
    fault = Fault("take_down", "pwrite64", last, "ENOSPC for ever")
    assert any(problem == "lost ACK N-1" for problem in stage.problems(fault, plant="answers_anyway"))
    assert stage.problems(fault) == []


def test_failing_calls_end_in_errors_or_waits(
    stage: Stage, faults: Sequence[Fault], capsys: pytest.CaptureFixture[str]
) -> None:
    until = None if TORTURE else time.monotonic() + SAMPLE_SECONDS
    tried: Counter[str] = Counter()

    def one(fault: Fault) -> tuple[Fault, list[str] | None]:
        if until is not None and time.monotonic() > until and tried.total() >= AT_LEAST:
            return fault, None
        return fault, stage.problems(fault)

    wrong = []
    with ThreadPoolExecutor(2) as pool:
        for fault, problems in pool.map(one, faults):
            if problems is not None:
                tried[fault.kind] += 1
                wrong += [f"{fault}: {problem}" for problem in problems]
    with capsys.disabled():
        sys.stdout.write(f"\nsystem calls: {tried.total()} faults of {len(faults)}, SEED={SEED}\n")
    assert not wrong, "\n".join([f"SEED={SEED}", *wrong[:40]])
    assert tried.total() >= AT_LEAST
