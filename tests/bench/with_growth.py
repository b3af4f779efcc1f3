"""P5: what a million old cases cost those who come now, against a thousand."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from receiver.config.load import load_config
from receiver.domain.ids import new_id
from receiver.domain.outcome import Outcome, Wake
from receiver.domain.rows import WorkRow
from receiver.domain.status import PRIORITY, Track
from receiver.steps.explain import explain
from receiver.wiring import build_tools
from receiver.wiring.parts import build_store
from tests.bench import gate_growth
from tests.bench.figures import BenchError, Figure, Measured, Options, median
from tests.bench.grown import grow
from tests.bench.notice_rate import our_rate
from tests.bench.site import BenchStand, bench_stand
from tests.bench.time_to_disabled import latencies, run_notices

WANTED = 1.2
SMALL, LARGE_QUICK, LARGE = 1_000, 10_000, 1_000_000
PER_SECOND = 2.0
NAMES = {
    "single": ("one notice's time to disabled", "ms"),
    "accept": ("time to accept a notice, under load", "ms"),
    "explain": ("`explain` of a URL", "ms"),
    "claim": ("claim of the next work row", "ms"),
}


def measure(options: Options) -> Measured:
    measured, large = Measured(), options.count(LARGE_QUICK, LARGE)
    measured.add(gate_growth.measure(options))
    with bench_stand(options.folder, start=False) as stand:
        databases = _databases(stand, options, large)
        found: dict[int, dict[str, list[float]]] = {size: {name: [] for name in NAMES} for size in databases}
        for _ in range(options.count(1, 5)):
            # Turn and turn about, so that a slow minute of the machine falls on both.
            for size, parked in databases.items():
                for name, value in _visit(stand, parked, options).items():
                    found[size][name].append(value)
    for name, (words, unit) in NAMES.items():
        pairs = zip(found[large][name], found[SMALL][name], strict=True)
        ratio = median([grown / small for grown, small in pairs])
        measured.add(
            Figure(
                goal="P5",
                name=f"{words}, {large:,} cases",
                value=median(found[large][name]),
                unit=unit,
                wanted=f"≤ {WANTED:g} times",
                beside=f"the same with {SMALL:,} ({unit})",
                beside_value=median(found[SMALL][name]),
                ratio=ratio,
                reached=ratio <= WANTED,
            )
        )
    return measured


def _databases(stand: BenchStand, options: Options, large: int) -> dict[int, Path]:
    """Both sizes, grown from one finished case, under one data key. The large one is kept for the next run."""
    key, cached = stand.places.receiver / "keys" / "data.key", options.cache / f"cases-{large}.db"
    kept_key = cached.with_suffix(".key")
    if kept_key.exists():
        shutil.copyfile(kept_key, key)
    stand.start()
    stand.site.start()
    run_notices(stand, 1)
    stand.wait_for_seals(1, 30)
    stand.stop()
    template = options.folder / "template.db"
    _settle(stand.database)
    shutil.copyfile(stand.database, template)
    small = options.folder / "small.db"
    grow(template, small, SMALL)
    if not cached.exists():
        # A run that is killed while it stands in the receiver's place takes it along; the key alone is of no use.
        grow(template, cached, large)
        shutil.copyfile(key, kept_key)
    return {SMALL: small, large: cached}


def _visit(stand: BenchStand, parked: Path, options: Options) -> dict[str, float]:
    """Every measurement with this database in place, which then goes back to where it was, a little larger."""
    stand.database.unlink(missing_ok=True)
    # Moved, not copied: it has some 18 kB for each case.
    shutil.move(parked, stand.database)
    try:
        return _measured_there(stand, options)
    finally:
        _settle(stand.database)
        shutil.move(stand.database, parked)


def _measured_there(stand: BenchStand, options: Options) -> dict[str, float]:
    # It speaks of another history, and the ledger would rightly raise an alarm.
    shutil.rmtree(stand.places.second / "checkpoints")
    stand.places.second.joinpath("checkpoints").mkdir(mode=0o700)
    stand.start()
    try:
        sealed, count = stand.seals(), options.count(6, 40)
        run_notices(stand, 3, PER_SECOND)
        found = {"single": median(latencies(run_notices(stand, count, PER_SECOND)))}
        # What is still being sealed would take its share of the machine.
        stand.wait_for_seals(sealed + 3 + count, 120)
        found["explain"] = _explain(stand, options.count(10, 1_000))
    finally:
        stand.stop()
    rate, _ = our_rate(stand, options.count(40, 1_000), 1)
    found["accept"] = 1000.0 / rate
    found["claim"] = _claim(stand, options.count(20, 1_000))
    return found


def _explain(stand: BenchStand, count: int) -> float:
    item = stand.put_files(1)[0]
    config = load_config(stand.places.config, {})
    store = build_store(config)
    try:
        tools = build_tools(config, store)
        return median([_timed_ms(lambda: explain(item.url, tools)) for _ in range(count)])
    finally:
        store.close()


def _claim(stand: BenchStand, count: int) -> float:
    """With nothing else running: make a row due, time its claim, take it away again."""
    store = build_store(load_config(stand.places.config, {}))
    try:
        me = store.register_worker("bench", "claim", new_id(), os.getpid(), "")
        took, subjects = [], []
        for _ in range(count):
            subjects.append(new_id())
            store.commit([Outcome(wakes=(Wake(track=Track.EXPOSURE, subject=subjects[-1]),))])
            took.append(_timed_ms(lambda: _claim_one(store.claim, me)))
        store.retire_worker(me)
    finally:
        store.close()
    _forget(stand.database, subjects)
    return median(took)


def _claim_one(claim: Callable[..., list[WorkRow]], me: str) -> None:
    if len(claim(me, Track.EXPOSURE, PRIORITY[Track.EXPOSURE], 1)) != 1:
        raise BenchError("the row that is due was not claimed")


def _forget(database: Path, subjects: Sequence[str]) -> None:
    """There is no case behind these rows: a worker would stumble over them. Nor behind what `web` alone took."""
    with closing(sqlite3.connect(database)) as link, link:
        link.executemany(
            "DELETE FROM work WHERE track = 'exposure' AND subject = ?", [(subject,) for subject in subjects]
        )
        link.execute("UPDATE work SET due_at = NULL WHERE track = 'resolve' AND due_at IS NOT NULL")


def _settle(database: Path) -> None:
    """Everything in the one file, which may then be moved."""
    with closing(sqlite3.connect(database)) as link:
        link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for end in ("-wal", "-shm"):
        database.with_name(database.name + end).unlink(missing_ok=True)


def _timed_ms(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return 1000.0 * (time.perf_counter() - begun)
