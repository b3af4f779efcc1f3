"""What becomes of evidence when the store holds something else than was asked about, or nothing at all."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.contract import Changed, Pin, RemoveReceipt
from receiver.domain.outcome import Outcome, Table
from receiver.domain.policy import Policy
from receiver.domain.rows import ActRow, CaseView
from receiver.domain.status import Act, Evidence, ItemStatus, Track, Verdict
from receiver.quarantine import evidence as decide
from receiver.quarantine.course import Context, Seen
from receiver.quarantine.journal import Done
from tests.doubles.case_rows import (
    NOW,
    act_row,
    case_row,
    case_view,
    claim_row,
    seal_row,
    updates,
    url_row,
)


def context(view: CaseView) -> Context:
    return Context(view=view, now=NOW, policy=Policy())


# --- the store holds nothing, and a sealed copy alone was asked for


def asked_to_preserve() -> Context:
    claims = (claim_row(id="i1", act=Act.PRESERVE_ONLY), claim_row(id="i2", act=Act.REMOVE))
    return context(case_view(claims=claims, evidence=Evidence.SEAL))


def seen(verdict: Verdict) -> list[Seen]:
    return [Seen(url=url_row(), verdict=verdict, looks=({"status": 404},))]


def test_nothing_there_ends_preserving() -> None:
    outcome = decide.nothing_to_preserve(asked_to_preserve(), seen(Verdict.GONE))
    assert [(event.item, event.status) for event in outcome.events] == [("i1", ItemStatus.UNAVAILABLE)]
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.due_at) == ("wait", None)


@pytest.mark.parametrize("verdict", [Verdict.UP, Verdict.INCONCLUSIVE])
def test_still_served_is_looked_at_again(verdict: Verdict) -> None:
    """A cache that serves it is no proof that there is nothing: nobody hears anything yet."""
    outcome = decide.nothing_to_preserve(asked_to_preserve(), seen(verdict))
    assert outcome.events == ()
    assert outcome.work is not None
    assert outcome.work.state == "seal"
    assert outcome.work.due_at is not None
    assert outcome.work.due_at > NOW


# --- the store refuses to remove, since what it holds is not what was sealed


def removal(op_id: str = "op-remove", block: str = "op-block") -> ActRow:
    intent = {"block": block, "seals": [{"id": "seal-1"}]}
    return act_row("remove", op_id, track=Track.EVIDENCE, intent=intent, receipt=None, ended_at=None, result=None)


def changed(*pins: str, acts: tuple[ActRow, ...] = (), bad: ActRow | None = None, **more: Any) -> Outcome:
    bad = bad or removal()
    view = case_view(
        case=case_row(blocked_at=NOW),
        acts=(act_row(), *acts, bad),
        seals=(seal_row(),),
        evidence=Evidence.REMOVE,
        claims=(claim_row(status=ItemStatus.DISABLED),),
    )
    done = Done(act=bad, error=Changed("other bytes"))
    return decide.removal_changed(context(view), more.pop("done", ()), done, [Pin(pin) for pin in pins])


def ended(outcome: Outcome) -> list[str]:
    return [c.where["op_id"] for c in updates(outcome) if c.table is Table.ACT and c.values.get("result") == "failed"]


def block_rows(outcome: Outcome) -> list[Any]:
    return [c.values for c in updates(outcome) if c.where == {"op_id": "op-block"}]


def test_other_bytes_are_sealed_again() -> None:
    outcome = changed("pin-2")
    assert outcome.work is not None
    assert outcome.work.state == "seal"
    assert ended(outcome) == ["op-remove"]
    assert [values["receipt"]["pins"] for values in block_rows(outcome)] == [[{"value": "pin-2", "weak": False}]]
    assert [page.kind for page in outcome.pages] == [note.kind for note in outcome.notes] == ["evidence.changed"]


def test_nothing_new_to_seal_calls_people() -> None:
    """The store says changed and shows the very bytes that were sealed: trying again would go on for ever."""
    outcome = changed("pin-1")
    assert outcome.work is not None
    assert outcome.work.state == "stuck"
    assert ended(outcome) == ["op-remove"]
    assert block_rows(outcome) == []


def test_earlier_round_is_never_sealed_anew() -> None:
    """The pins of an older block are not what the newest one holds."""
    newer = act_row(op_id="op-newer", begun_at=NOW + 1)
    outcome = changed("pin-2", acts=(newer,))
    assert outcome.work is not None
    assert outcome.work.state == "stuck"


def test_what_was_removed_before_stays_told() -> None:
    """Of two removals the first went through; only the second is tried no more."""
    first = removal("op-first")
    receipt = RemoveReceipt(outcome="removed", residual=())
    outcome = changed("pin-2", acts=(first,), done=[(Done(act=first, receipt={}), receipt)])
    assert ended(outcome) == ["op-remove"]
    assert [c.where for c in updates(outcome) if c.table is Table.SEAL] == [{"id": "seal-1"}]


def test_only_failed_removals_come_here() -> None:
    view = case_view(acts=(act_row(), removal()), seals=(seal_row(),))
    with pytest.raises(ValueError, match="failed"):
        decide.removal_changed(context(view), (), Done(act=removal()), [])
