from __future__ import annotations

from pathlib import Path

import pytest

from receiver.domain.outcome import Outcome, Page, Table, Update
from receiver.domain.status import Track
from receiver.services import shown
from receiver.services.admin_errors import BadInputError, NotAllowedError, NotPossibleError
from receiver.services.persons import Person, Role
from tests.doubles.staff import ANN, BOB, Staff, make_staff

VIEWER = Person(name="vic", role=Role.VIEWER)


def test_dead_letter_is_sent_again(staff: Staff) -> None:
    notice = staff.dead_letter()
    heard = len(staff.world.mailbox.letters)
    assert [letter["told"] for letter in staff.services.lists.dead_letters()] == ["dead letter"]
    assert staff.services.desk.resend_dead(notice, ANN) == 1
    staff.world.run()
    assert len(staff.world.mailbox.letters) == heard + 1
    assert staff.services.lists.dead_letters() == []
    with pytest.raises(NotPossibleError):
        staff.services.desk.resend_dead(notice, ANN)
    assert "callback.resent" in staff.entries(notice)


def test_pause_holds_back_until_resumed(staff: Staff) -> None:
    staff.services.desk.pause("issuer:iwf", BOB)
    notice = staff.world.notify(staff.world.put("/a.png", b"noise"))
    staff.world.run()
    assert staff.world.statuses(notice) == ["received"]
    assert "Paused: issuer:iwf" in staff.services.lists.banner()[0]
    with pytest.raises(NotPossibleError):
        staff.services.desk.pause("issuer:iwf", BOB)
    assert [page.kind for page in staff.world.db.open_pages(5)] == ["paused"]
    staff.services.desk.resume("issuer:iwf", BOB)
    assert staff.world.db.open_pages(5) == ()
    staff.world.later(seconds=20)
    staff.world.run()
    assert staff.world.statuses(notice) == ["disabled"]
    assert staff.entries("issuer:iwf") == ["pause.set", "pause.lifted"]
    with pytest.raises(NotPossibleError):
        staff.services.desk.resume("issuer:iwf", BOB)


@pytest.mark.parametrize("scope", ["", "everything", "issuer:", "issuer:nobody", "adapter:a b", "all "])
def test_odd_pause_is_refused(staff: Staff, scope: str) -> None:
    with pytest.raises(BadInputError):
        staff.services.desk.pause(scope, BOB)


def test_page_is_acknowledged_once(staff: Staff) -> None:
    page = staff.raised_page()
    staff.services.desk.acknowledge(page, ANN)
    assert page not in [p["page"] for p in staff.services.lists.pages()]
    with pytest.raises(NotPossibleError):
        staff.services.desk.acknowledge(page, BOB)
    assert staff.entries(page) == ["page.acknowledged"]


def test_page_leads_to_its_case(staff: Staff) -> None:
    """At night nobody wants to search for it; what is about many cases leads to none."""
    notice = staff.world.notify(staff.world.put("/a.png", b"noise"))
    staff.world.run()
    case = staff.world.case_of(notice).case
    calls = [("door.leaking", case.id), ("place.failing", "store www"), ("immediate_risk", notice)]
    for kind, subject in calls:
        staff.world.commit(Outcome(pages=(Page(kind=kind, subject=subject, text="t"),)))
    found = {page["kind"]: page["case"] for page in staff.services.lists.pages() if page["kind"] in dict(calls)}
    assert found == {"door.leaking": case.code, "place.failing": None, "immediate_risk": None}


def test_stuck_notice_is_looked_at_again(staff: Staff) -> None:
    notice = staff.world.notify(staff.world.put("/a.png", b"noise"))
    where = {"track": "resolve", "subject": notice}
    values = {"state": "stuck", "stuck_from": "resolve", "due_at": None}
    staff.world.commit(Outcome(changes=(Update(table=Table.WORK, where=where, values=values),)))
    assert [(w["track"], w["notice"]) for w in staff.services.lists.stuck()] == [("resolve", notice)]
    staff.services.desk.retry_notice(notice, ANN)
    staff.world.run()
    work = staff.world.db.load_work(Track.RESOLVE, notice)
    assert work is not None
    assert work.state == "resolved"
    with pytest.raises(NotPossibleError):
        staff.services.desk.retry_notice(notice, ANN)


def test_viewers_change_nothing(staff: Staff) -> None:
    desk, page = staff.services.desk, staff.raised_page()
    for act in (
        lambda: desk.pause("all", ANN),
        lambda: desk.resume("all", ANN),
        lambda: desk.acknowledge(page, VIEWER),
        lambda: desk.resend_dead("x", VIEWER),
        lambda: desk.retry_notice("x", VIEWER),
    ):
        with pytest.raises(NotAllowedError):
            act()


def test_banner_names_loose_settings(tmp_path: Path) -> None:
    loose = make_staff(tmp_path, two_people=False, on_withdrawal="auto")
    words = " ".join(loose.services.lists.banner())
    assert "two_people = false" in words
    assert "on_withdrawal = auto" in words
    loose.close()


def test_looking_at_a_case_leaves_a_trace(staff: Staff) -> None:
    code = staff.blocked_case()
    case = staff.services.review.case_id(code)
    staff.services.lists.case(case, VIEWER)
    seen = staff.services.lists.case(case, ANN)
    assert [one["actor"] for one in seen["viewed"]] == ["vic", "ann"]
    assert staff.entries(case).count("case.viewed") == 2


def test_queue_has_nearest_deadline_first(staff: Staff) -> None:
    soon = staff.world.clock.at.timestamp() * 1_000_000
    for number, hours in enumerate((9, 3, 6)):
        staff.world.notify(
            staff.world.put(f"/{number}.txt", b"x"), category="npi", deadline_at=int(soon) + hours * 3_600_000_000
        )
    staff.world.run()
    assert [item["notice_id"] for item in staff.services.lists.items("review")] == ["N-2", "N-3", "N-1"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("see https://img.example.net/private/a.png now", "see hxxps://img[.]example[.]net/… now"),
        ("HTTP%3A//x", "HTTP%3A//x"),
        ("http:%2F%2Fhost/a", "(not a web address)"),
        ("plain words", "plain words"),
        ("x" * 600, "x" * 500),
    ],
)
def test_texts_from_elsewhere_are_masked(text: str, kept: str) -> None:
    assert shown.masked(text) == kept


@pytest.mark.parametrize(
    ("minutes", "words"), [(-5, "0 min"), (119, "119 min"), (120, "2 h"), (2879, "47 h"), (2880, "2 d")]
)
def test_age_is_said_in_words(minutes: int, words: str) -> None:
    assert shown.age(0, minutes * 60_000_000) == words
