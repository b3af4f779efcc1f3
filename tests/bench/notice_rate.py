"""P3: notices accepted and durable, against a Flask application that makes the same inserts and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from receiver.demo.commands import SOURCE, command_line, environment
from receiver.demo.site import get
from tests.bench.figures import BenchError, Figure, Measured, Options, median
from tests.bench.issuer import Answer, Post, send_all, verify_receipts
from tests.bench.processes import cpu_ms, family
from tests.bench.site import BenchStand, Item, bench_stand, read_one
from tests.support import free_port

WANTED = 0.5
LINES = 16
READY_SECONDS = 30.0


def measure(options: Options) -> Measured:
    measured = Measured()
    with bench_stand(options.folder, start=False) as stand:
        for items in (1, 25):
            measured.add(_figure(stand, options, items))
    return measured


def _figure(stand: BenchStand, options: Options, items: int) -> Figure:
    """Turn and turn about, so that a slow minute of the machine falls on both."""
    count = options.count(60, 1_500) // (1 if items == 1 else 5)
    ours, plain, ours_ms, plain_ms = [], [], [], []
    for _ in range(options.count(2, 5)):
        rate, ms = our_rate(stand, count, items)
        ours.append(rate)
        ours_ms.append(ms)
        rate, ms = _plain_rate(stand, options.folder, count, items)
        plain.append(rate)
        plain_ms.append(ms)
    ratio = median([one / other for one, other in zip(ours, plain, strict=True)])
    words = f"processor time a notice {median(ours_ms):.3g} ms, the plain application's {median(plain_ms):.3g} ms"
    return Figure(
        goal="P3",
        name=f"notices of {items} item{'s' if items > 1 else ''} accepted and durable",
        value=median(ours),
        unit="notices/s",
        wanted=f"≥ {WANTED:g} of it",
        beside="plain Flask with the same inserts (1/s)",
        beside_value=median(plain),
        ratio=ratio,
        reached=ratio >= WANTED,
        notes=(f"{len(ours)} runs each of {count} notices over {LINES} connections", words),
    )


def our_rate(stand: BenchStand, count: int, items: int) -> tuple[float, float]:
    """Notices a second and milliseconds of processor time a notice, by `web` alone: nothing else runs."""
    posts = made_up_posts(stand, count, items)
    with _process(command_line("web", config=stand.places.config), stand.facts.public_port, stand.places.logs) as pid:
        before = read_one(stand.database, "SELECT count(*) FROM notice")
        rate, ms, pairs = _timed(stand.facts.public_port, posts, pid)
        if read_one(stand.database, "SELECT count(*) FROM notice") - before != count:
            raise BenchError("not every accepted notice is in the database")
    verify_receipts(pairs[:20], stand.jwks)
    return rate, ms


def made_up_posts(stand: BenchStand, count: int, items: int) -> list[Post]:
    """About files that nobody put there: what is taken is not looked at yet."""
    wanted = [
        Item(path=f"/gallery/p3/{os.urandom(8).hex()}.png", sha256=os.urandom(32).hex()) for _ in range(count * items)
    ]
    return stand.posts(wanted, items)


def _plain_rate(stand: BenchStand, folder: Path, count: int, items: int) -> tuple[float, float]:
    port, database = free_port(), folder / "plain.db"
    words = [sys.executable, "-m", "tests.bench.plain_app", str(database), str(port), str(items)]
    posts = made_up_posts(stand, count, items)
    with _process(words, port, stand.places.logs) as pid:
        rate, ms, _ = _timed(port, posts, pid)
    rows = read_one(database, "SELECT count(*) FROM item")
    if rows < count * items:
        raise BenchError("the plain application did not insert its rows")
    return rate, ms


def _timed(port: int, posts: Sequence[Post], pid: int) -> tuple[float, float, list[tuple[Post, Answer]]]:
    send_all(port, posts[: LINES // 2], lines=LINES // 2)
    pids = family(pid)
    before, begun = cpu_ms(pids), time.monotonic()
    pairs = send_all(port, posts[LINES // 2 :], lines=LINES)
    took, count = time.monotonic() - begun, len(posts) - LINES // 2
    return count / took, (cpu_ms(pids) - before) / count, pairs


@contextmanager
def _process(words: Sequence[str], port: int, logs: Path) -> Iterator[int]:
    with (logs / "p3.log").open("ab") as log:
        env = environment()
        process = subprocess.Popen(words, stdout=log, stderr=log, env=env, cwd=SOURCE)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while get(port, "/readyz")[0] != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"not started: {(logs / 'p3.log').read_text(errors='replace')[-800:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
