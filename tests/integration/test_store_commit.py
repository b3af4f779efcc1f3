"""Outcomes in one transaction: each stands or falls alone."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from receiver.domain.errors import ConflictError, LostLeaseError
from receiver.domain.ids import new_id
from receiver.domain.outcome import (
    CaseGuard,
    Insert,
    LedgerNote,
    NewEvent,
    Outcome,
    Page,
    Table,
    Update,
    Wake,
    WorkMove,
)
from receiver.domain.status import ItemStatus, Track, Want
from receiver.store import BadRowError, MissingRowError, SqlStore
from tests.doubles.databases import Database
from tests.doubles.store_rows import (
    AT,
    LOCATOR,
    URL,
    case_outcome,
    item_values,
    message_values,
    move,
    notice_outcome,
    set_want,
)


def commit(store: SqlStore, *outcomes: Outcome) -> None:
    for result in store.commit(outcomes):
        if result.error is not None:
            raise result.error


def test_accepted_notice_reads_back(store: SqlStore) -> None:
    outcome, notice, items = notice_outcome(items=3)
    (result,) = store.commit([outcome])
    assert result.error is None
    assert result.sequences == {item: n for n, item in enumerate(items, 1)}
    view = store.load_notice(notice)
    assert [item.id for item in view.items] == items
    assert view.items[0].url == URL + "&n=1"
    assert view.items[0].details["referrer"].startswith("https://")
    assert view.notice.last_sequence == 3
    assert [event.sequence for event in store.events_of(notice)] == [1, 2, 3]
    assert store.events_of(notice)[0].data == {"took": 0.398}
    assert store.find_notice("iwf", "N-1") == view.notice
    message = store.load_message(view.notice.message_id)
    assert message.body.startswith(b"{")
    assert message.covered["headers"] == [["a", "b"]]


def test_received_events_count_as_delivered(store: SqlStore) -> None:
    outcome, notice, _ = notice_outcome()
    commit(store, outcome)
    assert store.undelivered(notice, 10) == ()
    assert store.load_work(Track.DELIVER, notice) is None
    resolve = store.load_work(Track.RESOLVE, notice)
    assert resolve is not None
    assert (resolve.state, resolve.priority, resolve.nudges) == ("due", 0, 1)


def test_loser_is_rolled_back_alone(store: SqlStore) -> None:
    first, notice, _ = notice_outcome("N-1")
    twin, _, _ = notice_outcome("N-1")
    other, other_notice, _ = notice_outcome("N-2")
    results = store.commit([first, twin, other])
    assert [type(result.error) for result in results] == [type(None), ConflictError, type(None)]
    assert store.load_notice(notice).items
    assert store.load_notice(other_notice).items
    assert store.count_unsequenced() == 2


def test_malformed_outcome_fails_alone(store: SqlStore) -> None:
    good, notice, _ = notice_outcome("N-1")
    odd = Outcome(changes=(Insert(table=Table.HOLD, values={"id": "h", "nonsense": 1}),))
    float_note = Outcome(notes=(LedgerNote(kind="k", subject="s", actor="a", detail={"x": 0.5}),))
    not_a_time = {"scope": "all", "actor": "a", "since_at": "soon"}
    wrong_type = Outcome(changes=(Insert(table=Table.PAUSE, values=not_a_time),))
    results = store.commit([odd, good, float_note])
    assert [type(result.error) for result in results] == [BadRowError, type(None), BadRowError]
    assert store.load_notice(notice).items
    if store._db.backend.name == "postgresql":
        (result,) = store.commit([wrong_type])
        assert isinstance(result.error, BadRowError)


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


def test_one_open_case_per_resource(store: SqlStore) -> None:
    first, case = case_outcome()
    second, _ = case_outcome()
    commit(store, first)
    (refused,) = store.commit([second])
    assert isinstance(refused.error, ConflictError)
    assert store.find_open_case("www", LOCATOR) == case
    assert store.find_open_case("other", LOCATOR) is None
    commit(store, Outcome(changes=(Update(table=Table.CASE, where={"id": case}, values={"closed_at": AT}),)))
    assert store.find_open_case("www", LOCATOR) is None
    commit(store, second)


def test_case_view_holds_everything(store: SqlStore) -> None:
    outcome, notice, (item,) = notice_outcome()
    made, case = case_outcome(item)
    rest = (
        Insert(table=Table.HOLD, values={"id": new_id(), "case": case, "origin": "iwf", "reference": "POL-7"}),
        Insert(
            table=Table.ACT,
            values={
                "op_id": "op1",
                "case": case,
                "track": Track.EXPOSURE,
                "kind": "block",
                "target": "www",
                "intent": {"pins": [{"b64": "AA=="}], "undo": b"\x01"},
                "begun_at": AT,
            },
        ),
        Insert(
            table=Table.SEAL,
            values={
                "id": new_id(),
                "case": case,
                "round": 1,
                "pin": "p",
                "payload_ref": "a",
                "header_ref": "b",
                "sha256_plain": "ab" * 32,
                "sha256_sealed": "cd" * 32,
                "size_bytes": 7,
                "checked_at": AT,
            },
        ),
        Insert(
            table=Table.DECISION,
            values={
                "id": new_id(),
                "item": item,
                "kind": "approve",
                "actor": "ann",
                "reason": "seen it",
                "request_sha256": "x",
                "state": "approved",
                "approvals": ("ann",),
            },
        ),
        Insert(
            table=Table.DIRECTION,
            values={
                "id": new_id(),
                "direction_id": "D-1",
                "notice": notice,
                "message_id": store_message(store),
                "kind": "hold",
                "items": ("1",),
                "reference": "POL-7",
                "issued_at": AT,
            },
        ),
    )
    commit(store, outcome.plus(made).plus(Outcome(changes=rest)))
    view = store.load_case(case)
    assert view.case.locator == LOCATOR
    assert view.case.observation == {"ref": {"locator": {"b64": "AAE="}}, "raw": b"\x00\x01"}
    assert view.case.residual == ("resource_not_identified",)
    assert view.claims[0].item.id == item
    assert view.claims[0].notice.id == notice
    assert view.urls[0].url == URL
    assert view.urls[0].way["raw"] == b"\xff\x00"
    assert view.urls[0].looks == ({"age": 0.5},)
    assert view.holds[0].reference == "POL-7"
    assert view.acts[0].intent == {"pins": [{"b64": "AA=="}], "undo": b"\x01"}
    assert view.acts[0].receipt is None
    assert len(view.seals[0].sha256_plain_hmac) == 64
    assert view.seals[0].sha256_plain_hmac != "ab" * 32
    assert view.decisions[0].approvals == ("ann",)
    assert view.exposure.state == "deny"
    assert (view.evidence.state, view.evidence.due_at) == ("wait", None)
    told = store.load_notice(notice)
    assert told.claims == {item: (case,)}
    assert told.directions[0].items == ("1",)
    assert store.find_direction(notice, "D-1") == told.directions[0]
    assert told.decisions == view.decisions
    line = store.find_item(item)
    assert line is not None
    assert line.cases == (case,)
    assert store.find_case_by_code(view.case.code) == case
    assert [event.item for event in store.events_of_case(case)] == [item]
    assert store.spent_since("iwf", 0).customers == 1


def store_message(store: SqlStore) -> str:
    message = new_id()
    commit(store, Outcome(changes=(Insert(table=Table.MESSAGE, values=message_values(message)),)))
    return message


def test_missing_row_is_named(store: SqlStore) -> None:
    with pytest.raises(MissingRowError, match="case"):
        store.load_case("nothing")
    assert store.find_item("nothing") is None


def test_update_must_match_one_row(store: SqlStore) -> None:
    outcome, case = case_outcome()
    commit(store, outcome)
    absent = Update(table=Table.CASE, where={"id": "none"}, values={"customer": "x"})
    (result,) = store.commit([Outcome(changes=(absent,))])
    assert isinstance(result.error, ConflictError)
    optional = Update(table=Table.CASE, where={"id": "none"}, values={"customer": "x"}, optional=True)
    commit(store, Outcome(changes=(optional,)))
    by_url = Update(table=Table.CASE_URL, where={"case": case, "url": URL}, values={"verdict": "gone", "looks": [{}]})
    commit(store, Outcome(changes=(by_url,)))
    still_open = Update(table=Table.CASE, where={"adapter": "www", "closed_at": None}, values={"customer": "y"})
    commit(store, Outcome(changes=(still_open,)))
    assert store.load_case(case).case.customer == "y"
    assert store.load_case(case).urls[0].verdict == "gone"


def test_events_number_and_wake_delivery(store: SqlStore) -> None:
    outcome, notice, (item,) = notice_outcome()
    commit(store, outcome)
    event = NewEvent(notice=notice, item=item, item_id="1", status=ItemStatus.DISABLED, data={"seconds": 0.398})
    (result,) = store.commit([Outcome(events=(event, event))])
    assert result.sequences == {item: 3}
    waiting = store.undelivered(notice, 10)
    assert [one.sequence for one in waiting] == [2, 3]
    work = store.load_work(Track.DELIVER, notice)
    assert work is not None
    assert work.due_at is not None
    assert store.sleeping_letters(["iwf"], after=None, limit=5) == ()
    asleep = Update(table=Table.WORK, where={"track": "deliver", "subject": notice}, values={"due_at": None})
    commit(store, Outcome(changes=(asleep,)))
    assert store.sleeping_letters(["iwf"], after=None, limit=5) == (notice,)
    assert store.sleeping_letters(["ncmec"], after=None, limit=5) == ()
    assert store.sleeping_letters(["iwf"], after=notice, limit=5) == ()
    now = store.now()
    done = Update(table=Table.EVENT, where={"id": waiting[0].id}, values={"delivered_at": now})
    dead = Update(table=Table.EVENT, where={"id": waiting[1].id}, values={"dead_at": now})
    commit(store, Outcome(changes=(done, dead)))
    assert store.undelivered(notice, 10) == ()
    assert [one.id for one in store.dead_events(after=None, limit=5)] == [waiting[1].id]


def test_event_of_unknown_notice_fails(store: SqlStore) -> None:
    event = NewEvent(notice="none", item="none", item_id="1", status=ItemStatus.FAILED, data={})
    (result,) = store.commit([Outcome(events=(event,))])
    assert isinstance(result.error, ConflictError)


def test_same_page_counts_up(store: SqlStore) -> None:
    page = Page(kind="stuck", subject="case1", text="look")
    commit(store, Outcome(pages=(page,)), Outcome(pages=(page,)))
    (found,) = store.open_pages(5)
    assert found.count == 2
    assert store.acknowledge_page(found.id, "ann")
    assert not store.acknowledge_page(found.id, "bob")
    commit(store, Outcome(pages=(page,)))
    (fresh,) = store.open_pages(5)
    assert (fresh.count, fresh.id != found.id) == (1, True)


def test_ledger_entry_is_final(store: SqlStore, database: Database) -> None:
    outcome, notice, _ = notice_outcome()
    commit(store, outcome)
    ((entry, leaf),) = store.pending_entries(5)
    assert len(leaf) == 32
    engine = database.engine()
    forbidden = ["DELETE FROM entry", "UPDATE entry SET kind = 'x'", "UPDATE entry SET seq = 5, subject = 'x'"]
    for sql in forbidden:
        with pytest.raises(Exception, match="ledger"), engine.begin() as conn:
            conn.execute(text(sql))
    store.append_to_ledger(0, [(entry, 0)], [(0, 0, b"tile")])
    for sql in [*forbidden, "UPDATE entry SET seq = 7", "UPDATE entry SET seq = NULL"]:
        with pytest.raises(Exception, match="ledger"), engine.begin() as conn:
            conn.execute(text(sql))
    (stored,) = store.entries_about(notice, 5)
    assert stored.seq == 0
    assert stored.detail is not None
    assert stored.detail["detail"] == {"items": 1}
    with engine.begin() as conn:
        conn.execute(text("DELETE FROM entry_detail"))
    assert store.iter_entries(0, 5)[0].detail is None


def test_too_many_outcomes_are_refused(store: SqlStore) -> None:
    assert store.commit([]) == []
    with pytest.raises(ValueError, match="64"):
        store.commit([Outcome()] * 65)


def test_new_item_needs_its_notice(store: SqlStore) -> None:
    (result,) = store.commit([Outcome(changes=(Insert(table=Table.ITEM, values=item_values("i", "none", "1")),))])
    assert isinstance(result.error, BadRowError)


def test_sealed_column_needs_primary_key(store: SqlStore) -> None:
    wrong = Update(table=Table.CASE, where={"adapter": "www"}, values={"scope": b"x"})
    by_body = Update(table=Table.MESSAGE, where={"body": b"x"}, values={"channel": "y"})
    results = store.commit([Outcome(changes=(wrong,)), Outcome(changes=(by_body,))])
    assert [type(result.error) for result in results] == [BadRowError, BadRowError]


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


def test_events_and_pages_have_own_forms(store: SqlStore) -> None:
    outcome, notice, (item,) = notice_outcome()
    commit(store, outcome)
    commit(store, Outcome(pages=(Page(kind="k", subject="s", text="t"),)))
    event = store.events_of(notice)[0].id
    forbidden = (
        Insert(table=Table.EVENT, values={"id": new_id(), "notice": notice, "item": item}),
        Insert(table=Table.PAGE, values={"id": new_id(), "kind": "k", "subject": "s"}),
        Update(table=Table.EVENT, where={"id": event}, values={"status": "disabled"}),
        Update(table=Table.ITEM, where={"id": item}, values={}),
    )
    results = store.commit([Outcome(changes=(change,)) for change in forbidden])
    assert {type(result.error) for result in results} == {BadRowError}
    (page,) = store.open_pages(5)
    seen = Update(table=Table.PAGE, where={"id": page.id}, values={"acknowledged_at": AT, "acknowledged_by": "ann"})
    commit(store, Outcome(changes=(seen,)))
    assert store.open_pages(5) == ()


def test_delivery_row_says_deliver(store: SqlStore) -> None:
    outcome, notice, (item,) = notice_outcome()
    commit(store, outcome)
    event = NewEvent(notice=notice, item=item, item_id="1", status=ItemStatus.FAILED, data={})
    commit(store, Outcome(events=(event,)))
    row = store.load_work(Track.DELIVER, notice)
    assert row is not None
    assert (row.state, row.priority) == ("deliver", 2)


def test_late_notices_are_found_once(store: SqlStore) -> None:
    outcome, notice, _ = notice_outcome(items=3)
    commit(store, outcome)
    deadline = Update(table=Table.NOTICE, where={"id": notice}, values={"deadline_at": 1000})
    commit(store, Outcome(changes=(deadline,)))
    assert store.late_notices(1001, after=None, limit=5) == (notice,)
    assert store.late_notices(1000, after=None, limit=5) == ()
    assert store.late_notices(1001, after=notice, limit=5) == ()
