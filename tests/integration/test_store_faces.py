"""Lists, ledger tables, accounts and rate limits."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import update

from receiver.domain.entry import verify_entry
from receiver.domain.errors import LedgerConflictError
from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, LedgerNote, NewEvent, Outcome, Table, Update
from receiver.domain.status import ItemStatus
from receiver.store import MissingRowError, SqlStore, tables
from tests.doubles.store_rows import AT, HOST, case_outcome, notice_outcome


def put(store: SqlStore, *outcomes: Outcome) -> None:
    for result in store.commit(outcomes):
        if result.error is not None:
            raise result.error


def case_of(store: SqlStore, notice_id: str, issuer: str, locator: bytes) -> tuple[str, str]:
    outcome, _, (item,) = notice_outcome(notice_id, issuer=issuer)
    made, case = case_outcome(item, locator=locator)
    put(store, outcome.plus(made))
    return case, item


def test_cases_are_paged_and_filtered(store: SqlStore) -> None:
    cases = [case_of(store, f"N-{n}", "iwf" if n % 2 else "inhope", b"loc%d" % n)[0] for n in range(5)]
    put(store, Outcome(changes=(Update(table=Table.CASE, where={"id": cases[0]}, values={"closed_at": AT}),)))
    everything = store.list_cases(state=None, issuer=None, after=None, limit=9)
    assert [line.case.id for line in everything] == cases
    assert (everything[0].hosts, everything[0].issuers, everything[0].exposure) == ((HOST,), ("inhope",), "deny")
    assert everything[0].evidence == "wait"
    page = store.list_cases(state="open_", issuer=None, after=None, limit=2)
    assert [line.case.id for line in page] == cases[1:3]
    more = store.list_cases(state="open_", issuer=None, after=cases[2], limit=2)
    assert [line.case.id for line in more] == cases[3:]
    assert [line.case.id for line in store.list_cases(state="deny", issuer="iwf", after=None, limit=9)] == [
        cases[1],
        cases[3],
    ]
    assert store.list_cases(state="watch", issuer=None, after=None, limit=9) == ()


def test_items_are_listed(store: SqlStore) -> None:
    case, item = case_of(store, "N-1", "iwf", b"a")
    _, other = case_of(store, "N-2", "iwf", b"b")
    change = Update(table=Table.ITEM, where={"id": item}, values={"status": ItemStatus.REVIEW, "reason": "shared"})
    put(store, Outcome(changes=(change,)))
    (line,) = store.list_items("review", after=None, limit=5)
    assert (line.item.reason, line.cases, line.notice.notice_id) == ("shared", (case,), "N-1")
    assert [line.item.id for line in store.list_items("received", after=None, limit=5)] == [other]
    assert store.list_items("received", after=other, limit=5) == ()


def test_gauges_count_what_waits(store: SqlStore) -> None:
    case, _ = case_of(store, "N-1", "iwf", b"a")
    gauges = store.gauges()
    assert gauges["backlog{resolve}"] == 1.0
    assert gauges["backlog{exposure}"] == 1.0
    assert gauges["oldest_due_seconds{exposure}"] > 0
    assert gauges["unsequenced_entries"] == 1.0
    assert store.list_decisions("asked", limit=5) == ()
    asked = {
        "id": new_id(), "case": case, "kind": "release", "actor": "ann", "reason": "r", "request_sha256": "x",
        "state": "asked", "needs": 2,
    }  # fmt: skip
    put(store, Outcome(changes=(Insert(table=Table.DECISION, values=asked),)))
    (decision,) = store.list_decisions("asked", limit=5)
    assert store.find_decision(decision.id) == decision
    assert decision.reason == "r"


def test_pauses_and_keys_are_read(store: SqlStore) -> None:
    key = {"issuer": "iwf", "kid": "k1", "thumbprint": "t", "state": "active"}
    pause = {"scope": "all", "actor": "ann", "since_at": AT}
    put(
        store,
        Outcome(
            changes=(
                Insert(table=Table.ISSUER_KEY, values=key),
                Insert(table=Table.PAUSE, values=pause),
                Update(table=Table.ISSUER_KEY, where={"issuer": "iwf", "kid": "k1"}, values={"revoked_at": AT}),
            )
        ),
    )
    assert [overlay.revoked_at for overlay in store.key_overlay()] == [AT]
    assert [row.scope for row in store.pauses()] == ["all"]
    assert store.lift_pause("all")
    assert not store.lift_pause("all")


def test_ledger_is_numbered_without_gaps(store: SqlStore) -> None:
    notes = tuple(LedgerNote(kind="k", subject=f"s{n}", actor="a", detail={"b": b"\xff"}) for n in range(5))
    put(store, Outcome(notes=notes))
    pending = store.pending_entries(10)
    assert [name for name, _ in pending] == sorted(name for name, _ in pending)
    store.append_to_ledger(0, [(name, n) for n, (name, _) in enumerate(pending[:3])], [(0, 0, b"a" * 96)])
    assert (store.ledger_size(), store.count_unsequenced()) == (3, 2)
    with pytest.raises(LedgerConflictError):
        store.append_to_ledger(0, [(pending[3][0], 0)], [])
    with pytest.raises(LedgerConflictError):
        store.append_to_ledger(3, [(pending[0][0], 3)], [(0, 0, b"wrong")])
    store.append_to_ledger(
        3, [(name, 3 + n) for n, (name, _) in enumerate(pending[3:])], [(0, 0, b"b" * 160), (2, 1, b"c" * 32)]
    )
    assert store.tile(0, 0) == b"b" * 160
    assert store.tile(1, 0) is None
    named = store.tiles_named([(0, 0), (0, 1), (1, 2), (2, 1)])
    assert named == {(0, 0): b"b" * 160, (2, 1): b"c" * 32}
    assert store.tiles_named([]) == {}
    entries = store.iter_entries(1, 3)
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert [verify_entry(entry) for entry in entries] == [(), (), ()]


def test_checkpoints_remember_copies(store: SqlStore) -> None:
    assert store.last_checkpoint() is None
    store.save_checkpoint(3, "note three")
    store.save_checkpoint(7, "note seven")
    store.record_copy(7, "b")
    store.record_copy(7, "a")
    store.record_copy(7, "a")
    last = store.last_checkpoint()
    assert last is not None
    assert (last.size, last.note, last.copies) == (7, "note seven", ("a", "b"))
    store.save_checkpoint(7, "note again")
    again = store.last_checkpoint()
    assert again is not None
    assert (again.note, again.copies) == ("note again", ())
    with pytest.raises(MissingRowError):
        store.record_copy(8, "a")


def test_accounts_sessions_tokens_read_back(store: SqlStore) -> None:
    user = {"name": "ann", "password_hash": "h", "role": "reviewer", "must_change": True}
    session = {"id_hash": "s1", "user": "ann", "seen_at": AT, "expires_at": AT + 1}
    token = {"id": "t1", "hash": "th", "name": "ci", "user": "ann", "scope": "read"}
    tables = ((Table.ADMIN_USER, user), (Table.SESSION, session), (Table.API_TOKEN, token))
    put(store, Outcome(changes=tuple(Insert(table=table, values=values) for table, values in tables)))
    found = store.find_admin_user("ann")
    assert found is not None
    assert (found.role, found.must_change, found.disabled_at) == ("reviewer", True, None)
    assert "h" not in repr(found).split("role")[0].removeprefix("AdminUserRow(name='ann', ")
    assert store.list_admin_users() == (found,)
    by_hash = store.find_token("th")
    assert by_hash is not None
    assert by_hash.scope == "read"
    assert store.list_tokens("ann") == store.list_tokens() == (by_hash,)
    assert store.find_session("s1") is not None
    assert store.purge_sessions(AT) == 0
    assert store.end_sessions_of("ann") == 1
    assert store.find_session("s1") is None
    assert store.revoke_token("t1")
    assert store.find_token("th") is None


def test_bucket_gives_what_it_holds(store: SqlStore) -> None:
    assert [store.take("b", 3, 3600.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    wait = store.take("b", 3, 3600.0)
    assert 1100 < wait <= 1200
    assert store.take("other", 3, 3600.0, n=3) == 0.0
    with pytest.raises(ValueError, match="bucket"):
        store.take("b", 3, 3600.0, n=4)


def test_bucket_filled_by_a_wrong_clock_gives(store: SqlStore) -> None:
    """Else nobody would get in for as long as the clock was wrong."""
    assert store.take("b", 3, 3600.0, n=3) == 0.0
    with store._db.write() as conn:
        conn.execute(update(tables.bucket).values(full_at=tables.bucket.c.full_at + 86_400_000_000))
    assert [store.take("b", 3, 3600.0) == 0.0 for _ in range(4)] == [True, True, True, False]


def test_bucket_fills_with_time(store: SqlStore) -> None:
    assert store.take("fast", 1, 0.05) == 0.0
    done = threading.Event()
    for _ in range(400):
        wait = store.take("fast", 1, 0.05)
        if wait == 0.0:
            return
        done.wait(min(wait, 0.02))
    pytest.fail("the bucket never filled again")


def test_telling_nothing_keeps_sequence(store: SqlStore) -> None:
    outcome, notice, (item,) = notice_outcome()
    event = NewEvent(notice=notice, item=item, item_id="1", status=ItemStatus.FAILED, data={})
    put(store, outcome)
    (result,) = store.commit([Outcome(events=(event,), bumps=("none",))])
    assert result.error is not None
    put(store, Outcome(events=(event,)))
    assert [one.sequence for one in store.events_of(notice)] == [1, 2]
