"""The power goes at any moment: whatever state the disk may be in then, nothing that was answered or told is lost.

`kill -9` says nothing about this, since the kernel keeps what was written. So plays are recorded call by call, and the
disk is built as it may look after a power cut; three planted bugs show that the method finds what it is for.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.replay import MODES, Event, Mode, Node, Recording, Say, snapshot
from tests.faults.replay_record import Recorder
from tests.faults.scale import SEED, TORTURE
from tests.faults.strace_attach import Server, clear, fast_folder, recording
from tests.faults.strace_log import points, read
from tests.support import need_program

SCRIPTS = ("take_down", "withdraw", "preserve", "upload_again", "remove", "first_start")
SAMPLE_SECONDS = 20.0
CRASHED_SAMPLE_SECONDS = 6.0
AT_LEAST = 12
STATES_IN_ALL = 5_000
CRASHES_IN_ALL = 12
BEFORE_DURABLE = ("mkdir", "mkdirat", "fsync", "rename", "renameat", "renameat2", "fdatasync")


@dataclass(frozen=True)
class Point:
    recording: Recording = field(repr=False)
    prefix: int
    mode: Mode

    def __str__(self) -> str:
        return f"{self.recording.script} after {self.prefix} events, {self.mode}"


@dataclass
class Stage:
    server: Server
    folder: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)
    built: set[bytes] = field(default_factory=set)

    def fresh(self) -> Path:
        return self.folder / f"play-{next(self.numbers)}"

    def record(self, script: str, *, plant: str = "", killed_at: tuple[str, int] | None = None) -> Recording:
        """Play it once. `killed_at` ends that process before this call; a second one plays on to the end."""
        place = self.fresh()
        self.server.prepare(place, script)
        before = snapshot(place / "disk")
        recorder = Recorder(place, before)
        log = place / "strace"
        kill = ("-e", f"inject={killed_at[0]}:signal=SIGKILL:when={killed_at[1]}") if killed_at else ()
        status = self.server.play(place, script, *recording(log), *kill, plant=plant)
        assert status == (9 if killed_at else 0), (place / "log").read_text()[-2000:]
        events = list(_events(recorder, log))
        first = len(events)
        if killed_at is not None:
            assert self.server.play(place, script, *recording(log), plant=plant, patient=True) == 0
            events += _events(recorder, log)
        fresh = {n: node for n, node in recorder.disk.items() if n not in before}
        made = {n: Node(names=None if node.names is None else {}) for n, node in fresh.items()}
        done = Recording(script=script, before=before, made=made, events=events, first=first if killed_at else 0)
        assert not _differences(done, place), "the replay of all calls is not the disk as it is"
        return done

    def problems(self, point: Point) -> list[str] | None:
        """What is wrong after a power cut there; None where the disk would be as after another one."""
        state = point.recording.state(point.prefix, point.mode, SEED)
        digest = point.recording.script.encode() + state.digest()
        if digest in self.built:
            return None
        self.built.add(digest)
        place = self.fresh()
        place.mkdir()
        try:
            inodes = state.build(place)
            return self.server.check(place, point.recording.script, inodes=inodes)
        finally:
            clear(place)


def _events(recorder: Recorder, log: Path) -> Iterator[Event]:
    with log.open() as lines:
        yield from recorder.events(read(lines))


def _differences(done: Recording, place: Path) -> list[str]:
    """Between the disk that was played on and the disk that the recording says there is."""
    found = []
    for name, node in done.state(len(done.events), "all", 0).files():
        real = place / name
        if node.names is not None:
            there = {path.name for path in real.iterdir() if not path.name.endswith("-shm")}
            if there != {os.fsdecode(inner) for inner in node.names}:
                found.append(name)
        elif real.read_bytes() != bytes(node.data):
            found.append(name)
    return found


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    need_program("strace")
    with fast_folder() as folder, Server() as server:
        yield Stage(server=server, folder=folder)


def _points(recordings: Sequence[Recording], *, every: bool) -> list[Point]:
    return [Point(r, prefix, mode) for r in recordings for prefix in r.prefixes(every=every) for mode in MODES]


def _try_all(stage: Stage, chosen: Sequence[Point], seconds: float | None) -> tuple[int, list[str]]:
    """Power cuts at these points, until the time is over: how many states, and what went wrong."""
    until = time.monotonic() + seconds if seconds is not None else None
    states, wrong = 0, []

    def one(point: Point) -> tuple[Point, list[str] | None]:
        if until is not None and time.monotonic() > until and states >= AT_LEAST:
            return point, None
        return point, stage.problems(point)

    with ThreadPoolExecutor(2) as pool:
        for point, problems in pool.map(one, chosen):
            states += problems is not None
            wrong += [f"{point}: {problem}" for problem in problems or ()]
    return states, wrong


def _shuffled(chosen: list[Point]) -> list[Point]:
    random.Random(SEED).shuffle(chosen)
    return chosen


def test_nothing_answered_or_sealed_is_lost(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    recordings = [stage.record(script) for script in (SCRIPTS if TORTURE else random.Random(SEED).sample(SCRIPTS, 3))]
    chosen = _shuffled(_points(recordings, every=TORTURE))
    states, wrong = _try_all(stage, chosen, None if TORTURE else SAMPLE_SECONDS)
    with capsys.disabled():
        sys.stdout.write(f"\npower loss: {states} states of {len(chosen)} points, SEED={SEED}\n")
    assert not wrong, "\n".join([f"SEED={SEED}", *wrong[:40]])
    assert states >= (STATES_IN_ALL if TORTURE else AT_LEAST)


def test_crash_before_power_cut_loses_nothing(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever goes on after a crash must not take for durable what the dead process did not live to sync."""
    dice = random.Random(SEED)
    recordings = [
        stage.record(script, killed_at=point)
        for script in (SCRIPTS if TORTURE else dice.sample(("take_down", "withdraw", "first_start"), 1))
        for point in _crashes(stage, script, CRASHES_IN_ALL if TORTURE else 1, dice)
    ]
    chosen = _shuffled(_points(recordings, every=False))
    states, wrong = _try_all(stage, chosen, None if TORTURE else CRASHED_SAMPLE_SECONDS)
    with capsys.disabled():
        sys.stdout.write(f"\npower loss after a crash: {states} states of {len(recordings)} crashes, SEED={SEED}\n")
    assert not wrong, "\n".join([f"SEED={SEED}", *wrong[:40]])


def _crashes(stage: Stage, script: str, count: int, dice: random.Random) -> list[tuple[str, int]]:
    place = stage.fresh()
    stage.server.prepare(place, script)
    stage.server.play(place, script, *recording(place / "strace"))
    with (place / "strace").open() as lines:
        found = [point for point in points(read(lines), str(place / "disk")) if point[0] in BEFORE_DURABLE]
    return dice.sample(found, count)


def _first_wrong(stage: Stage, done: Recording, is_it: Callable[[str], bool]) -> bool:
    """Power cuts after everything that was said, with nothing on the disk but what must be there."""
    said = [n for n, event in enumerate(done.events, 1) if isinstance(event, Say)]
    return any(is_it(problem) for n in said for problem in stage.problems(Point(done, n, "synced")) or ())


def test_hasty_commits_are_found_out(stage: Stage) -> None:
    done = stage.record("take_down", plant="hasty_commits")
    assert _first_wrong(stage, done, lambda problem: problem.startswith("lost ACK"))


@pytest.mark.parametrize("plant", ["unsynced_evidence", "unsettled_names"])
def test_unsynced_evidence_is_found_out(stage: Stage, plant: str) -> None:
    done = stage.record("take_down", plant=plant)
    assert _first_wrong(stage, done, lambda problem: problem.startswith("bad evidence"))
