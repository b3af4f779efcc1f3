"""Sixteen threads read a thief's notices at the same moment; the limit is spent once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from receiver.domain.errors import ConflictError
from receiver.domain.rows import WorkRow
from receiver.domain.status import Track
from receiver.pipeline import advance
from receiver.store import SqlStore
from tests.doubles import databases
from tests.doubles.siege import SITE, make_siege, put

database, store = databases.database, databases.store
postgres_server, postgres_template = databases.postgres_server, databases.postgres_template
sqlite_template = databases.sqlite_template
THREADS, LIMIT = 16, 20


def test_threads_spend_a_limit_once(store: SqlStore, tmp_path: Path) -> None:
    siege = make_siege(tmp_path, store, acts=LIMIT, customers=10)
    for n in range(THREADS):
        siege.send(*(put(siege, SITE, f"/{n}/{k}.jpg", f"noise {n} {k}".encode()) for k in range(5)))
    rows = store.claim(siege.world.worker, Track.RESOLVE, 0, THREADS)
    together = Barrier(THREADS)

    def read(row: WorkRow) -> None:
        step = advance(row, siege.world.tools)
        together.wait(60)
        try:
            siege.world.commit(step.outcome)
        except ConflictError:
            siege.world.step(row)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(read, rows))
    siege.world.run(steps=5000)
    assert siege.down() <= LIMIT
    assert store.spent_since("hotline", 0).acts <= LIMIT
