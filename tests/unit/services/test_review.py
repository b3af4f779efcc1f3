from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from receiver.domain.outcome import Insert, Outcome, Table, Update
from receiver.services.admin_errors import BadInputError, NotAllowedError, NotPossibleError, NotThereError
from receiver.services.persons import Person, Role
from tests.doubles.staff import ANN, BOB, EVE, SECRET_PATH, Staff
from tests.unit.services.reviewing import both

VIEWER = Person(name="vic", role=Role.VIEWER)


def public(staff: Staff) -> bytes | None:
    return staff.world.public_get(f"https://img.example.net{SECRET_PATH}")


def withdrawn(staff: Staff) -> str:
    """A notice that its issuer has taken back: people are asked."""
    notice = staff.world.notify(staff.world.put(SECRET_PATH, b"noise"))
    staff.world.run()
    staff.world.direct(notice, "withdraw")
    staff.world.run()
    return notice


def test_release_needs_two_people(staff: Staff) -> None:
    code = staff.blocked_case()
    assert public(staff) is None
    said = staff.services.review.release_case(code.lower(), ANN, "a mistake")
    assert (said.state, said.approvals, said.needs) == ("asked", 1, 2)
    staff.world.run()
    assert public(staff) is None
    assert staff.services.review.agree(said.decision, BOB).state == "approved"
    staff.world.run()
    assert public(staff) == b"noise" * 100
    case = staff.services.review.case_id(code)
    kinds = staff.entries(case)
    assert kinds.index("decision.asked") < kinds.index("decision.approved") < kinds.index("decision.done")


def test_asker_cannot_agree(staff: Staff) -> None:
    code = staff.blocked_case()
    asker = replace(BOB)
    said = staff.services.review.release_case(code, asker, "a mistake")
    with pytest.raises(NotPossibleError, match="another person"):
        staff.services.review.agree(said.decision, asker)
    assert staff.decisions(code)[0].approvals == ("bob",)


def test_agreeing_needs_an_approver(staff: Staff) -> None:
    said = staff.services.review.release_case(staff.blocked_case(), BOB, "a mistake")
    for person in (ANN, VIEWER):
        with pytest.raises(NotAllowedError):
            staff.services.review.agree(said.decision, person)
        with pytest.raises(NotAllowedError):
            staff.services.review.decline(said.decision, person, "no")


def test_viewer_decides_nothing(staff: Staff) -> None:
    code, item = staff.blocked_case(), staff.review_item()
    review = staff.services.review
    acts: tuple[Callable[[], object], ...] = (
        lambda: review.release_case(code, VIEWER, "x"),
        lambda: review.retry_case(code, VIEWER),
        lambda: review.approve_item(item, VIEWER, "x"),
        lambda: review.refuse_item(item, VIEWER, "x"),
    )
    for act in acts:
        with pytest.raises(NotAllowedError):
            act()


def test_withdrawal_needs_two_others(staff: Staff) -> None:
    notice = withdrawn(staff)
    code = staff.world.case_of(notice).case.code
    (asked,) = staff.decisions(code)
    assert (asked.actor, asked.approvals, asked.needs) == ("issuer:iwf", (), 2)
    assert staff.services.review.agree(asked.id, BOB).state == "asked"
    with pytest.raises(NotPossibleError, match="another person"):
        staff.services.review.agree(asked.id, BOB)
    staff.world.run()
    assert public(staff) is None
    assert staff.services.review.agree(asked.id, EVE).state == "approved"
    staff.world.run()
    assert public(staff) == b"noise"
    assert staff.world.statuses(notice) == ["restored"]


def test_two_at_once_count_once_each(staff: Staff) -> None:
    notice = withdrawn(staff)
    code = staff.world.case_of(notice).case.code
    (asked,) = staff.decisions(code)
    agree = staff.services.review.agree
    said = both(lambda: agree(asked.id, BOB), lambda: agree(asked.id, EVE))
    assert sorted(one.state for one in said) == ["approved", "asked"]
    assert sorted(staff.decisions(code)[0].approvals) == ["bob", "eve"]


def test_one_person_twice_at_once_counts_once(staff: Staff) -> None:
    notice = withdrawn(staff)
    code = staff.world.case_of(notice).case.code
    (asked,) = staff.decisions(code)
    agree = staff.services.review.agree
    both(lambda: agree(asked.id, BOB), lambda: agree(asked.id, BOB))
    assert (staff.decisions(code)[0].approvals, staff.decisions(code)[0].state) == (("bob",), "asked")


def test_only_one_release_is_asked(staff: Staff) -> None:
    code = staff.blocked_case()
    release = staff.services.review.release_case
    said = both(lambda: release(code, ANN, "mine"), lambda: release(code, BOB, "mine"))
    assert len([one for one in said if isinstance(one, NotPossibleError)]) == 1
    assert len(staff.decisions(code)) == 1


def test_expired_request_is_refused(staff: Staff) -> None:
    code = staff.blocked_case()
    said = staff.services.review.release_case(code, ANN, "a mistake")
    staff.world.clock.move(hours=24)
    with pytest.raises(NotPossibleError, match="in time"):
        staff.services.review.agree(said.decision, BOB)
    assert staff.decisions(code)[0].state == "expired"
    assert staff.services.lists.decisions() == []
    again = staff.services.review.release_case(code, ANN, "still a mistake")
    assert staff.services.review.agree(again.decision, BOB).state == "approved"


def test_asking_again_ends_expired_request(staff: Staff) -> None:
    code = staff.blocked_case()
    staff.services.review.release_case(code, ANN, "a mistake")
    staff.world.clock.move(hours=25)
    staff.services.review.release_case(code, ANN, "again")
    assert [d.state for d in staff.decisions(code)] == ["expired", "asked"]


def test_declined_request_changes_nothing(staff: Staff) -> None:
    code = staff.blocked_case()
    said = staff.services.review.release_case(code, ANN, "a mistake")
    staff.services.review.decline(said.decision, BOB, "it is none")
    with pytest.raises(NotPossibleError, match="decided already"):
        staff.services.review.agree(said.decision, EVE)
    staff.world.run()
    assert public(staff) is None


def test_changed_request_cannot_be_agreed(staff: Staff) -> None:
    code = staff.blocked_case()
    said = staff.services.review.release_case(code, ANN, "a mistake")
    other = Update(table=Table.DECISION, where={"id": said.decision}, values={"kind": "destroy"})
    staff.world.commit(Outcome(changes=(other,)))
    with pytest.raises(NotPossibleError, match="not what was asked"):
        staff.services.review.agree(said.decision, BOB)


def test_hold_bars_a_release(staff: Staff) -> None:
    code = staff.blocked_case()
    case = staff.services.review.case_id(code)
    hold = {"id": "H", "case": case, "origin": "issuer:iwf"}
    staff.world.commit(Outcome(changes=(Insert(table=Table.HOLD, values=hold),)))
    with pytest.raises(NotPossibleError, match="hold"):
        staff.services.review.release_case(code, ANN, "a mistake")


def test_released_case_has_nothing_to_release(staff: Staff) -> None:
    code = staff.blocked_case()
    said = staff.services.review.release_case(code, ANN, "a mistake")
    staff.services.review.agree(said.decision, BOB)
    staff.world.run()
    with pytest.raises(NotPossibleError, match="nothing"):
        staff.services.review.release_case(code, ANN, "again")


def test_removed_copy_needs_a_restore(staff: Staff) -> None:
    code = staff.blocked_case()
    case = staff.services.review.case_id(code)
    gone = Update(table=Table.WORK, where={"track": "evidence", "subject": case}, values={"state": "vaulted"})
    staff.world.commit(Outcome(changes=(gone,)))
    with pytest.raises(NotPossibleError, match="restore"):
        staff.services.review.release_case(code, ANN, "a mistake")


def test_removal_in_between_bars_the_release(staff: Staff) -> None:
    code = staff.blocked_case()
    said = staff.services.review.release_case(code, ANN, "a mistake")
    case = staff.services.review.case_id(code)
    gone = Update(table=Table.WORK, where={"track": "evidence", "subject": case}, values={"state": "remove"})
    staff.world.commit(Outcome(changes=(gone,)))
    with pytest.raises(NotPossibleError, match="restore"):
        staff.services.review.agree(said.decision, BOB)


def test_item_decided_in_between_stays_so(staff: Staff) -> None:
    item = staff.denied_item()
    said = staff.services.review.refuse_item(item, ANN, "ours")
    line = staff.world.db.find_item(item)
    assert line is not None
    staff.world.direct(line.notice.id, "withdraw")
    staff.world.run()
    with pytest.raises(NotPossibleError, match="not in review"):
        staff.services.review.agree(said.decision, BOB)


def test_one_person_releases_where_set_so(alone: Staff) -> None:
    code = alone.blocked_case()
    with pytest.raises(NotAllowedError):
        alone.services.review.release_case(code, ANN, "a mistake")
    assert alone.services.review.release_case(code, BOB, "a mistake").state == "approved"
    alone.world.run()
    assert public(alone) is not None


def test_reason_must_be_given(staff: Staff) -> None:
    code = staff.blocked_case()
    for reason in ("", "  \n", "x" * 2001):
        with pytest.raises(BadInputError):
            staff.services.review.release_case(code, ANN, reason)


@pytest.mark.parametrize("code", ["", "nonsense", "AAAA-AAAA", "../../etc", "K7QX-93FM-1"])
def test_unknown_code_is_not_there(staff: Staff, code: str) -> None:
    with pytest.raises(NotThereError):
        staff.services.review.release_case(code, ANN, "a mistake")
