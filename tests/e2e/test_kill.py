"""Killed at any moment, the receiver finishes every notice after a restart, and once."""

from __future__ import annotations

import random
import secrets
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from receiver.demo.evidence import holds_sealed
from tests.e2e.stand import PARTS, Stand, descendants_of, kill, runs
from tests.support import wait_until

MOMENTS = 8
LATEST_SECONDS = 0.4
ONCE = ("notice.accepted", "case.opened", "url.denied", "resource.blocked", "evidence.sealed", "seen.gone")
"""What the ledger says once of each notice or case, however often the work on it was interrupted."""


def test_kill_at_any_moment_loses_nothing(stand: Stand) -> None:
    seed = secrets.randbits(32)
    dice = random.Random(seed)
    # One in each slice, so that no part of the work is spared by chance.
    moments = [(n + dice.random()) * LATEST_SECONDS / MOMENTS for n in range(MOMENTS)]
    print(f"seed {seed}, killed after (s): {', '.join(f'{moment:.3f}' for moment in moments)}")  # noqa: T201 - to repeat
    jobs = []
    for moment in moments:
        job = stand.new_job()
        jobs.append(job)
        sending = threading.Thread(target=stand.try_to_send, args=(job,))
        sending.start()
        time.sleep(moment)
        stand.kill_all()
        sending.join()
        stand.start()
        stand.send(job)
        stand.wait_until_disabled(job)
    for job in jobs:
        wait_until(partial(holds_sealed, stand.places, job.sha256), "evidence is sealed")
        assert_told_once(stand, job.notice_id)
    assert_whole(stand, len(jobs))


@pytest.mark.parametrize("part", ["worker", "agent", "web"])
def test_one_process_killed_comes_back(stand: Stand, part: str) -> None:
    job = stand.new_job()
    before = stand.part(part)
    orphans = descendants_of(before)
    sending = threading.Thread(target=stand.try_to_send, args=(job,))
    sending.start()
    time.sleep(0.06)
    kill(before)
    sending.join()
    wait_until(lambda: comes_back(stand, part, before), f"{part} is started again", seconds=20)
    wait_until(lambda: not any(runs(pid) for pid in orphans), "what it left has ended", seconds=20)
    wait_until(stand.is_ready, "the public side answers", seconds=20)
    stand.send(job)
    stand.wait_until_disabled(job)
    wait_until(lambda: holds_sealed(stand.places, job.sha256), "evidence is sealed")
    assert_told_once(stand, job.notice_id)


def test_killed_supervisor_takes_all_along(stand: Stand) -> None:
    family = descendants_of(stand.pid)
    assert len(family) >= len(PARTS)
    kill(stand.pid)
    wait_until(lambda: not any(runs(pid) for pid in family), "nothing is left running", seconds=20)
    stand.stop()


def comes_back(stand: Stand, part: str, before: int) -> bool:
    try:
        return stand.part(part) != before
    except AssertionError:
        return False


def assert_told_once(stand: Stand, notice_id: str) -> None:
    """One id for each place in the sequence, and `disabled` in one place only."""
    heard = [callback for callback in stand.listener.callbacks if callback.notice_id == notice_id]
    assert [(callback.sequence, callback.status) for callback in heard] == [(2, "disabled")]
    status = stand.client.status(notice_id)
    assert [item["status"] for item in status.body["items"]] == ["disabled"]
    assert [event["sequence"] for event in status.body["events"]] == [1, 2]


def assert_whole(stand: Stand, at_least: int) -> None:
    """One seal for each pin, one file held for each case, and what auditors ask finds nothing."""
    stand.stop()
    database = stand.places.receiver / "data" / "receiver.db"
    rows = read(database, 'SELECT "case", round, pin FROM seal')
    assert len(rows) >= at_least
    assert set(Counter(rows).values()) == {1}, "a pin was sealed twice"
    held = [path for path in stand.places.quarantine.glob("*/0") if path.is_file()]
    assert len(held) == len(rows)
    entered = Counter(read(database, "SELECT kind, subject FROM entry"))
    twice = [kind for (kind, _), count in entered.items() if kind in ONCE and count != 1]
    assert not twice, f"entered twice in the ledger: {twice}"
    # A gate that reloads is not waited for: its own entry follows with the next look.
    assert {kind for kind, _ in entered} >= set(ONCE) - {"url.denied"}
    assert not list(stand.places.docroot.glob("gallery/*.png"))
    for words in (("vault", "verify"), ("ledger", "checkpoint"), ("ledger", "verify")):
        ended = stand.command(*words)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def read(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as link:
        return link.execute(query).fetchall()
