"""What outcomes say, as statements: step by step, each step once for all outcomes that are written together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from receiver.domain.entry import make_entry
from receiver.domain.errors import ConflictError, LostLeaseError
from receiver.domain.ids import new_id
from receiver.domain.outcome import CaseGuard, Outcome, Page, Wake, WorkMove
from receiver.domain.status import PRIORITY
from receiver.store import tables, upserts
from receiver.store.backend import Backend
from receiver.store.changes import ChangeWriter, merged
from receiver.store.codec import Codec
from receiver.store.entries import detail_row, entry_row
from receiver.store.prepared import Asked, Prepared
from receiver.store.ready import Ready
from receiver.store.spending import check_spending


class Applier:
    """Statements are built once, since building one costs more than running it."""

    def __init__(self, backend: Backend, codec: Codec) -> None:
        self._codec = codec
        self._changes = ChangeWriter(backend)
        case, notice = tables.case, tables.notice
        bump = update(case).where(case.c.id == bindparam("b_id")).values(revision=case.c.revision + 1)
        number = (
            update(notice)
            .where(notice.c.id == bindparam("n_id"))
            .values(last_sequence=notice.c.last_sequence + bindparam("n_count"))
            .returning(notice.c.last_sequence)
        )
        guarded = backend.for_update(select(case.c.revision).where(case.c.id == bindparam("g_id")))
        self._move, self._bump = Prepared(backend, upserts.move()), Prepared(backend, bump)
        self._wake, self._page = Prepared(backend, upserts.wake(backend)), Prepared(backend, upserts.page(backend))
        self._events = Prepared(backend, insert(tables.event))
        self._entries = Prepared(backend, insert(tables.entry))
        self._details = Prepared(backend, insert(tables.entry_detail))
        self._revision, self._number = Asked(backend, guarded), Asked(backend, number)

    def apply(self, conn: Connection, ready: Sequence[Ready], now: int) -> list[dict[str, int]]:
        """For each outcome, by item, the number of its event. Raises what the first that cannot be written raises.

        Several at once only where `may_go_together` says so.
        """
        outcomes = [one.outcome for one in ready]
        for outcome in outcomes:
            if outcome.guard is not None:
                self._check(conn, outcome.guard)
            if outcome.spends is not None:
                check_spending(conn, outcome.spends)
        self._move_rows(conn, [outcome.work for outcome in outcomes if outcome.work is not None], now)
        changes = ready[0].changes if len(ready) == 1 else merged(change for one in ready for change in one.changes)
        self._changes.write(conn, changes, now)
        self._raise_revisions(conn, sorted({case for outcome in outcomes for case in outcome.bumps}))
        told = self._tell(conn, ready, now)
        self._wake_rows(conn, [wake for one in ready for wake in one.wakes], now)
        self._raise_pages(conn, [page for outcome in outcomes for page in outcome.pages], now)
        self._enter(conn, outcomes, now)
        return told

    def _check(self, conn: Connection, guard: CaseGuard) -> None:
        found = self._revision.first(conn, {"g_id": guard.case})
        if found is None or found[0] != guard.revision:
            raise ConflictError("the case's claims, holds or decisions changed; read again and decide again")

    def _move_rows(self, conn: Connection, moves: Sequence[WorkMove], now: int) -> None:
        if moves and self._move.write(conn, [_move_row(move, now) for move in moves]) != len(moves):
            raise LostLeaseError("another worker took this row over; drop what was decided")

    def _raise_revisions(self, conn: Connection, cases: Sequence[str]) -> None:
        if cases and self._bump.write(conn, [{"b_id": case} for case in cases]) != len(cases):
            raise ConflictError("a case to be changed is not there; read again and decide again")

    def _tell(self, conn: Connection, ready: Sequence[Ready], now: int) -> list[dict[str, int]]:
        told: list[dict[str, int]] = []
        rows: list[dict[str, Any]] = []
        last = self._last_numbers(conn, Counter(event.notice for one in ready for event in one.outcome.events))
        for one in ready:
            told.append({})
            for row, event in zip(one.events, one.outcome.events, strict=True):
                sequence = last[event.notice] = last[event.notice] + 1
                delivered_at = now if event.delivered else None
                rows.append({**row, "sequence": sequence, "created_at": now, "delivered_at": delivered_at})
                told[-1][row["item"]] = sequence
        if rows:
            self._events.write(conn, rows)
        return told

    def _last_numbers(self, conn: Connection, counts: Counter[str]) -> dict[str, int]:
        """The number before the first of so many new ones, by notice."""
        last: dict[str, int] = {}
        for notice, count in sorted(counts.items()):
            found = self._number.first(conn, {"n_id": notice, "n_count": count})
            if found is None:
                raise ConflictError("the notice of an event is not there; read again and decide again")
            last[notice] = found[0] - count
        return last

    def _wake_rows(self, conn: Connection, wakes: Sequence[Wake], now: int) -> None:
        if wakes:
            self._wake.write(conn, [_wake_row(wake, now) for wake in wakes])

    def _raise_pages(self, conn: Connection, pages: Sequence[Page], now: int) -> None:
        if pages:
            fixed = {"count": 1, "created_at": now, "last_at": now, "acknowledged_at": None, "acknowledged_by": None}
            self._page.write(conn, [{"id": new_id(), **asdict(page), **fixed} for page in pages])

    def _enter(self, conn: Connection, outcomes: Sequence[Outcome], now: int) -> None:
        entries = [make_entry(note, id=new_id(), at=now) for outcome in outcomes for note in outcome.notes]
        if entries:
            self._entries.write(conn, [entry_row(entry) for entry in entries])
            self._details.write(conn, [detail_row(self._codec, entry, now) for entry in entries])


def _move_row(move: WorkMove, now: int) -> dict[str, Any]:
    values = {f"m_{name}": value for name, value in vars(move).items() if name != "keep"}
    return values | {"m_track": move.track.value, "m_now": now, "m_next_owner": move.owner if move.keep else None}


def _wake_row(wake: Wake, now: int) -> dict[str, Any]:
    return {
        "track": wake.track.value,
        "subject": wake.subject,
        "state": wake.state or upserts.FIRST_STATE[wake.track],
        "due_at": now if wake.due_at is None else wake.due_at,
        "priority": PRIORITY[wake.track] if wake.priority is None else wake.priority,
        "owner": None,
        "epoch": 0,
        "nudges": 1,
        "attempts": 0,
        "first_failed_at": None,
        "last_error": None,
        "stuck_from": None,
        "created_at": now,
        "from_state": wake.from_state if wake.state else None,
        "given_priority": wake.priority,
    }
