"""Claims, leases, wake-ups and leaders."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import text

from receiver.domain.errors import LostLeaseError
from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, Outcome, Table, Wake
from receiver.domain.status import Track
from receiver.store import SqlStore, wake_listener
from tests.doubles.databases import Database
from tests.doubles.store_rows import AT, move, nonce_values, notice_outcome


def due(store: SqlStore, *subjects: str, track: Track = Track.DELIVER) -> None:
    results = store.commit([Outcome(wakes=tuple(Wake(track=track, subject=name) for name in subjects))])
    assert results[0].error is None


def age(database: Database, worker: str, seconds: float) -> None:
    """Let a worker be seen last so long ago."""
    with database.engine().begin() as conn:
        conn.execute(
            text("UPDATE worker SET seen_at = seen_at - :micros WHERE id = :id"),
            {"micros": int(seconds * 1_000_000), "id": worker},
        )


def test_clock_is_near_ours(store: SqlStore) -> None:
    assert abs(store.now() - time.time_ns() // 1000) < 5_000_000


def test_claim_takes_oldest_of_class(store: SqlStore) -> None:
    me = store.register_worker("n", "worker", "b", 1, "x")
    for number, name in enumerate(("c", "a", "b")):
        store.commit([Outcome(wakes=(Wake(track=Track.EVIDENCE, subject=name, due_at=AT + number),))])
    due(store, "other", track=Track.DELIVER)
    store.commit([Outcome(wakes=(Wake(track=Track.EVIDENCE, subject="later", due_at=store.now() + 60_000_000),))])
    assert [row.subject for row in store.claim(me, Track.EVIDENCE, 3, 2)] == ["c", "a"]
    assert [row.subject for row in store.claim(me, Track.EVIDENCE, 3, 9)] == ["b"]
    assert store.claim(me, Track.EVIDENCE, 0, 9) == []
    (row,) = store.claim(me, Track.DELIVER, 2, 9)
    assert (row.owner, row.epoch) == (me, 1)


def test_look_skips_leased_rows(store: SqlStore) -> None:
    me = store.register_worker("n", "worker", "b", 1, "x")
    letters, seals = (Track.DELIVER, 2), (Track.EVIDENCE, 3)
    assert store.due_by_class([letters, seals])[1] == {}
    later = store.now() + 60_000_000
    store.commit([Outcome(wakes=(Wake(track=Track.EVIDENCE, subject="later", due_at=later),))])
    due(store, "now")
    now, dues = store.due_by_class([letters, seals])
    assert dues[seals] == later
    assert dues[letters] <= now <= store.now()
    assert store.due_by_class([(Track.DELIVER, 8)])[1] == {}
    store.claim(me, Track.DELIVER, 2, 9)
    assert store.due_by_class([letters, seals])[1] == {seals: later}


def test_live_worker_keeps_lease(store: SqlStore, database: Database) -> None:
    first = store.register_worker("n1", "worker", "a", 1, "x")
    second = store.register_worker("n2", "worker", "b", 2, "x")
    due(store, "s")
    assert len(store.claim(first, Track.DELIVER, 2, 9)) == 1
    age(database, first, 9)
    assert store.claim(second, Track.DELIVER, 2, 9) == []
    age(database, first, 2)
    store.beat(first)
    assert store.claim(second, Track.DELIVER, 2, 9) == []


def test_silent_worker_is_taken_over(store: SqlStore, database: Database) -> None:
    first = store.register_worker("n1", "worker", "a", 1, "x")
    second = store.register_worker("n2", "worker", "b", 2, "x")
    due(store, "s")
    (held,) = store.claim(first, Track.DELIVER, 2, 9)
    age(database, first, 10.5)
    assert (Track.DELIVER, 2) in store.due_by_class([(Track.DELIVER, 2)])[1]
    (taken,) = store.claim(second, Track.DELIVER, 2, 9)
    assert taken.epoch == held.epoch + 1
    (late,) = store.commit([Outcome(work=move(held, first))])
    assert isinstance(late.error, LostLeaseError)


def test_new_boot_expires_older(store: SqlStore) -> None:
    old = store.register_worker("n1", "worker-1", "boot1", 1, "x")
    other = store.register_worker("n1", "worker-2", "boot1", 2, "x")
    due(store, "s")
    store.claim(old, Track.DELIVER, 2, 9)
    new = store.register_worker("n1", "worker-1", "boot2", 3, "y")
    assert new == "n1:worker-1:boot2"
    with pytest.raises(LostLeaseError):
        store.beat(old)
    store.beat(other)
    assert [row.subject for row in store.claim(new, Track.DELIVER, 2, 9)] == ["s"]
    assert [(row.id, row.config_sha256) for row in store.list_workers()] == [(new, "y"), (other, "x")]
    store.reconfigured(new, "z")
    assert store.list_workers()[0].config_sha256 == "z"


def test_long_gone_processes_are_forgotten(store: SqlStore, database: Database) -> None:
    gone = store.register_worker("n1", "web-0-17", "a", 17, "x")
    age(database, gone, 86_401)
    here = store.register_worker("n1", "web-0-18", "b", 18, "x")
    assert [row.id for row in store.list_workers()] == [here]


def test_retired_worker_gives_leases_back(store: SqlStore) -> None:
    first = store.register_worker("n1", "worker", "a", 1, "x")
    second = store.register_worker("n2", "worker", "b", 2, "x")
    due(store, "s", "t")
    assert len(store.claim(first, Track.DELIVER, 2, 9)) == 2
    store.retire_worker(first)
    assert len(store.claim(second, Track.DELIVER, 2, 9)) == 2


def test_threads_never_claim_the_same(store: SqlStore) -> None:
    names = [f"s{n:03d}" for n in range(60)]
    due(store, *names)
    workers = [store.register_worker(f"n{n}", "worker", "a", n, "x") for n in range(6)]
    found: list[str] = []
    guard = threading.Lock()

    def run(worker: str) -> None:
        while rows := store.claim(worker, Track.DELIVER, 2, 3):
            with guard:
                found.extend(row.subject for row in rows)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == names


def test_commit_wakes_listeners(store: SqlStore, database: Database) -> None:
    first, second = store.wake_listener(), wake_listener(database.url, database.data_dir)
    try:
        assert not first.wait(0.01)
        outcome, _, _ = notice_outcome()
        store.commit([outcome])
        assert first.wait(5.0)
        assert second.wait(5.0)
        assert not first.wait(0.01)
        store.commit([Outcome(changes=(Insert(table=Table.NONCE, values=nonce_values("iwf", new_id())),))])
        assert not first.wait(0.05)
    finally:
        first.close()
        second.close()
    assert not first.wait(0.01)


def test_waiting_thread_hears_call(store: SqlStore) -> None:
    listener = store.wake_listener()
    heard: list[bool] = []
    thread = threading.Thread(target=lambda: heard.append(listener.wait(10.0)))
    thread.start()
    due(store, "s")
    thread.join(5.0)
    listener.close()
    assert heard == [True]


def test_only_one_leads(store: SqlStore, database: Database) -> None:
    other = database.open()
    lead = store.try_lead("sequencer")
    assert lead is not None
    assert lead.held()
    assert other.try_lead("sequencer") is None
    sweeps = other.try_lead("sweeps")
    assert sweeps is not None
    with lead:
        pass
    assert not lead.held()
    taken = other.try_lead("sequencer")
    assert taken is not None
    taken.release()
    sweeps.release()
    other.close()


def test_sweeps_and_nonces_are_kept(store: SqlStore) -> None:
    store.sweep_done("nonces")
    assert store.sweep_ages() == {"nonces": 0}
    rows = [nonce_values("iwf", f"n{n}", expires_at=AT + n) for n in range(4)]
    store.commit([Outcome(changes=tuple(Insert(table=Table.NONCE, values=row) for row in rows))])
    assert store.purge_nonces(AT + 2) == 2
    assert store.find_nonce("iwf", "n1") is None
    kept = store.find_nonce("iwf", "n2")
    assert kept is not None
    assert kept.status_path == "/v1/notices/N-1"


def test_used_nonce_refuses_second_use(store: SqlStore) -> None:
    outcome = Outcome(changes=(Insert(table=Table.NONCE, values=nonce_values("iwf", "same")),))
    results = store.commit([outcome, outcome])
    assert [result.error is None for result in results] == [True, False]


def test_strays_are_given_back(store: SqlStore) -> None:
    me = store.register_worker("n", "worker", "b", 1, "x")
    due(store, "kept", "stray")
    rows = {row.subject: row for row in store.claim(me, Track.DELIVER, 2, 5)}
    leases = store.leases_of(me)
    assert {subject for _, subject, _ in leases} == {"kept", "stray"}
    stray = (Track.DELIVER, "stray", rows["stray"].epoch)
    assert store.give_back(me, [stray, (Track.DELIVER, "kept", rows["kept"].epoch - 1)]) == 1
    assert [row.subject for row in store.claim(me, Track.DELIVER, 2, 5)] == ["stray"]
