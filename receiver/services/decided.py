"""Decisions as rows: what an act of a person writes, and what keeps two people from counting as one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from receiver.domain.decisions import request_digest
from receiver.domain.ids import new_id
from receiver.domain.outcome import CaseGuard, Insert, LedgerNote, Outcome, Table, Update, Wake
from receiver.domain.rows import CaseView, DecisionRow, WorkRow
from receiver.domain.status import Exposure, Track
from receiver.services.persons import Person

EXPIRES_MICROS = 24 * 3600 * 1_000_000
"""What was asked and not agreed to by then has to be asked again, by somebody who looked again."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What came of an act: the decision as it stands now."""

    decision: str
    state: str
    approvals: int
    needs: int


def new_decision(
    kind: str,
    person: Person,
    reason: str,
    needs: int,
    *,
    now: int,
    case: str | None = None,
    item: str | None = None,
) -> tuple[Insert, Said]:
    state = "approved" if needs <= 1 else "asked"
    values: dict[str, Any] = {
        "id": new_id(),
        "case": case,
        "item": item,
        "kind": kind,
        "actor": person.name,
        "reason": reason,
        "request_sha256": request_digest(kind, case or item or ""),
        "state": state,
        "needs": needs,
        "approvals": [person.name],
        "expires_at": now + EXPIRES_MICROS if state == "asked" else None,
    }
    return Insert(table=Table.DECISION, values=values), Said(
        decision=values["id"], state=state, approvals=1, needs=needs
    )


def note(
    said: Said, kind: str, subject: str, person: Person, reason: str | None, *, agreed: bool = False
) -> LedgerNote:
    word = "agreed" if agreed and said.state == "asked" else said.state
    detail: dict[str, Any] = {
        "decision": said.decision,
        "kind": kind,
        "approvals": said.approvals,
        "needs": said.needs,
    }
    if reason is not None:
        detail["reason"] = reason
    return LedgerNote(kind=f"decision.{word}", subject=subject, actor=person.name, detail=detail)


def expire(over: Sequence[DecisionRow]) -> Outcome:
    notes = tuple(
        LedgerNote(kind="decision.expired", subject=d.case or d.item or "", actor="admin", detail={"decision": d.id})
        for d in over
    )
    return Outcome(changes=tuple(set_open(d, {"state": "expired"}) for d in over), notes=notes)


def after_case(view: CaseView, said: Said) -> Outcome:
    """Whoever else decided on this case since it was read made this outcome void."""
    wakes = (Wake(track=Track.EXPOSURE, subject=view.case.id),) if said.state == "approved" else ()
    guard = CaseGuard(case=view.case.id, revision=view.case.revision)
    return Outcome(guard=guard, bumps=(view.case.id,), wakes=wakes)


def unstick(view: CaseView) -> tuple[Wake, ...]:
    work = view.evidence
    if work.state != Exposure.STUCK or work.stuck_from is None:
        return ()
    return (Wake(track=Track.EVIDENCE, subject=view.case.id, state=work.stuck_from, from_state=Exposure.STUCK.value),)


def nudge(work: WorkRow) -> Update:
    """Two reviewers at the same moment: the second finds another number here, and looks again."""
    where = {"track": work.track.value, "subject": work.subject, "nudges": work.nudges}
    return Update(table=Table.WORK, where=where, values={"nudges": work.nudges + 1})


def set_open(row: DecisionRow, values: Mapping[str, Any]) -> Update:
    return Update(table=Table.DECISION, where={"id": row.id, "state": "asked"}, values=values)
