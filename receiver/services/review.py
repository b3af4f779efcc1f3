"""What people decide. Each act is one outcome: the decision's row, its entry in the ledger, and the track it wakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from receiver.domain.clock import Clock, to_micros
from receiver.domain.decisions import request_digest
from receiver.domain.errors import ConflictError
from receiver.domain.ids import parse_case_code
from receiver.domain.outcome import CaseGuard, Outcome, Wake
from receiver.domain.policy import Policy
from receiver.domain.ports import Committer, ItemLine, Reads
from receiver.domain.rows import CaseView, DecisionRow, WorkRow
from receiver.domain.status import Exposure, Track
from receiver.services.admin_errors import BadInputError, NotPossibleError, NotThereError
from receiver.services.decided import Said, after_case, expire, new_decision, note, nudge, set_open, unstick
from receiver.services.persons import Person, Role
from receiver.services.possible import (
    agreement_hindrance,
    is_over,
    item_hindrance,
    needs_to_refuse,
    release_hindrance,
    retry_hindrance,
)

MAX_REASON_CHARACTERS = 2000
_TRIES = 3
T = TypeVar("T")


class ReviewService:
    """Raises NotThereError, NotAllowedError, BadInputError or NotPossibleError."""

    def __init__(self, *, reads: Reads, committer: Committer, policy: Policy, clock: Clock) -> None:
        self._reads, self._committer, self._policy, self._clock = reads, committer, policy, clock

    # --- items in review

    def approve_item(self, item: str, person: Person, reason: str) -> Said:
        """One reviewer's yes: the worker resolves the item again and acts."""
        return self._decide_item("approve", item, person, reason)

    def refuse_item(self, item: str, person: Person, reason: str) -> Said:
        """A no; where a gate denies the URL meanwhile, it takes as many people as a release."""
        return self._decide_item("refuse", item, person, reason)

    def _decide_item(self, kind: str, item: str, person: Person, reason: str) -> Said:
        person.must(Role.REVIEWER)
        words = _reason(reason)

        def decide() -> tuple[Outcome, Said]:
            work, line, cases, decisions = self._about_item(item)
            now = self._now()
            _refuse_if(item_hindrance(line.item, decisions, now))
            needs = 1
            if kind == "refuse":
                needs = needs_to_refuse(cases, self._policy)
                if needs == 1 and needs_to_refuse(cases, replace(self._policy, two_people=True)) > 1:
                    person.must(Role.APPROVER)
            insert, said = new_decision(kind, person, words, needs, item=item, now=now)
            over = expire([d for d in decisions if is_over(d, now)])
            made = Outcome(changes=(nudge(work), insert), notes=(note(said, kind, item, person, words),))
            return made.plus(over).plus(self._after_item(line, cases, said)), said

        return self._settle(decide)

    def _about_item(self, item: str) -> tuple[WorkRow, ItemLine, tuple[CaseView, ...], tuple[DecisionRow, ...]]:
        """The notice's work row is read first: whatever is decided after that changes it."""
        line = self._reads.find_item(item)
        work = self._reads.load_work(Track.RESOLVE, line.notice.id) if line is not None else None
        line = self._reads.find_item(item)
        if line is None or work is None:
            raise NotThereError("there is no such item")
        view = self._reads.load_notice(line.notice.id)
        cases = tuple(self._reads.load_case(case) for case in line.cases)
        return work, line, cases, tuple(d for d in view.decisions if d.item == item)

    def _after_item(self, line: ItemLine, cases: tuple[CaseView, ...], said: Said) -> Outcome:
        guard = CaseGuard(case=cases[0].case.id, revision=cases[0].case.revision) if cases else None
        wakes: tuple[Wake, ...] = ()
        if said.state == "approved":
            wakes = (Wake(track=Track.RESOLVE, subject=line.notice.id, state="resolve", from_state="resolved"),)
        return Outcome(guard=guard, bumps=tuple(case.case.id for case in cases), wakes=wakes)

    # --- cases

    def release_case(self, code: str, person: Person, reason: str) -> Said:
        """Ask that a mistake comes back up. Whoever asks is the first to agree; somebody else has to follow."""
        person.must(Role.REVIEWER)
        needs = self._policy.agreement_needed()
        if needs == 1:
            person.must(Role.APPROVER)
        words = _reason(reason)
        case = self.case_id(code)

        def decide() -> tuple[Outcome, Said]:
            view, now = self._reads.load_case(case), self._now()
            _refuse_if(release_hindrance(view, now))
            insert, said = new_decision("release", person, words, needs, case=case, now=now)
            over = expire([d for d in view.decisions if d.kind == "release" and is_over(d, now)])
            made = Outcome(changes=(insert,), notes=(note(said, "release", case, person, words),))
            return made.plus(over).plus(after_case(view, said)), said

        return self._settle(decide)

    def retry_case(self, code: str, person: Person) -> Said:
        """Let stuck tracks go on from where they stood."""
        person.must(Role.REVIEWER)
        case = self.case_id(code)

        def decide() -> tuple[Outcome, Said]:
            view, now = self._reads.load_case(case), self._now()
            _refuse_if(retry_hindrance(view))
            insert, said = new_decision("retry", person, "retry", 1, case=case, now=now)
            if view.exposure.state != Exposure.STUCK:
                # Only the exposure track reads decisions; the evidence track is moved by its wake alone.
                said = replace(said, state="done")
                insert = replace(insert, values={**insert.values, "state": "done"})
            made = Outcome(changes=(insert,), notes=(note(said, "retry", case, person, "retry"),))
            return made.plus(after_case(view, said)).plus(Outcome(wakes=unstick(view))), said

        return self._settle(decide)

    # --- what others asked for

    def agree(self, decision: str, person: Person) -> Said:
        """One more person agrees to exactly what was asked; enough of them, and the worker does it."""
        person.must(Role.APPROVER)

        def decide() -> tuple[Outcome, Said]:
            found, view, line = self._about_decision(decision)
            if person.name == found.actor or person.name in found.approvals:
                raise NotPossibleError("you asked for this or agreed to it already; it needs another person")
            if found.request_sha256 != request_digest(found.kind, found.case or found.item or ""):
                raise NotPossibleError("the request is not what was asked for; decline it and ask again")
            _refuse_if(agreement_hindrance(found, view, line.item if line is not None else None))
            approvals = [*found.approvals, person.name]
            state = "approved" if len(approvals) >= found.needs else "asked"
            said = Said(decision=decision, state=state, approvals=len(approvals), needs=found.needs)
            changes = (set_open(found, {"approvals": approvals, "state": state}),)
            entry = note(said, found.kind, found.case or found.item or "", person, None, agreed=True)
            after = after_case(view, said) if line is None else self._after_item(line, (view,), said)
            return Outcome(changes=changes, notes=(entry,)).plus(after), said

        return self._settle(decide)

    def decline(self, decision: str, person: Person, reason: str = "") -> Said:
        """Nothing comes of what was asked; it may be asked again."""
        person.must(Role.APPROVER)

        def decide() -> tuple[Outcome, Said]:
            found, view, _line = self._about_decision(decision)
            said = Said(decision=decision, state="refused", approvals=len(found.approvals), needs=found.needs)
            entry = note(said, found.kind, found.case or found.item or "", person, reason[:MAX_REASON_CHARACTERS])
            changes = (set_open(found, {"state": "refused"}),)
            return Outcome(changes=changes, notes=(entry,)).plus(after_case(view, said)), said

        return self._settle(decide)

    def _about_decision(self, decision: str) -> tuple[DecisionRow, CaseView, ItemLine | None]:
        """The open decision with the case whose revision guards it, read in one transaction."""
        row = self._reads.find_decision(decision)
        if row is None:
            raise NotThereError("there is no such decision")
        line = self._reads.find_item(row.item) if row.item is not None else None
        case = row.case or (line.cases[0] if line is not None and line.cases else None)
        if case is None:
            raise NotPossibleError("this decision needed nobody's agreement")
        view = self._reads.load_case(case)
        found = next(d for d in view.decisions if d.id == decision)
        if is_over(found, self._now()):
            self._committer.submit(expire([found]))
            raise NotPossibleError("nobody agreed in time; it has to be asked for again")
        if found.state != "asked":
            raise NotPossibleError(f"this is decided already: {found.state}")
        return found, view, line

    # --- what all of them share

    def case_id(self, code: str) -> str:
        """Raises NotThereError. The code may be typed in small letters and without its hyphen."""
        parsed = parse_case_code(code)
        found = self._reads.find_case_by_code(parsed) if parsed else None
        if found is None:
            raise NotThereError("there is no case with this code")
        return found

    def _settle(self, decide: Callable[[], tuple[Outcome, T]]) -> T:
        """Decide and write; where somebody else was first, look again and decide again."""
        for _ in range(_TRIES):
            try:
                outcome, said = decide()
                self._committer.submit(outcome)
            except ConflictError:
                continue
            return said
        raise NotPossibleError("others are changing the same case at this very moment; look again, then try again")

    def _now(self) -> int:
        return to_micros(self._clock.now())


def _reason(text: str) -> str:
    words = text.strip()
    if not words:
        raise BadInputError("say why; the reason is kept in the ledger")
    if len(words) > MAX_REASON_CHARACTERS:
        raise BadInputError(f"a reason has at most {MAX_REASON_CHARACTERS} characters")
    return words


def _refuse_if(hindrance: str | None) -> None:
    if hindrance is not None:
        raise NotPossibleError(hindrance)
