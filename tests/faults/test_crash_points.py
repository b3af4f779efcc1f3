"""A process is killed at every named point, on both databases, and another one finishes as if nothing had happened.

Each telling of a story has several deaths, one in each process that follows the dead one. With TORTURE=1 every time
that a point is passed in every story has a telling of its own, and then one where another worker takes over.
"""

from __future__ import annotations

import datetime as dt
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import StorageAdapter
from tests.doubles.databases import (
    BOTH,
    PostgresServer,
    postgres_server,  # noqa: F401 - pytest finds fixtures by their names here
    postgres_template,  # noqa: F401 - as above
    sqlite_template,  # noqa: F401 - as above
)
from tests.faults import points, points_stories, points_troubles
from tests.faults.points_judge import Ending, ending
from tests.faults.points_process import Setup
from tests.faults.points_stage import Kill, Stage
from tests.faults.points_story import STORIES, URL
from tests.faults.scale import SEED, TORTURE
from tests.faults.zygote import Zygote

TOLD_IN = (points_stories, points_troubles)
"""Where the stories are kept."""
DEATHS = 8
"""In one telling of the sample."""
TAKEOVERS = 8
READY_SECONDS = 60.0
"""Far more than it takes; what it took is printed."""


def say(words: str) -> None:
    print(words)  # noqa: T201 - for the reader of the log, who counts kills or draws the same again


@dataclass(kw_only=True)
class Theatre:
    """Where stories are told, two at a time, and what is known of the undisturbed ones."""

    folder: Path
    zygote: Zygote
    template: Path
    server: PostgresServer
    server_template: str
    undisturbed: dict[str, tuple[Ending, list[str]]] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)
    deaths: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    told: int = 0

    def tell(self, name: str, kind: str, kills: list[Kill], *, takeover: bool = False) -> tuple[Ending, Stage]:
        story = STORIES[name]
        with self.lock:
            self.told += 1
            folder = self.folder / f"{self.told}"
        (folder / "copy").mkdir(parents=True)
        setup = Setup(
            url=self._database(kind, folder),
            data_dir=folder,
            data_key=b"k" * 32,
            at=dt.datetime.now(dt.UTC),
            policy=story.policy,
            **story.setup,
        )
        stage = Stage(zygote=self.zygote, setup=setup, folder=folder, kills=kills, takeover=takeover)
        try:
            story.tell(stage)
            stage.order("number")
            ends = ending(stage, (URL,))
        finally:
            stage.close()
        if kind == "postgresql":
            self.server.run(f"DROP DATABASE told_{folder.name}")
        shutil.rmtree(folder)
        with self.lock:
            self.restarts += stage.restarts
            self.deaths += stage.died
        return ends, stage

    def _database(self, kind: str, folder: Path) -> str:
        if kind == "sqlite":
            shutil.copyfile(self.template, folder / "receiver.db")
            return f"sqlite:///{folder / 'receiver.db'}"
        with self.lock:
            # The server copies one at a time from a template that nobody is connected to.
            self.server.run(f"CREATE DATABASE told_{folder.name} TEMPLATE {self.server_template}")
        return self.server.url(f"told_{folder.name}")

    def learn(self, name: str) -> None:
        ends, stage = self.tell(name, "sqlite", [])
        told = {notice: [status for status, _ in found] for notice, found in ends.statuses.items()}
        assert told == dict(STORIES[name].statuses), name
        assert ends.public[URL][0] == STORIES[name].public, name
        self.undisturbed[name] = (ends, stage.passed)

    def survive(self, name: str, kind: str, kills: list[Kill], *, takeover: bool = False) -> None:
        """Whoever died: the end is that of the undisturbed telling."""
        try:
            ends, stage = self.tell(name, kind, kills, takeover=takeover)
            assert stage.died == len(kills), f"only {stage.died} of them died"
            assert ends == self.undisturbed[name][0]
        except (AssertionError, Exception) as exc:
            exc.add_note(f"{name} on {kind}, killed at {kills}{', taken over' if takeover else ''}")
            raise

    def all_of(self, run: Callable[..., None], many: list[tuple[Any, ...]]) -> None:
        with ThreadPoolExecutor(2) as pool:
            ran = [pool.submit(run, *one) for one in many]
        failed = [error for one in ran if (error := one.exception()) is not None]
        if failed:
            raise BaseExceptionGroup(f"{len(failed)} of {len(many)} tellings", failed)


@pytest.fixture(scope="module")
def theatre(request: pytest.FixtureRequest) -> Iterator[Theatre]:
    shm = Path("/dev/shm")
    # A killed process loses nothing there, and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="points-", dir=shm if shm.is_dir() else None) as name:
        began = time.monotonic()
        zygote = Zygote(Path(name))
        made = Theatre(
            folder=Path(name),
            zygote=zygote,
            template=request.getfixturevalue("sqlite_template"),
            server=request.getfixturevalue("postgres_server"),
            server_template=request.getfixturevalue("postgres_template"),
        )
        try:
            made.all_of(made.learn, [(story,) for story in STORIES])
            say(f"stories: {len(STORIES)}, told undisturbed in {time.monotonic() - began:.0f} s")
            yield made
        finally:
            zygote.close()


def reached(theatre: Theatre) -> set[str]:
    return {name for _, passed in theatre.undisturbed.values() for name in passed}


def shortest(theatre: Theatre) -> dict[str, list[str]]:
    """For each story the points that no shorter one reaches, in the order in which it passes them first."""
    plan: dict[str, list[str]] = {}
    known: set[str] = set()
    for story, (_, passed) in sorted(theatre.undisturbed.items(), key=lambda told: len(told[1][1])):
        plan[story] = [name for name in dict.fromkeys(passed) if name not in known]
        known |= set(passed)
    return plan


def spread(names: list[str]) -> list[list[Kill]]:
    """Deaths of one telling lie far apart, so that each process lives for a while."""
    tellings = -(-len(names) // DEATHS)
    return [[(name, 1) for name in names[first::tellings]] for first in range(tellings)]


def occurrences(passed: list[str]) -> list[Kill]:
    seen: dict[str, int] = {}
    for name in passed:
        seen[name] = seen.get(name, 0) + 1
    return [(name, nth) for name, count in seen.items() for nth in range(1, count + 1)]


def test_every_point_is_in_some_story(theatre: Theatre) -> None:
    listed = points.everything()
    assert sorted(set(listed) - reached(theatre)) == []
    assert sorted(reached(theatre) - set(listed)) == []


@pytest.mark.parametrize("kind", BOTH)
def test_kill_at_every_point_changes_nothing(theatre: Theatre, kind: str) -> None:
    began, before = time.monotonic(), theatre.deaths
    if TORTURE:
        chosen = [(s, kind, [kill]) for s, (_, passed) in theatre.undisturbed.items() for kill in occurrences(passed)]
    else:
        chosen = [(story, kind, kills) for story, names in shortest(theatre).items() for kills in spread(names)]
    theatre.all_of(theatre.survive, chosen)
    died, seconds = theatre.deaths - before, time.monotonic() - began
    say(f"{kind}: {len(reached(theatre))} points, {died} kills in {len(chosen)} tellings, {seconds:.0f} s")


@pytest.mark.parametrize("kind", BOTH)
def test_another_worker_takes_over(theatre: Theatre, kind: str) -> None:
    # Ten seconds are much where something is tried again and again: those stories would have another course.
    calm = [name for name, story in STORIES.items() if story.tell.__module__ == points_stories.__name__]
    every = [(name, kind, kill) for name in calm for kill in occurrences(theatre.undisturbed[name][1])]
    chosen = every if TORTURE else random.Random(SEED).sample(every, TAKEOVERS)
    say(f"SEED={SEED}")
    theatre.all_of(lambda s, k, kill: theatre.survive(s, k, [kill], takeover=True), chosen)
    assert theatre.deaths >= len(chosen)


def test_new_process_is_ready_soon(theatre: Theatre) -> None:
    """From the start of Python to the first order; a forked process has its imports from another."""
    if not theatre.restarts:
        theatre.survive("gate_only", "sqlite", [("after gate.deny", 1)])
    start, worst = theatre.zygote.start_seconds, max(theatre.restarts)
    say(f"ready again {len(theatre.restarts)} times: imports {start:.2f} s, then {worst:.2f} s at the worst")
    assert start + worst < READY_SECONDS


# --- the list itself


def test_act_without_a_point_is_found(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StorageAdapter, "shred", lambda _self: None, raising=False)
    assert set(points.everything()) - reached(theatre) == {"before store.shred", "after store.shred"}


def test_new_decision_is_a_point() -> None:
    source = "def _later(work):\n    return Outcome(work=move(work, Exposure.WATCH, due_at=1))\n"
    (site,) = points.decisions_in("receiver.steps.new", source)
    assert site.name == "commit steps.new._later→watch"


def test_every_port_is_inside_or_outside() -> None:
    assert points.unclassified() == []


def test_what_is_left_out_exists() -> None:
    names = {*points.acts(), *points.transactions(), *points.submitters(), *(s.name for s in points.decisions())}
    assert set(points.LEFT_OUT) <= names
