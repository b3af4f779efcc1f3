"""One case as its tracks read it, with everything that belongs to it."""

from __future__ import annotations

import pytest

from receiver.domain.errors import ConflictError
from receiver.domain.ids import new_id
from receiver.domain.outcome import (
    Insert,
    Outcome,
    Table,
    Update,
)
from receiver.domain.status import Track
from receiver.store import MissingRowError, SqlStore
from tests.doubles.store_rows import (
    AT,
    LOCATOR,
    URL,
    case_outcome,
    commit,
    message_values,
    notice_outcome,
)


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


def belongings(case: str, item: str, notice: str, message: str) -> tuple[Insert, ...]:
    """One row of each kind that a case may have."""
    act = {
        "op_id": "op1", "case": case, "track": Track.EXPOSURE, "kind": "block", "target": "www",
        "intent": {"pins": [{"b64": "AA=="}], "undo": b"\x01"}, "begun_at": AT,
    }  # fmt: skip
    seal = {
        "id": new_id(), "case": case, "round": 1, "pin": "p", "payload_ref": "a", "header_ref": "b",
        "sha256_plain": "ab" * 32, "sha256_sealed": "cd" * 32, "size_bytes": 7, "checked_at": AT,
    }  # fmt: skip
    decision = {
        "id": new_id(), "item": item, "kind": "approve", "actor": "ann", "reason": "seen it",
        "request_sha256": "x", "state": "approved", "approvals": ("ann",),
    }  # fmt: skip
    direction = {
        "id": new_id(), "direction_id": "D-1", "notice": notice, "message_id": message, "kind": "hold",
        "items": ("1",), "reference": "POL-7", "issued_at": AT,
    }  # fmt: skip
    return (
        Insert(table=Table.HOLD, values={"id": new_id(), "case": case, "origin": "iwf", "reference": "POL-7"}),
        Insert(table=Table.ACT, values=act),
        Insert(table=Table.SEAL, values=seal),
        Insert(table=Table.DECISION, values=decision),
        Insert(table=Table.DIRECTION, values=direction),
    )


def test_case_view_holds_everything(store: SqlStore) -> None:
    outcome, notice, (item,) = notice_outcome()
    made, case = case_outcome(item)
    rest = belongings(case, item, notice, store_message(store))
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
