"""A batch is written statement by statement for all of it, and comes to the same as one outcome after the other."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import event

from receiver.domain.errors import LostLeaseError
from receiver.domain.ids import new_id
from receiver.domain.outcome import CaseGuard, LedgerNote, Outcome, Page, Wake
from receiver.domain.rows import WorkRow
from receiver.domain.status import Track, Want
from receiver.store import SqlStore
from receiver.store.changes import prepare
from receiver.store.ready import Ready, may_go_together
from tests.doubles.databases import Database
from tests.doubles.store_rows import case_outcome, commit, move, set_want

FAR = 4_000_000_000_000_000
CASES = 4


def leased_cases(store: SqlStore, count: int) -> list[str]:
    """Open cases whose exposure row is leased."""
    made = [case_outcome(locator=new_id().encode(), owner="me") for _ in range(count)]
    commit(store, *(outcome for outcome, _ in made))
    return [case for _, case in made]


def row_of(store: SqlStore, case: str) -> WorkRow:
    row = store.load_work(Track.EXPOSURE, case)
    assert row is not None
    return row


def step(store: SqlStore, case: str) -> Outcome:
    """What a step of one case comes to: its row moves, its case changes, its evidence is woken, an entry is made."""
    return Outcome(
        work=move(row_of(store, case), "me"),
        guard=CaseGuard(case=case, revision=0),
        changes=(set_want(case, Want.UP),),
        bumps=(case,),
        wakes=(Wake(track=Track.EVIDENCE, subject=case),),
        notes=(LedgerNote(kind="k", subject=case, actor="worker"),),
        pages=(Page(kind="k", subject=case, text="t"),),
    )


@pytest.fixture
def told(store: SqlStore) -> Iterator[list[str]]:
    """Statements, from the moment that the test begins to listen."""
    heard: list[str] = []

    def record(_conn: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool) -> None:
        heard.append(statement)

    event.listen(store._db.backend.writer, "before_cursor_execute", record)
    yield heard
    event.remove(store._db.backend.writer, "before_cursor_execute", record)


def kinds(statements: Sequence[str]) -> list[str]:
    """Their first words, but for the guards, which are asked for one by one."""
    return [" ".join(one.split()[:3]) for one in statements if not one.startswith("SELECT case_.revision")]


def test_batch_takes_statements_of_one(store: SqlStore, told: list[str]) -> None:
    cases = leased_cases(store, 9)
    first, *others = [step(store, case) for case in cases]
    told.clear()
    commit(store, first)
    alone = kinds(told)
    told.clear()
    commit(store, *others)
    assert kinds(told) == alone
    assert [row_of(store, case).state for case in cases] == ["done"] * 9
    assert [store.load_case(case).case.revision for case in cases] == [1] * 9
    assert store.count_unsequenced() == 9


def test_lost_lease_fails_alone(store: SqlStore) -> None:
    first, lost, last = leased_cases(store, 3)
    outcomes = [step(store, case) for case in (first, lost, last)]
    commit(store, Outcome(work=move(row_of(store, lost), "me", state="deny", keep=False)))
    results = store.commit(outcomes)
    assert [type(result.error) for result in results] == [type(None), LostLeaseError, type(None)]
    assert [store.load_case(case).case.want for case in (first, lost, last)] == [Want.UP, Want.DOWN, Want.UP]
    assert [len(store.entries_about(case, 5)) for case in (first, lost, last)] == [1, 0, 1]
    assert {page.subject for page in store.open_pages(50)} == {first, last}


def test_row_changed_twice_keeps_last(store: SqlStore) -> None:
    (case,) = leased_cases(store, 1)
    commit(store, *(Outcome(changes=(set_want(case, want),)) for want in (Want.UP, Want.DOWN, Want.UP)))
    assert store.load_case(case).case.want is Want.UP


@pytest.mark.parametrize("turned", [False, True])
def test_row_woken_beside_its_move_is_due(store: SqlStore, turned: bool) -> None:
    (case,) = leased_cases(store, 1)
    moved = Outcome(work=move(row_of(store, case), "me", due_at=FAR))
    woken = Outcome(wakes=(Wake(track=Track.EXPOSURE, subject=case),))
    commit(store, *((woken, moved) if turned else (moved, woken)))
    row = row_of(store, case)
    assert (row.state, row.owner) == ("done", None)
    assert row.due_at is not None
    assert row.due_at < FAR


CLASHES: dict[str, Callable[[SqlStore, str], Sequence[Outcome]]] = {
    "one row moved twice": lambda store, case: [Outcome(work=move(row_of(store, case), "me"))] * 2,
    "a guard beside a bump": lambda _, case: [
        Outcome(guard=CaseGuard(case=case, revision=0)),
        Outcome(bumps=(case,)),
    ],
    "two bumps": lambda _, case: [Outcome(bumps=(case,))] * 2,
    "one row changed twice": lambda _, case: [Outcome(changes=(set_want(case, Want.UP),))] * 2,
}


@pytest.mark.parametrize("name", CLASHES)
def test_outcomes_that_meet_go_apart(name: str, sqlite_database: Database) -> None:
    store = sqlite_database.open()
    case, other = leased_cases(store, 2)
    ready = [
        Ready(outcome=outcome, changes=prepare(store._codec, outcome.changes)) for outcome in CLASHES[name](store, case)
    ]
    assert not may_go_together(ready)
    elsewhere = [
        Ready(outcome=outcome, changes=prepare(store._codec, outcome.changes))
        for outcome in CLASHES[name](store, other)
    ]
    assert may_go_together([ready[0], elsewhere[1]])
    store.close()


@pytest.mark.parametrize("seed", range(60))
def test_together_is_as_one_by_one(seed: int, sqlite_database: Database) -> None:
    """The same outcomes for two sets of cases: one takes them as a batch, the other one by one."""
    store = sqlite_database.open()
    cases, others = leased_cases(store, CASES), leased_cases(store, CASES)
    results = store.commit(drawn(store, cases, random.Random(seed)))
    expected = [store.commit([outcome])[0] for outcome in drawn(store, others, random.Random(seed))]
    assert [type(result.error) for result in results] == [type(result.error) for result in expected]
    assert [facts(store, case) for case in cases] == [facts(store, case) for case in others]
    store.close()


def drawn(store: SqlStore, cases: Sequence[str], dice: random.Random) -> list[Outcome]:
    def one() -> Outcome:
        case = dice.choice(cases)
        return Outcome(
            work=move(row_of(store, case), "me", state=dice.choice(["a", "b"]), due_at=dice.choice([None, FAR]))
            if dice.random() < 0.6
            else None,
            guard=CaseGuard(case=dice.choice(cases), revision=dice.choice([0, 0, 0, 1]))
            if dice.random() < 0.4
            else None,
            changes=(set_want(dice.choice(cases), dice.choice([Want.UP, Want.DOWN])),) if dice.random() < 0.4 else (),
            bumps=(dice.choice(cases),) if dice.random() < 0.3 else (),
            wakes=(Wake(track=Track.EXPOSURE, subject=dice.choice(cases)),) if dice.random() < 0.4 else (),
            notes=(LedgerNote(kind="k", subject=dice.choice(cases), actor="worker"),) if dice.random() < 0.5 else (),
        )

    return [one() for _ in range(dice.randint(2, 5))]


def facts(store: SqlStore, case: str) -> tuple[object, ...]:
    row, seen = row_of(store, case), store.load_case(case).case
    due = row.due_at is not None and row.due_at < FAR
    entries = len(store.entries_about(case, 50))
    return row.state, row.owner, due, row.nudges, seen.want, seen.revision, entries
