"""Everyday acts beside decisions: send a dead letter again, pause and resume, acknowledge a page."""

from __future__ import annotations

import re
from typing import Protocol

from receiver.domain.clock import Clock, to_micros
from receiver.domain.errors import ConflictError
from receiver.domain.outcome import LedgerNote, Outcome, Table, Update, Wake
from receiver.domain.pauses import end_pause, set_pause
from receiver.domain.policy import Policy
from receiver.domain.ports import Committer, Reads
from receiver.domain.status import Exposure, Track
from receiver.services.admin_errors import BadInputError, NotPossibleError
from receiver.services.persons import Person, Role

_SCOPE = re.compile(r"all|(issuer|adapter):([A-Za-z0-9._-]{1,64})")


class LiftsPauses(Protocol):
    def lift_pause(self, scope: str) -> bool: ...


class DeskService:
    """Raises NotAllowedError, BadInputError or NotPossibleError."""

    def __init__(
        self, *, reads: Reads, pauses: LiftsPauses, committer: Committer, policy: Policy, clock: Clock
    ) -> None:
        self._reads, self._pauses, self._committer = reads, pauses, committer
        self._policy, self._clock = policy, clock

    def resend_dead(self, notice: str, person: Person) -> int:
        """Due again at once; returns how many events. One that is older than the time to give up is tried once."""
        person.must(Role.REVIEWER)
        dead = [event for event in self._reads.events_of(notice) if event.dead_at is not None]
        if not dead:
            raise NotPossibleError("this notice has no dead letters; somebody may have sent them again already")
        changes = tuple(
            Update(table=Table.EVENT, where={"id": e.id, "dead_at": e.dead_at}, values={"dead_at": None}) for e in dead
        )
        note = LedgerNote(kind="callback.resent", subject=notice, actor=person.name, detail={"events": len(dead)})
        wake = Wake(track=Track.DELIVER, subject=notice, priority=2)
        self._write(Outcome(changes=changes, notes=(note,), wakes=(wake,)), "somebody sent them again already")
        return len(dead)

    def retry_notice(self, notice: str, person: Person) -> None:
        """A notice that could not be resolved is looked at again, with its signature."""
        person.must(Role.REVIEWER)
        work = self._reads.load_work(Track.RESOLVE, notice)
        if work is None or work.state != Exposure.STUCK:
            raise NotPossibleError("this notice is not stuck; look again")
        wake = Wake(
            track=Track.RESOLVE, subject=notice, state=work.stuck_from or "resolve", from_state=Exposure.STUCK.value
        )
        note = LedgerNote(kind="notice.retried", subject=notice, actor=person.name)
        self._write(Outcome(notes=(note,), wakes=(wake,)), "look again")

    def pause(self, scope: str, person: Person) -> None:
        """Notices are taken and answered, but nothing is done about them; people are paged meanwhile."""
        person.must(Role.APPROVER)
        self._known(scope)
        self._write(set_pause(scope, person.name, now=to_micros(self._clock.now())), f"{scope} is paused already")

    def resume(self, scope: str, person: Person) -> None:
        """Act again, and its page is over."""
        person.must(Role.APPROVER)
        self._write(end_pause(scope, person.name, now=to_micros(self._clock.now())), "that is not paused")
        self._pauses.lift_pause(scope)

    def acknowledge(self, page: str, person: Person) -> None:
        """Somebody has seen it and takes care; it is not raised again until it happens anew."""
        person.must(Role.REVIEWER)
        values = {"acknowledged_at": to_micros(self._clock.now()), "acknowledged_by": person.name}
        change = Update(table=Table.PAGE, where={"id": page, "acknowledged_at": None}, values=values)
        note = LedgerNote(kind="page.acknowledged", subject=page, actor=person.name)
        self._write(Outcome(changes=(change,), notes=(note,)), "somebody acknowledged it already")

    def _known(self, scope: str) -> None:
        parsed = _SCOPE.fullmatch(scope)
        if parsed is None:
            raise BadInputError("a pause is for all, issuer:ID or adapter:NAME")
        if parsed[1] == "issuer" and parsed[2] not in self._policy.issuers:
            raise BadInputError(f"no issuer is called {parsed[2]}")

    def _write(self, outcome: Outcome, conflict: str) -> None:
        try:
            self._committer.submit(outcome)
        except ConflictError as error:
            raise NotPossibleError(conflict) from error
