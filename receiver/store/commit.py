"""The one function that writes: outcomes of steps, many to a transaction.

They are written together, statement by statement. Where one of them cannot be, or depends on another, all are written
once more, each in a savepoint of its own, so that it fails alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from receiver.domain.errors import ConflictError, LostLeaseError, ReceiverError, StoreUnavailableError
from receiver.domain.ids import new_id
from receiver.domain.outcome import CommitResult, NewEvent, Outcome
from receiver.store.apply import Applier
from receiver.store.changes import UpdateRows, prepare
from receiver.store.codec import Codec
from receiver.store.database import Database, Part
from receiver.store.errors import BadRowError, DeadlockError, ForbiddenError
from receiver.store.ready import Ready, may_go_together
from receiver.store.spending import lock_issuers
from receiver.store.tables import metadata

MAX_OUTCOMES = 64
_TRIES = 5


class _RefusedError(ReceiverError):
    """One of a batch cannot be written; the cause says why."""

    def __init__(self, own: ReceiverError) -> None:
        super().__init__("written one by one, its outcome fails alone")
        self.own = own


class Commits(Part):
    def __init__(self, db: Database, codec: Codec) -> None:
        super().__init__(db, codec)
        self._applier = Applier(db.backend, codec)

    def commit(self, outcomes: Sequence[Outcome]) -> list[CommitResult]:
        """One transaction; an outcome that lost its race is rolled back alone and has its error in its result.

        Raises StoreUnavailableError when nothing was written, StoreBrokenError when the process must end.
        """
        return self.commit_ready([self.make_ready(outcome) for outcome in outcomes])

    def make_ready(self, outcome: Outcome) -> Ready:
        """Whatever can be done before the transaction, in whichever thread has the outcome."""
        try:
            changes = prepare(self._codec, outcome.changes)
            events = tuple(self._event_row(event) for event in outcome.events)
        except BadRowError as error:
            return Ready(outcome=outcome, error=error)
        return Ready(outcome=outcome, changes=changes, events=events)

    def commit_ready(self, ready: Sequence[Ready]) -> list[CommitResult]:
        """As `commit`."""
        if len(ready) > MAX_OUTCOMES:
            raise ValueError(f"at most {MAX_OUTCOMES} outcomes go into one transaction")
        good = [one for one in ready if one.error is None]
        written = iter(self._write_patiently(good)) if good else iter(())
        results = [CommitResult(error=one.error) if one.error else next(written) for one in ready]
        if any(one.wakes for one, result in zip(ready, results, strict=True) if result.error is None):
            self._db.backend.call_wakers()
        return results

    def _write_patiently(self, ready: Sequence[Ready]) -> list[CommitResult]:
        apart = not may_go_together(ready)
        for _ in range(_TRIES - 1):
            try:
                return self._write(ready, apart=apart)
            except DeadlockError:
                continue
            except _RefusedError as refused:
                if len(ready) == 1:
                    return [CommitResult(error=refused.own)]
                apart = True
        return self._write(ready, apart=True)

    def _write(self, ready: Sequence[Ready], *, apart: bool) -> list[CommitResult]:
        """`apart`: each outcome inside a savepoint, so that one that cannot be written fails alone."""
        transaction: str | None = None
        results: list[CommitResult] = []
        try:
            with self._db.write() as conn:
                self._lock(conn, ready)
                now = self._db.now_in(conn)
                transaction = self._db.backend.transaction_id(conn)
                if apart:
                    results = [self._write_one(conn, one, now) for one in ready]
                else:
                    results = self._write_all(conn, ready, now)
        except StoreUnavailableError:
            # The line may have broken after the server wrote it all and before it said so.
            if len(results) != len(ready) or transaction is None or not self._db.backend.committed(transaction):
                raise
            if not self._is_there([one for one, result in zip(ready, results, strict=True) if result.error is None]):
                raise
        return results

    def _is_there(self, written: Sequence[Ready]) -> bool:
        """Whether a row of theirs stands in its table, for as long as any of them makes one that has an id.

        A server that crashed may have forgotten a transaction, and given its number to another one since.
        """
        named = next((row for one in written for row in one.new_rows), None)
        if named is None:
            return True
        table, name = named
        key = metadata.tables[table].c.id
        with self._db.read() as conn:
            return conn.execute(select(key).where(key == name)).first() is not None

    def _lock(self, conn: Connection, ready: Sequence[Ready]) -> None:
        outcomes = [one.outcome for one in ready]
        cases = {guard.case for outcome in outcomes if (guard := outcome.guard)}
        cases |= {case for outcome in outcomes for case in outcome.bumps}
        cases |= _updated(ready, "case_")
        work = {(move.track, move.subject) for outcome in outcomes if (move := outcome.work)}
        work |= {(wake.track, wake.subject) for one in ready for wake in one.wakes}
        notices = {event.notice for outcome in outcomes for event in outcome.events}
        items = _updated(ready, "item")
        self._db.backend.lock_first(conn, cases=cases, work=work, notices=notices, items=items)
        lock_issuers(conn, {outcome.spends.issuer for outcome in outcomes if outcome.spends is not None})

    def _write_all(self, conn: Connection, ready: Sequence[Ready], now: int) -> list[CommitResult]:
        """Raises _RefusedError, after which nothing of this transaction may stand."""
        try:
            told = self._applier.apply(conn, ready, now)
        except _OF_AN_OUTCOME as error:
            own = self._its_own(error)
            if own is None:
                raise
            raise _RefusedError(own) from error
        return [CommitResult(sequences=sequences) for sequences in told]

    def _write_one(self, conn: Connection, one: Ready, now: int) -> CommitResult:
        conn.exec_driver_sql("SAVEPOINT outcome")
        try:
            (sequences,) = self._applier.apply(conn, [one], now)
        except _OF_AN_OUTCOME as error:
            own = self._its_own(error)
            if own is None:
                raise
            conn.exec_driver_sql("ROLLBACK TO SAVEPOINT outcome")
            conn.exec_driver_sql("RELEASE SAVEPOINT outcome")
            return CommitResult(error=own)
        conn.exec_driver_sql("RELEASE SAVEPOINT outcome")
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


_OF_AN_OUTCOME = (ReceiverError, StatementError, TypeError, ValueError, OverflowError)


def _updated(ready: Sequence[Ready], table: str) -> set[str]:
    """Ids of the rows of a table that the batch changes."""
    return {
        row["w_id"]
        for one in ready
        for change in one.changes
        if isinstance(change, UpdateRows) and change.table == table
        for row in change.rows
        if "w_id" in row
    }
