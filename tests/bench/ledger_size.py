"""P8: a ledger of a million entries: what an entry adds to its commit, verifying everything, proving one."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

from sqlalchemy import insert

from receiver.config import Config, load_config
from receiver.domain.entry import Entry, LedgerNote, make_entry
from receiver.domain.ids import new_id
from receiver.domain.outcome import Outcome
from receiver.keyfiles import init_folder
from receiver.ledger.checkpoint import Verifier, load_ledger_key
from receiver.ledger.prove import check_proof, prove
from receiver.ledger.readers import readers_for
from receiver.store import SqlStore, tables
from receiver.store.entries import detail_row, entry_row
from receiver.wiring import build_ledger, build_store
from receiver.wiring.parts import ledger_name
from tests.bench.figures import BenchError, Breakdown, Figure, Measured, Options, median
from tests.bench.rows import Steps

APPEND_SHARE, VERIFY_SECONDS, PROOF_MS = 0.10, 15.0, 1.0
FULL_ENTRIES = 1_000_000
PROOFS = 200
ROUNDS_QUICK, ROUNDS = 20, 300
OUTCOMES = (1, 16)
"""One step alone in its commit, and as many as share one under load."""
INSERTED_AT_ONCE = 5_000


def measure(options: Options) -> Measured:
    """With settings as `init` makes them, so that `ledger verify` can be run as it is typed."""
    folder = options.folder / "ledger"
    init_folder(folder, origin="https://bench.example")
    (folder / "outside").mkdir()
    settings = folder / "config.toml"
    settings.write_text(settings.read_text().replace("copy_to = []", 'copy_to = ["outside"]'))
    config = load_config(settings, {})
    store = build_store(config, create=True)
    try:
        return _measure(options, config, store)
    finally:
        store.close()


def _measure(options: Options, config: Config, store: SqlStore) -> Measured:
    measured = Measured()
    for outcomes in OUTCOMES:
        measured.add(_append_share(store, outcomes, options.count(ROUNDS_QUICK, ROUNDS)))
    sequencer = build_ledger(config, store)
    fill(store, options.count(10_000, FULL_ENTRIES))
    begun = time.perf_counter()
    while sequencer.run_once():
        pass
    sequenced_seconds = time.perf_counter() - begun
    sequencer.checkpoint()
    measured.add(_verify(config))
    measured.add(_prove(config, store, options.count(20, PROOFS)))
    table = Breakdown(goal="P8", title="beside the goals", columns=("what", "µs an entry"))
    table.rows = [("numbering, with its transactions", 1e6 * sequenced_seconds / store.ledger_size())]
    measured.breakdowns.append(table)
    return measured


def fill(store: SqlStore, count: int) -> None:
    """Real entries with their details, in few transactions."""
    for start in range(0, count, INSERTED_AT_ONCE):
        with store._db.write() as conn:
            now = store._db.now_in(conn)
            made = [_entry(number, now) for number in range(start, min(count, start + INSERTED_AT_ONCE))]
            conn.execute(insert(tables.entry), [entry_row(entry) for entry in made])
            conn.execute(insert(tables.entry_detail), [detail_row(store._codec, entry, now) for entry in made])


def _note(number: int) -> LedgerNote:
    detail = {"op_id": new_id(), "round": 1, "size_bytes": 20_000 + number, "adapter": "www", "doors": []}
    return LedgerNote(kind="resource.blocked", subject=new_id(), actor="worker", detail=detail)


def _entry(number: int, now: int) -> Entry:
    return make_entry(_note(number), id=new_id(), at=now)


def _append_share(store: SqlStore, outcomes: int, rounds: int) -> Figure:
    """Commits of a step as the main path makes them, with its entry and without, turn and turn about."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    cases = [Steps(store) for _ in range(outcomes)]
    for number in range(2 * rounds):
        with_entry = bool(number % 2)
        batch = [case.next() for case in cases]
        if with_entry:
            batch = [outcome.plus(Outcome(notes=(_note(number),))) for outcome in batch]
        begun = time.perf_counter()
        results = store.commit(batch)
        seconds[with_entry].append(time.perf_counter() - begun)
        if any(result.error for result in results):
            raise BenchError("a commit failed")
    whole, bare = median(seconds[True]), median(seconds[False])
    share = (whole - bare) / whole
    return Figure(
        goal="P8",
        name=f"entry's share of its commit, {outcomes} step{'s' if outcomes > 1 else ''} in it",
        value=100 * share,
        unit="%",
        wanted=f"≤ {100 * APPEND_SHARE:g} %",
        beside="the same commit without entries (ms)",
        beside_value=1000 * bare,
        ratio=whole / bare,
        reached=share <= APPEND_SHARE,
        notes=(f"medians of {rounds} commits each",),
    )


def _verify(config: Config) -> Figure:
    """The command as an operator types it, from the start of Python to its end."""
    command = [sys.executable, "-m", "receiver", "--config", str(config.source), "ledger", "verify", "--json"]
    begun, busy = time.perf_counter(), _children_cpu_seconds()
    ended = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    took, busy = time.perf_counter() - begun, _children_cpu_seconds() - busy
    report = json.loads(ended.stdout or "{}")
    if ended.returncode or not report.get("ok"):
        raise BenchError(f"the ledger does not verify: {report.get('problems', [])[:3]}")
    size, cores = report["size"], len(os.sched_getaffinity(0))
    readers = readers_for(size, cores)
    chain = _bare_chain(str(config.database.sqlite_path))
    return Figure(
        goal="P8",
        name=f"full verify of {size:,} entries",
        value=took,
        unit="s",
        wanted=f"≤ {VERIFY_SECONDS:g} s for a million",
        beside="SHA-256 chain over the same rows, in one process (s)",
        beside_value=chain,
        ratio=took / chain,
        reached=took * FULL_ENTRIES / size <= VERIFY_SECONDS,
        notes=(
            f"{1e6 * took / size:.3g} µs an entry, its commitments opened and checked",
            f"{1e6 * busy / size:.3g} µs of processor time; {readers} processes read, on {cores} cores",
        ),
    )


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _bare_chain(database: str) -> float:
    """The least a log can do: read each row, hash it with the hash before."""
    query = "SELECT id, at, kind, subject, actor_commit, detail_commit FROM entry WHERE seq IS NOT NULL ORDER BY seq"
    begun, found = time.perf_counter(), b""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as link:
        for name, at, kind, subject, actor, detail in link.execute(query):
            leaf = f"{name}|{at}|{kind}|{subject}|".encode() + actor + detail
            found = hashlib.sha256(found + leaf).digest()
    return time.perf_counter() - begun


def _prove(config: Config, store: SqlStore, count: int) -> Figure:
    verifier = Verifier(load_ledger_key(str(config.keys.ledger_key_file), ledger_name(config)).vkey)
    dice, took, entries, busy = random.Random(8), [], store.ledger_size(), 0.0
    checked = None
    for _ in range(count):
        entry = store.iter_entries(dice.randrange(entries), 1)[0]
        begun, busy = time.perf_counter(), busy - time.process_time()
        checked = prove(store, entry)
        busy += time.process_time()
        took.append(1000 * (time.perf_counter() - begun))
    if checked is None or check_proof(checked, verifier):
        raise BenchError("a proof does not hold")
    value = median(took)
    return Figure(
        goal="P8",
        name=f"proof of one among {entries:,}",
        value=value,
        unit="ms",
        wanted=f"≤ {PROOF_MS:g} ms",
        reached=value <= PROOF_MS,
        notes=(f"median of {count}, slowest {max(took):.3g} ms; {1000 * busy / count:.3g} ms of a processor each",),
    )
