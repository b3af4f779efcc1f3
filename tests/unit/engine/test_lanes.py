"""Lanes: who shares threads with whom."""

from __future__ import annotations

import threading

import pytest

from receiver.domain.status import PRIORITY, RECHECK_PRIORITY, SLOW_LANE, Track
from receiver.engine.lanes import Lane, LanePlan, plan
from tests.support import wait_until


def test_every_class_has_one_lane() -> None:
    classes = [c for lane in plan() for c in lane.classes]
    wanted = {*PRIORITY.items(), (Track.DELIVER, SLOW_LANE), (Track.EXPOSURE, RECHECK_PRIORITY)}
    assert set(classes) == wanted
    assert len(classes) == len(wanted)


@pytest.mark.parametrize(("threads", "fast", "slow"), [(8, 6, 2), (3, 1, 2), (2, 1, 1), (1, 1, 1)])
def test_failing_peers_have_threads_apart(threads: int, fast: int, slow: int) -> None:
    lanes = {lane.name: lane.threads for lane in plan(deliver_threads=threads)}
    assert (lanes["deliver"], lanes["slow"]) == (fast, slow)


def test_lane_knows_its_room() -> None:
    freed, hold = threading.Event(), threading.Event()

    def wait() -> None:
        hold.wait()

    lane = Lane(LanePlan(name="x", classes=(), threads=2), freed.set)
    assert (lane.room, lane.busy) == (2, 0)
    for _ in range(3):
        lane.run(wait)
    assert (lane.room, lane.busy) == (0, 3)
    hold.set()
    wait_until(lambda: lane.room == 2, "all are free again")
    assert freed.wait(5)
    lane.close()


def test_failed_job_frees_its_thread() -> None:
    freed = threading.Event()
    lane = Lane(LanePlan(name="x", classes=(), threads=1), freed.set)

    def fail() -> None:
        raise RuntimeError

    lane.run(fail)
    assert freed.wait(5)
    assert lane.room == 1
    lane.close()


def test_lane_with_threads_to_give_wakes_nobody() -> None:
    """A look for work costs a question to the database, and this lane could have been given more all the time."""
    freed: list[int] = []
    lane = Lane(LanePlan(name="x", classes=(), threads=2), lambda: freed.append(1))
    for _ in range(3):
        ended = threading.Event()
        lane.run(ended.set)
        assert ended.wait(5)
        wait_until(lambda: lane.busy == 0, "the thread is free again")
    lane.close()
    assert freed == []


def test_lane_calls_once_it_has_room() -> None:
    """Not for each that ends while others wait for its thread: nothing could be taken then."""
    hold, called = threading.Semaphore(0), list[int]()

    def wait() -> None:
        hold.acquire()

    lane = Lane(LanePlan(name="x", classes=(), threads=2), lambda: called.append(1))
    rooms = []
    for _ in range(5):
        rooms.append(lane.room)
        lane.run(wait)
    assert rooms == [2, 1, 0, 0, 0]
    for _ in range(5):
        hold.release()
    wait_until(lambda: lane.busy == 0, "all have ended")
    lane.close()
    wait_until(lambda: called == [1], "it was said once")


def test_full_lane_delays_no_other() -> None:
    hold, heard = threading.Event(), threading.Event()

    def wait() -> None:
        hold.wait()

    slow = Lane(LanePlan(name="slow", classes=(), threads=1), lambda: None)
    fast = Lane(LanePlan(name="fast", classes=(), threads=1), lambda: None)
    for _ in range(5):
        slow.run(wait)
    fast.run(heard.set)
    assert heard.wait(5)
    hold.set()
    wait_until(lambda: slow.busy == 0, "the slow ones end too")
    for lane in (slow, fast):
        lane.close()


def test_closed_lane_begins_nothing() -> None:
    done: list[int] = []
    lane = Lane(LanePlan(name="x", classes=(), threads=1), lambda: None)
    lane.close()
    lane.run(lambda: done.append(1))
    assert (done, lane.busy) == ([], 0)
