"""How long rows wait whose worker was killed, until another worker has done them."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select

from receiver.demo.commands import SOURCE, environment
from receiver.domain.ids import new_id
from receiver.domain.outcome import Outcome, Wake
from receiver.domain.status import Track
from receiver.store import SqlStore, open_store, tables
from tests.bench.figures import BenchError, Figure, Measured, Options
from tests.bench.postgres import private_postgres
from tests.bench.takeover_process import DONE, STEP_SECONDS

WANTED_SECONDS = 15.0
PATIENCE_SECONDS = 60.0
ROWS = 64


def measure(options: Options) -> Measured:
    measured = Measured()
    folder = options.folder / "takeover"
    folder.mkdir()
    measured.add(_figure("SQLite", f"sqlite:///{folder}/receiver.db", folder, options))
    with private_postgres("takeover") as postgres:
        url = postgres.url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        measured.add(_figure("PostgreSQL", url, folder, options))
    return measured


def _figure(name: str, url: str, folder: Path, options: Options) -> Figure:
    (folder / "data.key").write_bytes(secrets.token_bytes(32))
    store = open_store(url, data_key=(folder / "data.key").read_bytes(), data_dir=folder, create=True)
    try:
        with _worker(url, folder, "staying"):
            waits = [_one(store, url, folder, number) for number in range(options.count(1, 5))]
    finally:
        store.close()
    return Figure(
        goal="takeover",
        name=f"rows of a killed worker, done by another; {name}",
        value=max(waits),
        unit="s",
        wanted=f"≤ {WANTED_SECONDS:g} s",
        reached=max(waits) <= WANTED_SECONDS,
        notes=(f"the longest of {len(waits)} kills, fastest {min(waits):.3g} s", f"a step takes {STEP_SECONDS:g} s"),
    )


def _one(store: SqlStore, url: str, folder: Path, number: int) -> float:
    """Seconds from SIGKILL until the last row that the dead one held is done."""
    with _worker(url, folder, f"dying-{number}") as doomed:
        _until(lambda: any(w.node == f"dying-{number}" for w in store.list_workers()), "the worker registers")
        subjects = [new_id() for _ in range(ROWS)]
        wakes = tuple(Wake(track=Track.EXPOSURE, subject=subject, state="deny") for subject in subjects)
        store.commit([Outcome(wakes=wakes)])
        held: set[str] = set()

        def holds() -> bool:
            held.update(_owned(store, f"dying-{number}:"))
            return bool(held)

        _until(holds, "the worker to be killed leases rows")
        doomed.kill()
        killed_at = time.monotonic()
        doomed.wait()
        # What it held at its very end: nobody else can have taken these yet.
        held = set(_owned(store, f"dying-{number}:"))
        if not held:
            raise BenchError("the killed worker held nothing at its end")
        _until(lambda: _done(store, held), "another worker does its rows")
        took = time.monotonic() - killed_at
        _until(lambda: _done(store, subjects), "everything is done")
        return took


def _owned(store: SqlStore, prefix: str) -> list[str]:
    work = tables.work.c
    with store._db.read() as conn:
        return list(conn.execute(select(work.subject).where(work.owner.startswith(prefix))).scalars())


def _done(store: SqlStore, subjects: Collection[str]) -> bool:
    work = tables.work.c
    with store._db.read() as conn:
        query = select(work.subject).where(work.subject.in_(subjects), work.state == DONE)
        return len(conn.execute(query).all()) == len(subjects)


def _until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise BenchError(f"not within {PATIENCE_SECONDS:g} s: {what}")
        time.sleep(0.02)


@contextmanager
def _worker(url: str, folder: Path, node: str) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "tests.bench.takeover_process", url, str(folder), node]
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(words, env=environment(), cwd=SOURCE, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
