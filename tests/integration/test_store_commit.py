"""Outcomes in one transaction: each stands or falls alone."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from receiver.domain.errors import ConflictError
from receiver.domain.outcome import (
    Insert,
    LedgerNote,
    Outcome,
    Table,
    Update,
)
from receiver.domain.status import Track
from receiver.store import BadRowError, SqlStore
from tests.doubles.databases import Database
from tests.doubles.store_rows import (
    URL,
    case_outcome,
    commit,
    item_values,
    notice_outcome,
)


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
