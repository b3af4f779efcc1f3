"""One leased row, step after step, until the lease is given back or lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import structlog

from receiver.domain.errors import ConflictError, LostLeaseError, ReceiverError, StoreUnavailableError
from receiver.domain.moves import stuck
from receiver.domain.outcome import Outcome, Wake
from receiver.domain.ports import Committer
from receiver.domain.rows import WorkRow
from receiver.domain.status import Exposure, Track
from receiver.pipeline import Step, Tools, advance

CONFLICTS_IN_A_ROW = 20
RETRY_SECONDS = 0.5

log = structlog.get_logger(__name__)


class Leases(Protocol):
    """What is known of the rows that were leased to this process."""

    @property
    def term(self) -> int: ...
    def fresh(self) -> bool: ...
    def holds(self, term: int) -> bool: ...
    def still_ours(self, row: WorkRow) -> bool: ...


class Runner:
    """Takes steps and commits them, while `leases` say that the row is ours."""

    def __init__(
        self,
        *,
        committer: Committer,
        tools: Callable[[], Tools],
        leases: Leases,
        stopping: threading.Event,
        dispatch: Callable[[WorkRow, int], None],
    ) -> None:
        self._committer, self._tools, self._leases = committer, tools, leases
        self._stopping, self._dispatch = stopping, dispatch

    def run(self, work: WorkRow, term: int) -> None:
        """Step after step while the outcome keeps the lease, which was taken in this term of the heartbeat."""
        conflicts = 0
        row: WorkRow | None = work
        while row is not None:
            current = row
            try:
                ours_in = self._ours_in(current, term)
                if ours_in is None:
                    return
                term = ours_in
                row, conflicts = self._once(current, term), 0
            except LostLeaseError:
                if self._leases.holds(term):
                    log.info("lease.lost", track=work.track, subject=work.subject)
                    return
                # Our heartbeat was late, so an act was not begun: once it is back, the database says whose the row is.
            except ConflictError as exc:
                # The outcome is dropped and decided again; acts already done are known by their op_id.
                conflicts += 1
                if conflicts > CONFLICTS_IN_A_ROW:
                    self._give_up(current, f"the same conflict again and again: {exc}")
                    return
                self._stopping.wait(0.01 * conflicts)
            except StoreUnavailableError:
                if self._stopping.wait(RETRY_SECONDS):
                    return
            except Exception as exc:  # noqa: BLE001 - the worker's top
                # What was decided cannot be written at all: without this the row would be held in silence.
                self._crashed(current, exc)
                return

    def _ours_in(self, row: WorkRow, term: int) -> int | None:
        """The term in which we surely hold the row, once our heartbeat is fresh; None where it is lost, or we stop.

        While it was overdue another may have taken the row, wherever it waited here: in a lane, or between two steps.
        """
        while not self._leases.fresh():
            if self._stopping.wait(0.2):
                return None
        now_in = self._leases.term
        if now_in != term and not self._leases.still_ours(row):
            log.info("lease.lost", track=row.track, subject=row.subject)
            return None
        return now_in

    def _once(self, row: WorkRow, term: int) -> WorkRow | None:
        try:
            step = advance(row, replace(self._tools(), may_act=lambda: self._leases.holds(term)))
        except (LostLeaseError, ConflictError, StoreUnavailableError):
            raise
        except Exception as exc:  # noqa: BLE001 - the worker's top: a bug in a step must be seen, and stop that row alone
            self._crashed(row, exc)
            return None
        return self._commit(row, step, term)

    def _commit(self, row: WorkRow, step: Step, term: int) -> WorkRow | None:
        move = step.outcome.work
        if move is None:
            raise ReceiverError("a step must say what becomes of its row")
        self._committer.submit(step.outcome)
        for leased in step.then:
            self._dispatch(leased, term)
        log.debug("step", track=row.track, subject=row.subject, state=row.state, to=move.state, error=move.last_error)
        if step.outcome.events:
            told = Counter(str(event.status) for event in step.outcome.events)
            log.info("items.told", track=row.track, subject=row.subject, told=dict(told))
        if not move.keep:
            return None
        return replace(row, state=move.state, attempts=move.attempts, first_failed_at=move.first_failed_at)

    def _crashed(self, row: WorkRow, exc: Exception) -> None:
        log.error("step.crashed", track=row.track, subject=row.subject, state=row.state, exc_info=_without_values(exc))
        self._give_up(row, f"the step failed with {type(exc).__name__}; the log has the trace")

    def _give_up(self, row: WorkRow, words: str) -> None:
        outcome: Outcome = stuck(row, words, now=self._tools().now())
        if row.track is Track.EXPOSURE and row.state != Exposure.STUCK:
            # One step more, which does nothing outside and tells the issuers `failed`.
            outcome = outcome.plus(Outcome(wakes=(Wake(track=row.track, subject=row.subject),)))
        while not self._stopping.is_set():
            try:
                self._committer.submit(outcome)
            except StoreUnavailableError:
                self._stopping.wait(RETRY_SECONDS)
                continue
            except ReceiverError as exc:
                log.warning("stuck.unwritten", track=row.track, subject=row.subject, error=type(exc).__name__)
            return


def _without_values(exc: Exception) -> tuple[type[Exception], Exception, object]:
    """The trace with the exception's type alone: its text may quote what was being worked on."""
    return (type(exc), Exception(type(exc).__name__), exc.__traceback__)
