from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from receiver.domain.outcome import Insert, Outcome, Table, Update
from receiver.domain.status import Track
from receiver.services.admin_errors import BadInputError, NotAllowedError, NotPossibleError, NotThereError, StaffError
from receiver.services.persons import Person, Role
from tests.doubles.staff import ANN, BOB, EVE, SECRET_PATH, SHARED_PATH, Staff, make_staff

SHARED_URL = f"https://img.example.net{SHARED_PATH}"
VIEWER = Person(name="vic", role=Role.VIEWER)


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    made = make_staff(tmp_path)
    yield made
    made.close()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Staff]:
    made = make_staff(tmp_path, two_people=False)
    yield made
    made.close()


def public(staff: Staff) -> bytes | None:
    return staff.world.public_get(f"https://img.example.net{SECRET_PATH}")


def status(staff: Staff, item: str) -> str:
    line = staff.world.db.find_item(item)
    assert line is not None
    return line.item.status.value


def both(first: Any, second: Any) -> list[Any]:
    """Two acts begun at the same moment; what each returned or raised."""
    start = Barrier(2)

    def run(act: Any) -> Any:
        start.wait()
        try:
            return act()
        except StaffError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in (first, second)]]


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
    for act in (
        lambda: review.release_case(code, VIEWER, "x"),
        lambda: review.retry_case(code, VIEWER),
        lambda: review.approve_item(item, VIEWER, "x"),
        lambda: review.refuse_item(item, VIEWER, "x"),
    ):
        with pytest.raises(NotAllowedError):
            act()


def test_withdrawal_needs_two_others(staff: Staff) -> None:
    notice = staff.world.notify(staff.world.put(SECRET_PATH, b"noise"))
    staff.world.run()
    staff.world.direct(notice, "withdraw")
    staff.world.run()
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
    notice = staff.world.notify(staff.world.put(SECRET_PATH, b"noise"))
    staff.world.run()
    staff.world.direct(notice, "withdraw")
    staff.world.run()
    code = staff.world.case_of(notice).case.code
    (asked,) = staff.decisions(code)
    agree = staff.services.review.agree
    said = both(lambda: agree(asked.id, BOB), lambda: agree(asked.id, EVE))
    assert sorted(one.state for one in said) == ["approved", "asked"]
    assert sorted(staff.decisions(code)[0].approvals) == ["bob", "eve"]


def test_one_person_twice_at_once_counts_once(staff: Staff) -> None:
    notice = staff.world.notify(staff.world.put(SECRET_PATH, b"noise"))
    staff.world.run()
    staff.world.direct(notice, "withdraw")
    staff.world.run()
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


def test_approved_item_is_acted_on(staff: Staff) -> None:
    item = staff.review_item()
    assert status(staff, item) == "review"
    assert staff.services.review.approve_item(item, ANN, "clear").state == "approved"
    staff.world.run()
    assert status(staff, item) == "disabled"
    assert {"decision.approved", "item.approved"} <= set(staff.entries(item))


def test_refused_item_is_told_so(staff: Staff) -> None:
    item = staff.review_item()
    assert staff.services.review.refuse_item(item, ANN, "not ours to judge").state == "approved"
    staff.world.run()
    assert status(staff, item) == "refused"


def test_refusing_what_is_denied_needs_two(staff: Staff) -> None:
    item = staff.denied_item()
    assert staff.world.public_get(SHARED_URL) is None
    said = staff.services.review.refuse_item(item, ANN, "our own front page")
    assert (said.state, said.needs) == ("asked", 2)
    staff.world.run()
    assert status(staff, item) == "review"
    assert staff.services.lists.decisions()[0]["item"] == item
    staff.services.review.agree(said.decision, BOB)
    staff.world.run()
    assert status(staff, item) == "refused"
    assert staff.world.public_get(SHARED_URL) == b"shared"


def test_one_refuses_denied_as_approver_only(alone: Staff) -> None:
    item = alone.denied_item()
    with pytest.raises(NotAllowedError):
        alone.services.review.refuse_item(item, ANN, "our own")
    assert alone.services.review.refuse_item(item, BOB, "our own").state == "approved"


@pytest.mark.parametrize("which", ["review_item", "denied_item"])
def test_yes_and_no_at_once_make_one(staff: Staff, which: str) -> None:
    item = getattr(staff, which)()
    review = staff.services.review
    said = both(lambda: review.approve_item(item, ANN, "yes"), lambda: review.refuse_item(item, BOB, "no"))
    assert len([one for one in said if isinstance(one, NotPossibleError)]) == 1
    line = staff.world.db.find_item(item)
    assert line is not None
    assert len([d for d in staff.world.notice(line.notice.id).decisions if d.item == item]) == 1


def test_decided_item_is_decided(staff: Staff) -> None:
    item = staff.review_item()
    staff.services.review.approve_item(item, ANN, "yes")
    with pytest.raises(NotPossibleError, match="waiting"):
        staff.services.review.refuse_item(item, BOB, "no")
    staff.world.run()
    with pytest.raises(NotPossibleError, match="not in review"):
        staff.services.review.refuse_item(item, BOB, "no")


def test_withdrawn_item_cannot_be_decided(staff: Staff) -> None:
    notice = staff.world.notify(staff.world.put(SECRET_PATH, b"noise"))
    staff.world.run()
    staff.world.direct(notice, "withdraw")
    staff.world.run()
    with pytest.raises(NotPossibleError, match="took it back"):
        staff.services.review.approve_item(staff.world.notice(notice).items[0].id, ANN, "yes")


def test_item_that_is_not_there(staff: Staff) -> None:
    for act in (staff.services.review.approve_item, staff.services.review.refuse_item):
        with pytest.raises(NotThereError):
            act("nothing", ANN, "x")
    with pytest.raises(NotThereError):
        staff.services.review.agree("nothing", BOB)


def test_stuck_exposure_goes_on(staff: Staff) -> None:
    code = staff.blocked_case()
    case = staff.services.review.case_id(code)
    staff.stuck(case, "exposure", "purge")
    assert staff.services.review.retry_case(code, ANN).state == "approved"
    staff.world.run()
    work = staff.world.db.load_work(Track.EXPOSURE, case)
    assert work is not None
    assert work.state == "watch"


def test_stuck_evidence_goes_on(staff: Staff) -> None:
    code = staff.blocked_case()
    case = staff.services.review.case_id(code)
    staff.stuck(case, "evidence", "sealed")
    staff.services.review.retry_case(code, ANN)
    staff.world.run()
    work = staff.world.db.load_work(Track.EVIDENCE, case)
    assert work is not None
    assert work.state == "sealed"
    with pytest.raises(NotPossibleError, match="nothing is stuck"):
        staff.services.review.retry_case(code, ANN)


def test_denied_url_is_never_shown_in_full(staff: Staff) -> None:
    item = staff.denied_item()
    shown = repr(staff.services.lists.item(item, ANN))
    assert SHARED_PATH not in shown
    assert "img.example.net" not in shown
    assert "hxxps://img[.]example[.]net/…" in shown
