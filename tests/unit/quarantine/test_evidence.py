"""The evidence track's decisions at their edges, V1 to V5 of the core model."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from adapters.contract import FreezeReceipt, Pin, RemoveReceipt
from receiver.domain.outcome import Insert, Outcome, Table
from receiver.domain.policy import Policy
from receiver.domain.rows import CaseView
from receiver.domain.seals import SealResult
from receiver.domain.status import Act, Evidence, Exposure, ItemStatus, Track, Want
from receiver.quarantine import evidence as decide
from receiver.quarantine.course import Context
from receiver.quarantine.evidence import Sealed
from receiver.quarantine.journal import Done
from tests.doubles.case_rows import (
    DAY,
    NOW,
    SECOND,
    act_row,
    case_row,
    case_view,
    claim_row,
    hold_row,
    seal_row,
    work_row,
)

SHA = hashlib.sha256(b"colour field").hexdigest()
MD5 = hashlib.md5(b"colour field").hexdigest()


def result(seal_id: str = "seal-9", md5: str | None = MD5) -> SealResult:
    return SealResult(
        seal_id=seal_id,
        payload_ref=f"{seal_id}.age",
        header_ref=f"{seal_id}.header",
        sha256_plain=SHA,
        md5_plain=md5,
        sha1_plain=None,
        size_bytes=12,
        sha256_sealed="22",
        sealed_bytes=28,
        checked_at=NOW,
    )


def ctx(now: int = NOW, view: CaseView | None = None, **policy: Any) -> Context:
    settings = {"remove_after_days": 1, **policy}
    return Context(view=view or sealing(), now=now, policy=Policy(**settings))


def sealing(**changes: Any) -> CaseView:
    values: dict[str, Any] = {
        "case": case_row(blocked_at=NOW),
        "acts": (act_row(),),
        "evidence": Evidence.SEAL,
    }
    return case_view(**values | changes)


def removable(**changes: Any) -> CaseView:
    return sealing(evidence=Evidence.SEALED, seals=(seal_row(),), **changes)


def seal(context: Context, wanted: Want = Want.DOWN, freeze: FreezeReceipt | None = None) -> Outcome:
    one = Sealed(pin=Pin("pin-1"), result=result(), plain_hmac="keyed")
    return decide.sealed(context, [one], result("manifest"), freeze, wanted)


def seal_values(outcome: Outcome) -> dict[str, Any]:
    (row,) = [c.values for c in outcome.changes if isinstance(c, Insert) and c.table is Table.SEAL]
    return dict(row)


def test_seal_row_names_everything() -> None:
    outcome = seal(ctx(retention_days=365), freeze=FreezeReceipt(promised=True, how="chattr"))
    row = seal_values(outcome)
    assert (row["pin"], row["round"], row["sha256_plain_hmac"]) == ("pin-1", 1, "keyed")
    assert SHA not in map(str, row.values())
    assert row["retention_until_at"] == NOW + 365 * DAY
    assert outcome.notes[0].detail["frozen"] is True
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.due_at) == ("sealed", NOW + DAY)
    assert not outcome.events
    assert not outcome.pages


@pytest.mark.parametrize(
    ("hashes", "match"),
    [
        (None, None),
        ({}, None),
        ({"sha256": SHA}, True),
        ({"sha256": SHA.upper(), "md5": MD5}, True),
        ({"sha256": SHA, "md5": "00"}, False),
        ({"photodna": "x"}, None),
        ({"sha1": "00"}, None),
    ],
)
def test_named_hashes_are_compared(hashes: Any, match: bool | None) -> None:
    view = sealing(claims=(claim_row(details={"hashes": hashes}),))
    outcome = seal(ctx(view=view))
    assert seal_values(outcome)["hash_match"] is match
    assert [p.kind for p in outcome.pages] == (["evidence.hash_mismatch"] if match is False else [])


def test_only_standing_claims_name_hashes() -> None:
    view = sealing(claims=(claim_row(withdrawn_at=NOW, details={"hashes": {"sha256": "00"}}),))
    assert decide.compare_hashes(view, result()) is None


def test_preserving_issuers_hear_of_the_seal() -> None:
    claims = (claim_row(Act.PRESERVE_ONLY, id="i1"), claim_row(id="i2"))
    view = sealing(claims=claims, acts=(), case=case_row(), exposure=Exposure.IDLE)
    outcome = seal(ctx(view=view), Want.LEAVE)
    assert [(e.item, str(e.status), e.data["public"]) for e in outcome.events] == [
        ("i1", "preserved_live", "reachable")
    ]
    assert outcome.work is not None
    assert outcome.work.due_at is None
    assert outcome.notes[0].detail["frozen"] is False


def test_later_preserver_is_noticed() -> None:
    first = claim_row(Act.PRESERVE_ONLY, status=ItemStatus.PRESERVED_LIVE)
    assert not decide.unpreserved(case_view(claims=(first, claim_row(id="i2"))))
    assert decide.unpreserved(case_view(claims=(first, claim_row(Act.PRESERVE_ONLY, id="i3"))))


@pytest.mark.parametrize("attempts", range(6))
def test_moving_bytes_call_a_person_once(attempts: int) -> None:
    work = work_row(Track.EVIDENCE, "seal", attempts=attempts)
    outcome = decide.seal_changed(ctx(view=sealing(evidence=work)), "moved", ())
    unstable = [p.kind for p in outcome.pages if p.kind == "evidence.unstable"]
    assert bool(unstable) is (attempts + 1 == decide.UNSTABLE_AFTER_ATTEMPTS)
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.attempts) == ("seal", attempts + 1)
    assert not outcome.changes
    assert outcome.notes[0].kind == "evidence.changed"


def test_pins_found_now_replace_the_old() -> None:
    outcome = decide.seal_changed(ctx(), "moved", (Pin("pin-2"),))
    (change,) = outcome.changes
    assert change.values["receipt"]["pins"] == [{"value": "pin-2", "weak": False}]
    assert not decide.seal_changed(ctx(view=sealing(acts=())), "moved", (Pin("pin-2"),)).changes


def test_unsealed_blocks_of_any_round() -> None:
    second = act_row(op_id="b2")
    receipt = {**(second.receipt or {}), "pins": [{"value": "pin-2", "weak": False}]}
    acts = (act_row(), act_row(op_id="b2", receipt=receipt), act_row(op_id="b3", result="undone", receipt=receipt))
    assert [a.op_id for a in decide.unsealed_blocks(removable(acts=acts))] == ["b2"]


# --- the point of no return


def test_removal_is_intended_with_its_proof() -> None:
    outcome = decide.consider_removal(ctx(NOW + DAY, removable()), Want.DOWN)
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.keep) == ("remove", True)
    assert outcome.guard is not None
    assert outcome.bumps == ("case-1",)
    (intent,) = [c.values["intent"] for c in outcome.changes]
    assert (intent["block"], [s["id"] for s in intent["seals"]]) == ("op-block", ["seal-1"])
    assert [n.kind for n in outcome.notes] == ["remove.intended"]


@pytest.mark.parametrize(
    ("changes", "now", "due"),
    [
        ({}, NOW, NOW + DAY),
        ({"holds": (hold_row(),)}, NOW + DAY, NOW + DAY + 3600 * SECOND),
        ({"exposure": Exposure.PURGE}, NOW + DAY, NOW + DAY + 60 * SECOND),
        ({"acts": ()}, NOW + DAY, NOW + DAY + 3600 * SECOND),
        ({"case": case_row()}, NOW + DAY, None),
    ],
)
def test_barred_removal_is_considered_later(changes: dict[str, Any], now: int, due: int | None) -> None:
    outcome = decide.consider_removal(ctx(now, removable(**changes)), Want.DOWN)
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.due_at) == ("sealed", due)
    assert not outcome.changes


def test_unsealed_bytes_bar_removal() -> None:
    receipt = {**(act_row().receipt or {}), "pins": [{"value": "pin-2", "weak": False}]}
    view = removable(acts=(act_row(), act_row(op_id="b2", receipt=receipt)))
    outcome = decide.consider_removal(ctx(NOW + 2 * DAY, view), Want.DOWN)
    assert outcome.work is not None
    assert outcome.work.state == "sealed"


def test_copy_in_place_is_never_removed() -> None:
    outcome = decide.consider_removal(ctx(NOW + DAY, removable(), preserve="in_place"), Want.DOWN)
    assert outcome.work is not None
    assert (outcome.work.state, outcome.work.due_at) == ("sealed", None)


def removed(receipt: RemoveReceipt) -> Outcome:
    intent = {"block": "op-block", "seals": [{"id": "seal-1"}]}
    act = act_row("remove", track=Track.EVIDENCE, intent=intent, receipt=None, ended_at=None, result=None)
    view = removable(claims=(claim_row(status=ItemStatus.DISABLED),))
    return decide.removed(ctx(NOW + DAY, view), [(Done(act=act, receipt={}), receipt)])


def test_removed_copies_are_told() -> None:
    outcome = removed(RemoveReceipt(outcome="removed", residual=("a link elsewhere",)))
    assert [str(e.status) for e in outcome.events] == ["removed"]
    assert [c.values for c in outcome.changes if c.table is Table.SEAL] == [{"removed_at": NOW + DAY}]
    assert [c.values for c in outcome.changes if c.table is Table.CASE] == [{"residual": ["a link elsewhere"]}]
    assert outcome.work is not None
    assert outcome.work.state == "vaulted"


def test_retained_copies_stay_disabled() -> None:
    outcome = removed(RemoveReceipt(outcome="unreachable_retained", reason="object lock", residual=("locked",)))
    assert not outcome.events
    assert outcome.notes[0].detail["reason"] == "object lock"


# --- trouble


@pytest.mark.parametrize("freeze", [None, FreezeReceipt(promised=True, how="chattr")])
def test_hold_in_place_makes_no_copy(freeze: FreezeReceipt | None) -> None:
    outcome = decide.held_in_place(ctx(), freeze)
    assert outcome.work is not None
    assert (outcome.work.state, outcome.changes) == ("sealed", ())
    assert outcome.notes[0].detail["frozen"] is bool(freeze)


def test_preserver_of_what_is_down_hears_no_seal() -> None:
    view = case_view(claims=(claim_row(Act.PRESERVE_ONLY),), acts=(act_row(),))
    assert not decide.unpreserved(view)


def test_who_joined_is_not_told_removed_first() -> None:
    intent = {"block": "op-block", "seals": []}
    act = act_row("remove", track=Track.EVIDENCE, intent=intent)
    claims = (claim_row(id="i1", status=ItemStatus.DISABLED), claim_row(id="i2"))
    done = [(Done(act=act, receipt={}), RemoveReceipt(outcome="removed"))]
    outcome = decide.removed(ctx(view=removable(claims=claims)), done)
    assert [e.item for e in outcome.events] == ["i1"]


def test_stuck_evidence_leaves_it_blocked() -> None:
    outcome = decide.evidence_broken(ctx(), "no such capability")
    assert outcome.work is not None
    assert (outcome.work.track, outcome.work.state, outcome.work.stuck_from) == ("evidence", "stuck", "seal")
    assert [p.kind for p in outcome.pages] == ["evidence.stuck"]


def test_stay_keeps_what_is_known() -> None:
    work = work_row(Track.EVIDENCE, "stuck", last_error="x", stuck_from="seal", attempts=4)
    outcome = decide.stay(work)
    assert outcome.work is not None
    kept = (outcome.work.state, outcome.work.last_error, outcome.work.stuck_from, outcome.work.attempts)
    assert kept == ("stuck", "x", "seal", 4)
    assert outcome.work.due_at is None
