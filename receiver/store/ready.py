"""Outcomes made ready for writing, and which of them may be written side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from receiver.domain.outcome import Outcome, Wake
from receiver.domain.status import Track
from receiver.store.changes import Change, InsertRows, UpdateRows, names_of_rows
from receiver.store.errors import BadRowError


@dataclass(frozen=True, kw_only=True)
class Ready:
    """An outcome with its changes encrypted, so that no work but writing happens under a lock."""

    outcome: Outcome
    changes: tuple[Change, ...] = ()
    events: tuple[dict[str, Any], ...] = ()
    """Rows that lack their number and the time."""
    error: BadRowError | None = None

    @property
    def new_rows(self) -> Iterator[tuple[str, str]]:
        """Table and id of what it inserts, where rows have an id of their own."""
        yield from (("event", row["id"]) for row in self.events)
        for change in self.changes:
            if isinstance(change, InsertRows):
                yield from ((change.table, row["id"]) for row in change.rows if "id" in row)

    @property
    def wakes(self) -> tuple[Wake, ...]:
        """The outcome's own, and one for every notice whose issuer has something to hear."""
        heard = sorted({event.notice for event in self.outcome.events if not event.delivered})
        return self.outcome.wakes + tuple(Wake(track=Track.DELIVER, subject=notice) for notice in heard)


def may_go_together(ready: Sequence[Ready]) -> bool:
    """Whether all of them, step by step beside each other, come to the same as one after the other.

    They do where no two of them move one row, change one row, or count on what another one of them alters.
    """
    if len(ready) == 1:
        return True
    moved = [(move.track, move.subject) for one in ready if (move := one.outcome.work)]
    spenders = [guard.issuer for one in ready if (guard := one.outcome.spends)]
    return _each_once(moved) and _each_once(spenders) and _cases_apart(ready) and _rows_apart(ready)


def _each_once(names: Sequence[object]) -> bool:
    return len(set(names)) == len(names)


def _cases_apart(ready: Sequence[Ready]) -> bool:
    """A case whose revision one of them raises must not be guarded, or raised, by another."""
    users: Counter[str] = Counter()
    for one in ready:
        guarded = {guard.case} if (guard := one.outcome.guard) else set()
        users.update(guarded | set(one.outcome.bumps))
    return all(users[case] == 1 for one in ready for case in one.outcome.bumps)


def _rows_apart(ready: Sequence[Ready]) -> bool:
    owner: dict[object, int] = {}
    shapes: dict[str, tuple[str, ...]] = {}
    for number, one in enumerate(ready):
        for change in one.changes:
            if not isinstance(change, UpdateRows):
                continue
            found = names_of_rows(change)
            # Rows of one table can be told apart only where all are named by the same columns.
            if found is None or shapes.setdefault(change.table, found[0]) != found[0]:
                return False
            if any(owner.setdefault((change.table, key), number) != number for key in found[1]):
                return False
    return True
