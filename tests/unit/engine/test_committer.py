"""Group commit: one transaction for all that waits, and an answer for everybody."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from receiver.domain.errors import ConflictError, StoreBrokenError, StoreUnavailableError
from receiver.domain.outcome import CommitResult, Outcome
from receiver.engine.committer import BROKEN_EXIT, MAX_BATCH, Committer
from tests.support import wait_until

LOSER = Outcome(bumps=("loser",))


class Slow:
    """Writes only when it is let; `trouble` is raised instead."""

    def __init__(self) -> None:
        self.gate, self.batches = threading.Semaphore(0), list[int]()
        self.trouble: BaseException | None = None
        self.entered = threading.Event()

    def make_ready(self, outcome: Outcome) -> Outcome:
        return outcome

    def commit_ready(self, outcomes: Sequence[Outcome]) -> list[CommitResult]:
        self.entered.set()
        self.gate.acquire()
        self.batches.append(len(outcomes))
        if self.trouble is not None:
            raise self.trouble
        return [CommitResult(error=ConflictError("lost") if o is LOSER else None) for o in outcomes]

    def let(self, commits: int = 100) -> None:
        for _ in range(commits):
            self.gate.release()


def gathered(store: Slow, committer: Committer, outcomes: Sequence[Outcome], pool: ThreadPoolExecutor) -> list[object]:
    """Submit all while a first commit is under way, then let everything through."""
    first = pool.submit(committer.submit, Outcome())
    wait_until(store.entered.is_set, "the first is being written")
    futures = [pool.submit(committer.submit, outcome) for outcome in outcomes]
    wait_until(lambda: len(committer._waiting) == len(outcomes), "all others wait")
    store.let()
    assert first.exception(10) is None or store.trouble is not None
    return [future.exception(10) for future in futures]


@pytest.fixture
def pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=100)


def test_what_waits_shares_one_commit(pool: ThreadPoolExecutor) -> None:
    store = Slow()
    committer = Committer(store)
    assert gathered(store, committer, [Outcome()] * 20, pool) == [None] * 20
    assert store.batches == [1, 20]
    committer.close()


def test_batches_have_a_limit(pool: ThreadPoolExecutor) -> None:
    store = Slow()
    committer = Committer(store)
    assert gathered(store, committer, [Outcome()] * (MAX_BATCH + 5), pool) == [None] * (MAX_BATCH + 5)
    assert store.batches == [1, MAX_BATCH, 5]
    committer.close()


def test_one_loser_fails_alone(pool: ThreadPoolExecutor) -> None:
    store = Slow()
    committer = Committer(store)
    errors = gathered(store, committer, [Outcome(), LOSER, Outcome()], pool)
    assert [type(e) for e in errors] == [type(None), ConflictError, type(None)]
    committer.close()


def test_store_error_reaches_every_waiter(pool: ThreadPoolExecutor) -> None:
    store = Slow()
    store.trouble = StoreUnavailableError("away")
    committer = Committer(store)
    errors = gathered(store, committer, [Outcome()] * 5, pool)
    assert [type(e) for e in errors] == [StoreUnavailableError] * 5
    store.trouble = None
    committer.submit(Outcome())
    committer.close()


def test_broken_store_ends_the_process(pool: ThreadPoolExecutor) -> None:
    store, ends = Slow(), list[int]()
    store.trouble = StoreBrokenError("disk")
    committer = Committer(store, end_process=ends.append)
    store.let()
    with pytest.raises(StoreBrokenError):
        committer.submit(Outcome())
    wait_until(lambda: ends == [BROKEN_EXIT], "the process is ended")
    committer.close()


def test_interrupted_writer_leaves_nobody_waiting(pool: ThreadPoolExecutor) -> None:
    """Who writes for others may be ended meanwhile: those hear that nothing is known, and the next one writes."""
    store = Slow()
    committer = Committer(store)
    first = pool.submit(committer.submit, Outcome())
    wait_until(store.entered.is_set, "the first is being written")
    others = [pool.submit(committer.submit, Outcome()) for _ in range(MAX_BATCH + 1)]
    wait_until(lambda: len(committer._waiting) == MAX_BATCH + 1, "all others wait")
    store.let(1)
    first.result(10)
    store.trouble = KeyboardInterrupt()
    store.let(1)
    wait_until(lambda: sum(future.done() for future in others) == MAX_BATCH, "one batch is over")
    store.trouble = None
    store.let()
    ends = Counter(type(future.exception(10)) for future in others)
    assert ends == {KeyboardInterrupt: 1, StoreUnavailableError: MAX_BATCH - 1, type(None): 1}
    committer.close()


def test_lone_thread_writes_by_itself() -> None:
    """To hand an outcome to another thread, and the answer back, costs more than writing it."""
    wrote: list[threading.Thread] = []

    class Here(Slow):
        def commit_ready(self, outcomes: Sequence[Outcome]) -> list[CommitResult]:
            wrote.append(threading.current_thread())
            return [CommitResult() for _ in outcomes]

    Committer(Here()).submit(Outcome())
    assert wrote == [threading.current_thread()]


def test_close_writes_what_waits(pool: ThreadPoolExecutor) -> None:
    store = Slow()
    committer = Committer(store)
    futures = [pool.submit(committer.submit, Outcome())]
    wait_until(store.entered.is_set, "the first is being written")
    futures += [pool.submit(committer.submit, Outcome()) for _ in range(9)]
    wait_until(lambda: len(committer._waiting) == 9, "the others wait")
    closing = threading.Thread(target=committer.close)
    closing.start()
    store.let()
    closing.join(10)
    assert [future.exception(10) for future in futures] == [None] * 10
    assert sum(store.batches) == 10


def test_closed_committer_refuses_at_once() -> None:
    store = Slow()
    committer = Committer(store)
    committer.close()
    committer.close()
    with pytest.raises(StoreUnavailableError, match="ending"):
        committer.submit(Outcome())
