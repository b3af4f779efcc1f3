"""P1: from the first byte of the POST until the public gets 404, through nginx and Varnish, ten notices a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.bench.figures import BenchError, Breakdown, Figure, Measured, Options, median, quantile
from tests.bench.issuer import ACCEPTED, Answer, Line, Post, verify_receipts
from tests.bench.site import BenchStand, Item, bench_stand, get_wire

PER_SECOND = 10
LOOK_SECONDS = 0.004
PATIENCE_SECONDS = 60.0
P50_MS, P99_MS = 100.0, 500.0
IWF_BEST_MS = 3 * 60 * 1000.0
"""The fastest removal that the IWF published: three minutes."""
WARM_UP = 5


@dataclass(kw_only=True)
class Run:
    """One notice; times are monotonic."""

    post: Post
    item: Item
    answer: Answer | None = None
    gone: dict[str, float] = field(default_factory=dict)

    def since_first_byte(self, at: float) -> float:
        assert self.answer is not None
        return 1000.0 * (at - self.answer.sent_at)


def measure(options: Options) -> Measured:
    with bench_stand(options.folder) as stand:
        run_notices(stand, WARM_UP)
        return _figures(stand, run_notices(stand, options.count(15, 300)))


def run_notices(stand: BenchStand, count: int, per_second: float = PER_SECOND) -> list[Run]:
    """Each is sent by the clock, not by the end of the one before. Raises BenchError unless all came to their end."""
    items = stand.put_files(count)
    posts = stand.posts(items, 1)
    runs = [Run(post=post, item=item) for post, item in zip(posts, items, strict=True)]
    ports = {"front": stand.facts.front_port, "origin": stand.facts.origin_port}
    watchers = [Watcher(name, port) for name, port in ports.items()]
    for watcher in watchers:
        watcher.start()
    senders = []
    begun = time.monotonic()
    for number, run in enumerate(runs):
        time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
        senders.append(threading.Thread(target=_send, args=(stand.facts.public_port, run), daemon=True))
        senders[-1].start()
        for watcher in watchers:
            watcher.watch(run)
    for thread in senders:
        thread.join(PATIENCE_SECONDS)
    for watcher in watchers:
        watcher.finish()
    wanted = {(run.post.notice_id, "1", "disabled") for run in runs}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not wanted <= stand.ear.heard.keys():
        if time.monotonic() > deadline:
            raise BenchError("not every notice was followed by a callback `disabled`")
        time.sleep(0.02)
    _check(stand, runs)
    return runs


def _send(port: int, run: Run) -> None:
    line = Line(port)
    run.answer = line.send(run.post.wire)
    line.close()


class Watcher:
    """One thread and one connection look at all that is not gone yet, so that looking costs the same at any load."""

    def __init__(self, name: str, port: int) -> None:
        self._name, self._line = name, Line(port)
        self._runs: list[Run] = []
        self._lock, self._ending = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def watch(self, run: Run) -> None:
        with self._lock:
            self._runs.append(run)

    def finish(self) -> None:
        """Until nothing is left to look at, or patience ends."""
        self._ending.set()
        self._thread.join(PATIENCE_SECONDS)
        with self._lock:
            self._runs.clear()
        self._line.close()

    def _watch(self) -> None:
        while True:
            with self._lock:
                left = list(self._runs)
            if not left and self._ending.is_set():
                return
            for run in left:
                answer = self._line.send(get_wire(run.item.path))
                if answer.status == 404:
                    # When it was said, not when it was asked.
                    run.gone[self._name] = answer.answered_at
                    with self._lock:
                        self._runs.remove(run)
            time.sleep(LOOK_SECONDS)


def _check(stand: BenchStand, runs: Sequence[Run]) -> None:
    pairs = [(run.post, run.answer) for run in runs if run.answer is not None]
    if len(pairs) != len(runs) or any(answer.status != ACCEPTED for _, answer in pairs):
        raise BenchError("not every notice was accepted")
    if any(len(run.gone) != 2 for run in runs):
        raise BenchError(f"not every file was gone within {PATIENCE_SECONDS:g} s")
    verify_receipts(pairs, stand.jwks)
    stand.ear.verify()


def latencies(runs: Sequence[Run]) -> list[float]:
    """Milliseconds to the first 404 through the cache."""
    return [run.since_first_byte(run.gone["front"]) for run in runs]


def _figures(stand: BenchStand, runs: Sequence[Run]) -> Measured:
    found = latencies(runs)
    measured = Measured()
    for share, name, limit in ((0.5, "p50", P50_MS), (0.99, "p99", P99_MS)):
        value = quantile(found, share)
        measured.add(
            Figure(
                goal="P1",
                name=f"time to disabled, {name}",
                value=value,
                unit="ms",
                wanted=f"< {limit:g} ms",
                beside="best removal the IWF published (ms)",
                beside_value=IWF_BEST_MS,
                ratio=value / IWF_BEST_MS,
                reached=value < limit,
                notes=(f"{len(runs)} notices, {PER_SECOND} a second, nginx behind Varnish, SQLite",),
            )
        )
    told = {run.post.notice_id: stand.ear.heard[run.post.notice_id, "1", "disabled"] for run in runs}
    stages = {
        "receipt answered": [run.since_first_byte(run.answer.answered_at) for run in runs if run.answer],
        "404 at nginx": [run.since_first_byte(run.gone["origin"]) for run in runs],
        "404 through Varnish": found,
        "callback `disabled` received": [run.since_first_byte(told[run.post.notice_id]) for run in runs],
    }
    table = Breakdown(goal="P1", title="milliseconds since the first byte", columns=("stage", "p50", "p99", "max"))
    table.rows = [(name, median(ms), quantile(ms, 0.99), max(ms)) for name, ms in stages.items()]
    measured.breakdowns.append(table)
    return measured
