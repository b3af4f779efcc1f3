"""Views and looks for tests of the exposure track."""

from __future__ import annotations

from typing import Any

from adapters.contract import Ref
from receiver.domain.outcome import Insert, Outcome, Table
from receiver.domain.policy import Policy
from receiver.domain.rows import CaseView
from receiver.domain.status import Verdict
from receiver.quarantine.course import Context, Seen
from tests.doubles.case_rows import (
    NOW,
    case_view,
    url_row,
)

REF = Ref(locator=b"a")


def ctx(view: CaseView | None = None, now: int = NOW, **policy: Any) -> Context:
    return Context(view=view or case_view(), now=now, policy=Policy(**policy))


def seen(*verdicts: Verdict) -> list[Seen]:
    return [Seen(url=url_row(url_hmac=str(n)), verdict=v, looks=({"status": 1},)) for n, v in enumerate(verdicts)]


GONE, UP, UNCLEAR = seen(Verdict.GONE), seen(Verdict.UP), seen(Verdict.INCONCLUSIVE)


def state(outcome: Outcome) -> tuple[str, bool]:
    assert outcome.work is not None
    return outcome.work.state, outcome.work.keep


def heard(outcome: Outcome) -> list[tuple[str, str | None]]:
    return [(str(event.status), event.data["reason"]) for event in outcome.events]


def kinds(outcome: Outcome) -> list[str]:
    return [c.values["kind"] for c in outcome.changes if isinstance(c, Insert) and c.table is Table.ACT]


def on_case(outcome: Outcome) -> dict[str, Any]:
    rows = [c.values for c in outcome.changes if c.table is Table.CASE]
    return {name: value for row in rows for name, value in row.items()}


def notes(outcome: Outcome) -> list[str]:
    return [note.kind for note in outcome.notes]
