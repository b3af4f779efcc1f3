"""Leases, guards and wake-ups: who may write a row, and when it falls due."""

from __future__ import annotations

from receiver.domain.errors import ConflictError, LostLeaseError
from receiver.domain.outcome import (
    CaseGuard,
    Outcome,
    Table,
    Update,
    Wake,
    WorkMove,
)
from receiver.domain.status import ItemStatus, Track, Want
from receiver.store import SqlStore
from tests.doubles.store_rows import (
    AT,
    case_outcome,
    commit,
    move,
    notice_outcome,
    set_want,
)


def test_lost_lease_writes_nothing(store: SqlStore) -> None:
    outcome, notice, items = notice_outcome()
    commit(store, outcome)
    first = store.register_worker("n1", "worker", "a", 1, "x")
    second = store.register_worker("n2", "worker", "b", 2, "x")
    (row,) = store.claim(first, Track.RESOLVE, 0, 5)
    store.retire_worker(first)
    (again,) = store.claim(second, Track.RESOLVE, 0, 5)
    assert again.epoch == row.epoch + 1
    late = Outcome(
        work=move(row, first),
        changes=(Update(table=Table.ITEM, where={"id": items[0]}, values={"status": ItemStatus.FAILED}),),
    )
    (result,) = store.commit([late])
    assert isinstance(result.error, LostLeaseError)
    assert store.load_notice(notice).items[0].status is ItemStatus.RECEIVED
    commit(store, Outcome(work=move(again, second)))
    done = store.load_work(Track.RESOLVE, notice)
    assert done is not None
    assert (done.state, done.owner, done.due_at) == ("done", None, None)


def test_old_epoch_of_same_owner_loses(store: SqlStore) -> None:
    outcome, _, _ = notice_outcome()
    commit(store, outcome)
    me = store.register_worker("n1", "worker", "a", 1, "x")
    (row,) = store.claim(me, Track.RESOLVE, 0, 5)
    commit(store, Outcome(work=move(row, me, due_at=AT)))
    (again,) = store.claim(me, Track.RESOLVE, 0, 5)
    (late,) = store.commit([Outcome(work=move(row, me))])
    assert isinstance(late.error, LostLeaseError)
    commit(store, Outcome(work=move(again, me)))


def test_kept_lease_stays_mine(store: SqlStore) -> None:
    outcome, notice, _ = notice_outcome()
    commit(store, outcome)
    me = store.register_worker("n1", "worker", "a", 1, "x")
    (row,) = store.claim(me, Track.RESOLVE, 0, 5)
    commit(store, Outcome(work=move(row, me, state="next", due_at=AT, keep=True)))
    kept = store.load_work(Track.RESOLVE, notice)
    assert kept is not None
    assert (kept.owner, kept.epoch, kept.state) == (me, row.epoch, "next")
    assert store.claim(me, Track.RESOLVE, 0, 5) == []


def test_changed_case_refuses_guard(store: SqlStore) -> None:
    outcome, case = case_outcome()
    commit(store, outcome)
    seen = store.load_case(case).case.revision
    commit(store, Outcome(changes=(set_want(case, Want.UP),), bumps=(case, case)))
    assert store.load_case(case).case.revision == seen + 1
    (stale,) = store.commit([Outcome(guard=CaseGuard(case=case, revision=seen), changes=(set_want(case, Want.DOWN),))])
    assert isinstance(stale.error, ConflictError)
    assert store.load_case(case).case.want is Want.UP
    commit(store, Outcome(guard=CaseGuard(case=case, revision=seen + 1), changes=(set_want(case, Want.DOWN),)))
    assert store.load_case(case).case.want is Want.DOWN


def test_guards_of_one_batch_see_each_other(store: SqlStore) -> None:
    outcome, case = case_outcome()
    commit(store, outcome)
    one = Outcome(guard=CaseGuard(case=case, revision=0), bumps=(case,))
    results = store.commit([one, one])
    assert [type(result.error) for result in results] == [type(None), ConflictError]


def test_unseen_nudge_makes_row_due(store: SqlStore) -> None:
    outcome, notice, _ = notice_outcome()
    commit(store, outcome)
    me = store.register_worker("n1", "worker", "a", 1, "x")
    (row,) = store.claim(me, Track.RESOLVE, 0, 5)
    commit(store, Outcome(wakes=(Wake(track=Track.RESOLVE, subject=notice),)))
    still = store.load_work(Track.RESOLVE, notice)
    assert still is not None
    assert still.owner == me
    commit(store, Outcome(work=move(row, me, state="idle")))
    again = store.claim(me, Track.RESOLVE, 0, 5)
    assert [found.subject for found in again] == [notice]
    commit(store, Outcome(work=move(again[0], me, state="idle")))
    assert store.claim(me, Track.RESOLVE, 0, 5) == []


def test_wake_moves_only_fitting_state(store: SqlStore) -> None:
    outcome, case = case_outcome()
    commit(store, outcome)
    commit(store, Outcome(wakes=(Wake(track=Track.EXPOSURE, subject=case, state="unblock", from_state="watch"),)))
    row = store.load_case(case).exposure
    assert (row.state, row.nudges) == ("deny", 1)
    commit(store, Outcome(wakes=(Wake(track=Track.EXPOSURE, subject=case, state="unblock", from_state="deny"),)))
    assert store.load_case(case).exposure.state == "unblock"
    commit(store, Outcome(wakes=(Wake(track=Track.EXPOSURE, subject=case, state="other"),)))
    assert store.load_case(case).exposure.state == "unblock"


def test_wake_takes_earlier_due_time(store: SqlStore) -> None:
    wake = Wake(track=Track.EVIDENCE, subject="c", state="wait", due_at=AT)
    commit(store, Outcome(wakes=(wake,)))
    commit(store, Outcome(wakes=(Wake(track=Track.EVIDENCE, subject="c", due_at=AT + 5, priority=9),)))
    row = store.load_work(Track.EVIDENCE, "c")
    assert row is not None
    assert (row.due_at, row.priority) == (AT, 3)
    commit(store, Outcome(wakes=(Wake(track=Track.EVIDENCE, subject="c", due_at=AT - 5, priority=1),)))
    row = store.load_work(Track.EVIDENCE, "c")
    assert row is not None
    assert (row.due_at, row.priority, row.nudges) == (AT - 5, 1, 3)


def test_stuck_move_is_listed(store: SqlStore) -> None:
    outcome, case = case_outcome(owner="w")
    commit(store, outcome)
    stuck = WorkMove(
        track=Track.EXPOSURE,
        subject=case,
        owner="w",
        epoch=1,
        nudges=0,
        state="stuck",
        due_at=None,
        priority=1,
        last_error="the store said no",
        stuck_from="block",
    )
    commit(store, Outcome(work=stuck))
    (row,) = store.stuck_work(5)
    assert (row.subject, row.stuck_from) == (case, "block")
    (line,) = store.list_cases(state="stuck", issuer=None, after=None, limit=5)
    assert line.last_error == "the store said no"
    assert store.gauges()["stuck"] == 1.0
