"""Single items before people: approved, refused, decided once; and work that got stuck goes on."""

from __future__ import annotations

import pytest

from receiver.domain.status import Track
from receiver.services.admin_errors import NotAllowedError, NotPossibleError, NotThereError
from tests.doubles.staff import ANN, BOB, SECRET_PATH, SHARED_PATH, Staff
from tests.unit.services.reviewing import both

SHARED_URL = f"https://img.example.net{SHARED_PATH}"


def status(staff: Staff, item: str) -> str:
    line = staff.world.db.find_item(item)
    assert line is not None
    return line.item.status.value


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
