"""Events and pages: numbered for each notice, told once."""

from __future__ import annotations

from receiver.domain.errors import ConflictError
from receiver.domain.ids import new_id
from receiver.domain.outcome import (
    Insert,
    NewEvent,
    Outcome,
    Page,
    Table,
    Update,
)
from receiver.domain.status import ItemStatus, Track
from receiver.store import BadRowError, SqlStore
from tests.doubles.pages import acknowledge
from tests.doubles.store_rows import (
    AT,
    commit,
    notice_outcome,
)


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
    assert acknowledge(store, found.id)
    assert not acknowledge(store, found.id, "bob")
    commit(store, Outcome(pages=(page,)))
    (fresh,) = store.open_pages(5)
    assert (fresh.count, fresh.id != found.id) == (1, True)


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
