"""What the alarms ask of the rows, on both databases: what waits for a place, what nobody saw gone, what is stuck."""

from __future__ import annotations

from typing import Any

from receiver.domain.causes import Unconfirmed, Waiting, at
from receiver.domain.outcome import Insert, Outcome, Page, Table, Update
from receiver.domain.status import Track
from receiver.store import SqlStore
from receiver.store.alarms import TRIED_WITHIN_MICROS
from tests.doubles.store_rows import case_outcome, commit, notice_outcome

AWAY = at("store www", "block: the agent is away")
SLOW = at("store www", "observe: busy")


def work(store: SqlStore, track: Track, subject: str, **values: Any) -> None:
    row = {"track": track.value, "subject": subject, "state": "block", "due_at": store.now(), "attempts": 6, **values}
    commit(store, Outcome(changes=(Insert(table=Table.WORK, values=row),)))


def test_places_are_counted_and_others_named(store: SqlStore) -> None:
    for subject, since in (("c1", 30), ("c2", 10), ("c3", 20)):
        work(store, Track.EXPOSURE, subject, last_error=AWAY, first_failed_at=since)
    work(store, Track.EXPOSURE, "c4", last_error=SLOW, first_failed_at=40)
    work(store, Track.EVIDENCE, "c1", last_error=AWAY, first_failed_at=50)
    for subject in ("n1", "n2"):
        work(store, Track.RESOLVE, subject, last_error="odd", first_failed_at=60)
    found = {(one.track, one.subject, one.words): (one.count, one.oldest_at) for one in store.long_waiting()}
    assert found == {
        (Track.EXPOSURE, None, AWAY): (3, 10),
        (Track.EXPOSURE, None, SLOW): (1, 40),
        (Track.EVIDENCE, None, AWAY): (1, 50),
        (Track.RESOLVE, "n1", "odd"): (1, 60),
        (Track.RESOLVE, "n2", "odd"): (1, 60),
    }


def test_what_does_not_wait_long_is_left_out(store: SqlStore) -> None:
    work(store, Track.EXPOSURE, "young", last_error=AWAY, attempts=5)
    work(store, Track.EXPOSURE, "stuck", last_error=AWAY, state="stuck", due_at=None)
    work(store, Track.DELIVER, "letter", last_error="503", attempts=9)
    work(store, Track.EXPOSURE, "years", last_error=AWAY, due_at=store.now() + 2 * TRIED_WITHIN_MICROS)
    assert store.long_waiting() == ()
    work(store, Track.EXPOSURE, "hour", last_error=AWAY, due_at=store.now() + TRIED_WITHIN_MICROS // 2)
    assert store.long_waiting() == (Waiting(track=Track.EXPOSURE, subject=None, words=AWAY, count=1, oldest_at=0),)


def test_stuck_rows_are_known_by_what_is_paged(store: SqlStore) -> None:
    work(store, Track.EXPOSURE, "c1", last_error=AWAY, state="stuck", due_at=None)
    work(store, Track.EXPOSURE, "c2", last_error=AWAY, state="stuck", due_at=None)
    work(store, Track.EVIDENCE, "c1", last_error="broken", state="stuck", due_at=None)
    work(store, Track.DELIVER, "n1", last_error=None, state="stuck", due_at=None)
    work(store, Track.EXPOSURE, "c3", last_error=AWAY)
    assert store.still_stuck() == {("exposure", AWAY), ("evidence", "c1"), ("deliver", "n1")}


def test_unconfirmed_cases_are_counted_once(store: SqlStore) -> None:
    """Two items of one case are one case; what failed for another reason is another page's."""
    outcome, _notice, items = notice_outcome(items=3)
    commit(store, outcome)
    assert store.long_unconfirmed() == ()
    opened, case = case_outcome(items[0])
    commit(store, opened)
    claims = [{"item": item, "case": case, "act": "remove", "rank": 1} for item in items[1:]]
    commit(store, Outcome(changes=tuple(Insert(table=Table.CLAIM, values=claim) for claim in claims)))
    for at_, item, reason in ((10, items[0], "unconfirmed"), (30, items[1], "unconfirmed"), (50, items[2], "stuck")):
        values = {"status": "failed", "reason": reason, "status_at": at_}
        commit(store, Outcome(changes=(Update(table=Table.ITEM, where={"id": item}, values=values),)))
    (found,) = store.long_unconfirmed()
    assert found == Unconfirmed(adapter=found.adapter, count=1, oldest_at=10, newest_at=30)


def test_a_page_is_closed_only_as_it_was_read(store: SqlStore) -> None:
    """Raised again in between, it is about something new, and stays open."""
    page = Page(kind="exposure.stuck", subject=AWAY, text="t")
    commit(store, Outcome(pages=(page,)))
    (read,) = store.open_pages(5)
    commit(store, Outcome(pages=(page,)))
    where = {"id": read.id, "count": read.count, "acknowledged_at": None}
    ends = Update(table=Table.PAGE, where=where, values={"acknowledged_at": 1, "acknowledged_by": "x"}, optional=True)
    commit(store, Outcome(changes=(ends,)))
    assert [one.count for one in store.open_pages(5)] == [2]


def test_rows_that_fall_due_soon_are_named(store: SqlStore) -> None:
    now = store.now()
    for subject, due_at in (("past", now - 1_000_000), ("soon", now + 60_000_000), ("late", now + 600_000_000)):
        work(store, Track.EXPOSURE, subject, due_at=due_at)
    work(store, Track.DELIVER, "never", due_at=None)
    assert store.due_within(now + 120_000_000) == ((Track.EXPOSURE, "soon"),)


def test_newest_sweep_is_known(store: SqlStore) -> None:
    assert store.last_sweep_at() is None
    before = store.now()
    for name in ("pages", "alarms"):
        store.sweep_done(name)
    assert before <= (store.last_sweep_at() or 0) <= store.now()
