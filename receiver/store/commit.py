"""The one function that writes: outcomes of steps, many to a transaction, each in a savepoint of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from receiver.domain.entry import Entry, make_entry
from receiver.domain.errors import ConflictError, LostLeaseError, ReceiverError, StoreUnavailableError
from receiver.domain.ids import new_id
from receiver.domain.outcome import CaseGuard, CommitResult, NewEvent, Outcome, Page, Wake, WorkMove
from receiver.domain.status import PRIORITY, Track
from receiver.store import tables, upserts
from receiver.store.backend import Backend
from receiver.store.changes import Change, ChangeWriter, UpdateRows, prepare
from receiver.store.codec import Codec
from receiver.store.database import Database, Part
from receiver.store.entries import detail_row, entry_row
from receiver.store.errors import BadRowError, DeadlockError, ForbiddenError, RefusedEntryError
from receiver.store.prepared import Prepared
from receiver.store.spending import check_spending, lock_issuers

MAX_OUTCOMES = 64
_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """An outcome with its changes encrypted, so that no work but writing happens under a lock."""

    outcome: Outcome
    changes: tuple[Change, ...] = ()
    events: tuple[dict[str, Any], ...] = ()
    """Rows that lack their number and the time."""
    error: BadRowError | None = None


class Commits(Part):
    def __init__(self, db: Database, codec: Codec) -> None:
        super().__init__(db, codec)
        self._statements = _Statements(db.backend)
        self._changes = ChangeWriter(db.backend)

    def commit(self, outcomes: Sequence[Outcome]) -> list[CommitResult]:
        """One transaction; an outcome that lost its race is rolled back alone and has its error in its result.

        Raises StoreUnavailableError when nothing was written, StoreBrokenError when the process must end.
        """
        if len(outcomes) > MAX_OUTCOMES:
            raise ValueError(f"at most {MAX_OUTCOMES} outcomes go into one transaction")
        if not outcomes:
            return []
        ready = [self._prepare(outcome) for outcome in outcomes]
        results = self._write_patiently(ready)
        if any(_wakes(one.outcome) for one, result in zip(ready, results, strict=True) if result.error is None):
            self._db.backend.call_wakers()
        return results

    def _prepare(self, outcome: Outcome) -> _Ready:
        try:
            changes = prepare(self._codec, outcome.changes)
            events = tuple(self._event_row(event) for event in outcome.events)
        except BadRowError as error:
            return _Ready(outcome=outcome, error=error)
        return _Ready(outcome=outcome, changes=changes, events=events)

    def _write_patiently(self, ready: Sequence[_Ready]) -> list[CommitResult]:
        apart = False
        for _ in range(_TRIES - 1):
            try:
                return self._write(ready, apart=apart)
            except DeadlockError:
                continue
            except RefusedEntryError:
                apart = True
        return self._write(ready, apart=True)

    def _write(self, ready: Sequence[_Ready], *, apart: bool) -> list[CommitResult]:
        """`apart`: each outcome's entries inside its savepoint, so that one the tables refuse fails alone."""
        transaction: str | None = None
        results: list[CommitResult] = []
        try:
            with self._db.write() as conn:
                self._lock(conn, ready)
                now = self._db.now_in(conn)
                transaction = self._db.backend.transaction_id(conn)
                entries: list[Entry] | None = None if apart else []
                results = [self._write_one(conn, one, now, entries) for one in ready]
                self._enter_all(conn, entries or (), now)
        except StoreUnavailableError:
            # The line may have broken after the server wrote it all and before it said so.
            written = len(results) == len(ready) and transaction is not None
            if not written or not self._db.backend.committed(str(transaction)):
                raise
        return results

    def _lock(self, conn: Connection, ready: Sequence[_Ready]) -> None:
        outcomes = [one.outcome for one in ready]
        cases = {guard.case for outcome in outcomes if (guard := outcome.guard)}
        cases |= {case for outcome in outcomes for case in outcome.bumps}
        cases |= _updated(ready, "case_")
        work = {(move.track, move.subject) for outcome in outcomes if (move := outcome.work)}
        work |= {(wake.track, wake.subject) for outcome in outcomes for wake in _wakes(outcome)}
        notices = {event.notice for outcome in outcomes for event in outcome.events}
        items = _updated(ready, "item")
        self._db.backend.lock_first(conn, cases=cases, work=work, notices=notices, items=items)
        lock_issuers(conn, {outcome.spends.issuer for outcome in outcomes if outcome.spends is not None})

    def _write_one(self, conn: Connection, one: _Ready, now: int, entries: list[Entry] | None) -> CommitResult:
        """Its ledger entries are added to `entries`, for the end of the transaction, or written at once for None."""
        if one.error is not None:
            return CommitResult(error=one.error)
        conn.exec_driver_sql("SAVEPOINT outcome")
        try:
            sequences = self._apply(conn, one, now)
            noted = [make_entry(note, id=new_id(), at=now) for note in one.outcome.notes]
            if entries is None:
                self._enter(conn, noted, now)
        except (ReceiverError, StatementError, TypeError, ValueError, OverflowError) as error:
            own = self._its_own(error)
            if own is None:
                raise
            conn.exec_driver_sql("ROLLBACK TO SAVEPOINT outcome")
            conn.exec_driver_sql("RELEASE SAVEPOINT outcome")
            return CommitResult(error=own)
        conn.exec_driver_sql("RELEASE SAVEPOINT outcome")
        if entries is not None:
            entries += noted
        return CommitResult(sequences=sequences)

    def _its_own(self, error: Exception) -> ReceiverError | None:
        """The error of this outcome alone, or None where the whole transaction is lost."""
        if isinstance(error, ConflictError | LostLeaseError | BadRowError):
            return error
        if isinstance(error, DBAPIError):
            explained = self._db.explain(error, writing=True)
            if isinstance(explained, ConflictError | ForbiddenError):
                explained.__cause__ = error
                return explained
        if isinstance(error, DataError | IntegrityError) or not isinstance(error, DBAPIError | ReceiverError):
            bad = BadRowError("an outcome breaks a rule of the tables; this is a mistake in the program")
            bad.__cause__ = error
            return bad
        return None

    def _apply(self, conn: Connection, one: _Ready, now: int) -> dict[str, int]:
        outcome = one.outcome
        if outcome.guard is not None:
            self._guard(conn, outcome.guard)
        if outcome.spends is not None:
            check_spending(conn, outcome.spends)
        if outcome.work is not None:
            self._move(conn, outcome.work, now)
        self._changes.write(conn, one.changes, now)
        self._bump(conn, outcome.bumps)
        sequences = self._tell(conn, one.events, now, outcome.events)
        self._wake(conn, _wakes(outcome), now)
        self._page(conn, outcome.pages, now)
        return sequences

    def _guard(self, conn: Connection, guard: CaseGuard) -> None:
        revision = conn.execute(self._statements.revision, {"g_id": guard.case}).scalar_one_or_none()
        if revision != guard.revision:
            raise ConflictError("the case's claims, holds or decisions changed; read again and decide again")

    def _move(self, conn: Connection, move: WorkMove, now: int) -> None:
        values = {f"m_{name}": value for name, value in vars(move).items() if name != "keep"}
        values |= {"m_track": move.track.value, "m_now": now, "m_next_owner": move.owner if move.keep else None}
        if self._statements.move.write(conn, [values]) != 1:
            raise LostLeaseError("another worker took this row over; drop what was decided")

    def _bump(self, conn: Connection, cases: Sequence[str]) -> None:
        if not cases:
            return
        rows = [{"b_id": case} for case in sorted(set(cases))]
        if self._statements.bump.write(conn, rows) != len(rows):
            raise ConflictError("a case to be changed is not there; read again and decide again")

    def _tell(
        self, conn: Connection, ready: Sequence[dict[str, Any]], now: int, events: Sequence[NewEvent]
    ) -> dict[str, int]:
        if not events:
            return {}
        last: dict[str, int] = {}
        for notice, count in sorted(Counter(event.notice for event in events).items()):
            found = conn.execute(self._statements.number, {"n_id": notice, "n_count": count}).scalar_one_or_none()
            if found is None:
                raise ConflictError("the notice of an event is not there; read again and decide again")
            last[notice] = found - count
        rows: list[dict[str, Any]] = []
        for row, event in zip(ready, events, strict=True):
            last[event.notice] += 1
            delivered_at = now if event.delivered else None
            rows.append({**row, "sequence": last[event.notice], "created_at": now, "delivered_at": delivered_at})
        self._statements.events.write(conn, rows)
        return {row["item"]: row["sequence"] for row in rows}

    def _event_row(self, event: NewEvent) -> dict[str, Any]:
        values = {
            "id": new_id(),
            "notice": event.notice,
            "item": event.item,
            "item_id": event.item_id,
            "status": event.status,
            "data": event.data,
            "dead_at": None,
        }
        return self._codec.to_row("event", values)

    def _enter_all(self, conn: Connection, entries: Sequence[Entry], now: int) -> None:
        """Those of the whole batch in two statements. Raises RefusedEntryError where one of them is at fault."""
        try:
            self._enter(conn, entries, now)
        except (ReceiverError, StatementError, TypeError, ValueError, OverflowError) as error:
            if self._its_own(error) is None:
                raise
            raise RefusedEntryError("the tables refuse an entry; write each outcome's with it") from error

    def _enter(self, conn: Connection, entries: Sequence[Entry], now: int) -> None:
        if entries:
            self._statements.entries.write(conn, [entry_row(entry) for entry in entries])
            self._statements.details.write(conn, [detail_row(self._codec, entry, now) for entry in entries])

    def _wake(self, conn: Connection, wakes: Sequence[Wake], now: int) -> None:
        if wakes:
            self._statements.wake.write(conn, [_wake_row(wake, now) for wake in wakes])

    def _page(self, conn: Connection, pages: Sequence[Page], now: int) -> None:
        if pages:
            fixed = {"count": 1, "created_at": now, "last_at": now, "acknowledged_at": None, "acknowledged_by": None}
            self._statements.page.write(conn, [{"id": new_id(), **asdict(page), **fixed} for page in pages])


class _Statements:
    """Built once, since building a statement costs more than running it."""

    def __init__(self, backend: Backend) -> None:
        case, notice = tables.case, tables.notice
        self.move = Prepared(backend, upserts.move())
        self.wake = Prepared(backend, upserts.wake(backend))
        self.page = Prepared(backend, upserts.page(backend))
        bump = update(case).where(case.c.id == bindparam("b_id")).values(revision=case.c.revision + 1)
        self.bump = Prepared(backend, bump)
        self.events = Prepared(backend, insert(tables.event))
        self.entries = Prepared(backend, insert(tables.entry))
        self.details = Prepared(backend, insert(tables.entry_detail))
        self.revision = backend.for_update(select(case.c.revision).where(case.c.id == bindparam("g_id")))
        self.number = (
            update(notice)
            .where(notice.c.id == bindparam("n_id"))
            .values(last_sequence=notice.c.last_sequence + bindparam("n_count"))
            .returning(notice.c.last_sequence)
        )


def _wakes(outcome: Outcome) -> tuple[Wake, ...]:
    """The outcome's own, and one for every notice whose issuer has something to hear."""
    heard = sorted({event.notice for event in outcome.events if not event.delivered})
    return outcome.wakes + tuple(Wake(track=Track.DELIVER, subject=notice) for notice in heard)


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


def _updated(ready: Sequence[_Ready], table: str) -> set[str]:
    """Ids of the rows of a table that the batch changes."""
    return {
        row["w_id"]
        for one in ready
        for change in one.changes
        if isinstance(change, UpdateRows) and change.table == table
        for row in change.rows
        if "w_id" in row
    }
