"""Random faults by seed over workers that always have something to do, and how long each lost row lay before another
worker claimed it."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy.exc import OperationalError

from receiver.store.queue import ALIVE_MICROS
from tests.faults.lease_stand import Ground, Held, Site

HOLDERS = """
    SELECT track, subject, owner, epoch, EXISTS (
        SELECT 1 FROM worker WHERE worker.id = owner
        AND seen_at > extract(epoch FROM clock_timestamp()) * 1000000 - :alive)
    FROM work WHERE subject = ANY(:s)
"""
TICK_SECONDS = 0.2
QUESTION_SECONDS = 0.05
SETTLED_SECONDS = 0.3
"""What the server had been sent when a worker was lost is done by then."""
KINDS = ("kill", "freeze", "cut both", "cut in", "cut out", "kill", "freeze", "cut both", "server", "freeze")
LONGER_THAN_A_LEASE = (11.5, 14.0)


@dataclass(kw_only=True)
class Fault:
    kind: str
    worker: int
    at: float
    until: float
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    """Rows it held then, with their epochs, that nobody else has claimed yet."""


@dataclass(kw_only=True)
class Chaos:
    """`run` returns when all faults were met and are over, and all notices sent."""

    ground: Ground
    site: Site
    workers: int
    faults: int
    notices: int
    backlog: int
    seed: int
    sent: int = 0
    met: Counter[str] = field(default_factory=Counter)
    takeovers: list[tuple[float, str]] = field(default_factory=list)
    came_back: int = 0
    """Rows whose own worker was back, with a lease as good as new, before another had claimed them."""
    left: list[tuple[str, Held]] = field(default_factory=list)
    """Rows that lay too long."""
    active: dict[int, Fault] = field(default_factory=dict)
    waiting: list[Fault] = field(default_factory=list)
    away: list[tuple[float, float]] = field(default_factory=list)
    """When the database was down, or this machine gave even the test no time."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        kinds = [KINDS[n % len(KINDS)] for n in range(self.faults)]
        self._random.shuffle(kinds)
        self._plan = kinds

    def run(self, limit_seconds: float) -> None:
        deadline = time.monotonic() + limit_seconds
        while self._plan or self.active or self.waiting or self.sent < self.notices:
            assert time.monotonic() < deadline, f"{len(self._plan)} faults and {self.notices - self.sent} notices left"
            try:
                self._tick()
                self._rest()
            except OperationalError:
                continue  # the server is starting

    def _tick(self) -> None:
        self._feed()
        self._look_at_rows()
        for fault in [f for f in self.active.values() if time.monotonic() >= f.until]:
            self._end(fault)
        if self._plan and len(self.active) < self.workers - 1:
            self._begin(self._plan[-1])

    def _rest(self) -> None:
        """A pause and a question that takes no time: what they take longer, this machine had no time for anybody."""
        began = time.monotonic()
        time.sleep(TICK_SECONDS)
        self.site.rows("SELECT 1")
        now = time.monotonic()
        late = now - began - TICK_SECONDS - QUESTION_SECONDS
        if late > 0:
            self.away.append((now - late, now))

    def _feed(self) -> None:
        ((open_items,),) = self.site.rows("SELECT count(*) FROM item WHERE status = 'received'")
        busy = bool(self._plan or self.active)
        while open_items < self.backlog and (self.sent < self.notices or busy):
            self.site.notify(f"n{self.sent}")
            self.sent, open_items = self.sent + 1, open_items + 1

    # --- faults

    def _begin(self, kind: str) -> None:
        if kind == "server":
            self._crash_server()
            return
        healthy = [n for n in range(self.workers) if n not in self.active and self.site.held_by(n)]
        if not healthy:
            return
        worker, now = self._random.choice(healthy), time.monotonic()
        fault = Fault(kind=kind, worker=worker, at=now, until=now + self._random.uniform(*LONGER_THAN_A_LEASE))
        match kind.split():
            case ["kill"]:
                self.site.kill(worker)
                # Some come back at once, in their own place; some only when others have taken everything over.
                if self._random.random() < 0.5:
                    fault.until = now + SETTLED_SECONDS
            case ["freeze"]:
                self.site.freeze(worker)
            case ["cut", way]:
                self.site.net.cut(worker, way)
        # A worker goes on until it is really stopped, and the machine may be slow to do it.
        fault.at = time.monotonic()
        self._plan.pop()
        self.met[kind] += 1
        self.active[worker] = fault
        time.sleep(SETTLED_SECONDS)
        fault.rows = {(track, subject): epoch for track, subject, epoch in self.site.held_by(worker)}
        self.waiting.append(fault)

    def _crash_server(self) -> None:
        self._plan.pop()
        self.met["server"] += 1
        began = time.monotonic()
        self.ground.server.crash()
        time.sleep(self._random.uniform(0.0, 1.0))
        self.ground.server.start()
        self.away.append((began, time.monotonic()))

    def _end(self, fault: Fault) -> None:
        del self.active[fault.worker]
        match fault.kind.split():
            case ["kill"]:
                self.site.start(fault.worker)
            case ["freeze"]:
                self.site.thaw(fault.worker)
            case ["cut", _]:
                self.site.net.heal(fault.worker)

    # --- who has the rows now

    def _look_at_rows(self) -> None:
        subjects = sorted({subject for fault in self.waiting for _, subject in fault.rows})
        found = {}
        if subjects:
            rows = self.site.rows(HOLDERS, s=subjects, alive=ALIVE_MICROS)
            found = {(track, subject): seen for track, subject, *seen in rows}
        for fault in self.waiting:
            for key, epoch in list(fault.rows.items()):
                self._look_at_row(fault, key, epoch, *found[key])
        self.waiting = [fault for fault in self.waiting if fault.rows]

    def _look_at_row(
        self, fault: Fault, key: tuple[str, str], held: int, owner: str | None, epoch: int, alive: bool
    ) -> None:
        took = self._seconds_since(fault.at)
        if epoch > held:
            self.takeovers.append((took, fault.kind))
        elif owner is None:
            # Its last commit was on the way already: nothing was left to take over.
            pass
        elif alive and fault not in self.active.values():
            # Not lost any more. If it is lost again, that is another fault's row.
            self.came_back += 1
        elif took > 60:
            self.left.append((fault.kind, (*key, held)))
        else:
            return
        del fault.rows[key]

    def _seconds_since(self, at: float) -> float:
        """Without the time in which there was no database, or no machine, to claim anything with."""
        now = time.monotonic()
        lost = sum(max(0.0, min(end, now) - max(begin, at)) for begin, end in self.away)
        return now - at - lost

    def figures(self) -> str:
        """For the log: what was met, the distribution of the takeovers, and what was taken off them."""
        times = sorted(seconds for seconds, _ in self.takeovers)
        shown = ", ".join(f"{name} {times[int((len(times) - 1) * part)]:.1f}" for name, part in PARTS) if times else "-"
        lost = sum(end - begin for begin, end in self.away)
        what = f"seed {self.seed}: {self.sent} notices, {dict(self.met)}; {len(times)} takeovers in s: {shown}"
        return f"{what}; {self.came_back} rows kept by workers that came back; {lost:.1f} s without database or machine"


PARTS = (("least", 0.0), ("median", 0.5), ("p90", 0.9), ("most", 1.0))
