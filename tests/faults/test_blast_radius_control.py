"""What the host can still do while a stolen key is used, and what the thief cannot use it for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.domain.status import Track
from receiver.net.errors import SendError
from receiver.net.sender import GuardedSender
from receiver.services.admin_errors import StaffError
from receiver.services.persons import Person, Role
from receiver.services.review import ReviewService
from receiver.steps.read_status import read_status
from receiver.steps.receive import receive_notice
from receiver.steps.refusals import RefusedError
from receiver.verification.enrol import screen_fetched
from receiver.verification.keys import KeySource
from tests.doubles import databases
from tests.doubles.siege import SITE, Siege, make_siege, put
from tests.doubles.web_side import Sender, notice_json, to_bytes

sqlite_database, sqlite_template = databases.sqlite_database, databases.sqlite_template


@pytest.fixture
def siege(sqlite_database: databases.Database, tmp_path: Path) -> Iterator[Siege]:
    opened = sqlite_database.open()
    yield make_siege(tmp_path, opened, acts=1000, customers=50)
    opened.close()


def shop(siege: Siege, count: int = 3, word: str = "p") -> list[str]:
    return [put(siege, SITE, f"/{word}/{n}.jpg", f"noise {word} {n}".encode()) for n in range(count)]


# --- stopping


@pytest.mark.parametrize("scope", ["all", "issuer:hotline", "adapter:www"])
def test_pause_stops_what_waits(siege: Siege, scope: str) -> None:
    notice = siege.send(*shop(siege))
    siege.pause(scope)
    siege.world.run()
    assert siege.down() == 0
    assert siege.told(notice) == [("received", None)] * 3
    siege.world.db.lift_pause(scope)
    siege.world.later(seconds=16)
    siege.world.run()
    assert siege.down() == 3


@pytest.mark.parametrize("scope", ["all", "adapter:www"])
def test_pause_stops_what_is_in_flight(siege: Siege, scope: str) -> None:
    """The notice is read and its cases are leased when somebody presses pause: not one more act follows."""
    siege.send(*shop(siege))
    (work,) = siege.world.db.claim(siege.world.worker, Track.RESOLVE, 0, 1)
    leased = siege.world.step(work)
    siege.pause(scope)
    before = (siege.down(), len(siege.world.memory.blocks))
    for row in leased:
        assert not siege.world.step(row)
    siege.world.run()
    assert (siege.down(), len(siege.world.memory.blocks)) == before


def test_pause_of_the_thief_leaves_others_alone(siege: Siege) -> None:
    siege.pause("issuer:hotline")
    siege.send(*shop(siege, 3, "thief"))
    honest = siege.send(*shop(siege, 1, "real"), issuer="other")
    siege.world.run()
    assert siege.told(honest, "other") == [("disabled", None)]
    assert siege.down() == 1


def test_revoked_key_stops_stored_notices(siege: Siege) -> None:
    siege.pause("issuer:hotline")
    notice = siege.send(*shop(siege))
    siege.world.run()
    siege.revoke()
    siege.world.db.lift_pause("issuer:hotline")
    siege.world.later(seconds=16)
    siege.world.run()
    assert siege.down() == 0
    assert siege.told(notice) == [("failed", "not_verified_again")] * 3
    assert "notice.not_verified" in siege.pages()
    assert siege.answer(*shop(siege)) == 401


def test_revoked_key_gives_no_more_directions(siege: Siege) -> None:
    notice = siege.send(*shop(siege))
    siege.world.run()
    siege.direct(notice, "withdraw")
    siege.revoke()
    siege.world.run()
    assert siege.down() == 3
    assert [status for status, _ in siege.told(notice)] == ["disabled"] * 3
    with pytest.raises(RefusedError) as refused:
        siege.direct(notice, "withdraw")
    assert refused.value.status == 401


def test_approval_revives_no_revoked_notice(siege: Siege) -> None:
    """A reviewer's yes to what a thief left in review is not enough once the key is revoked."""
    notice = siege.send(*shop(siege, 1), category="npi")
    siege.world.run()
    siege.revoke()
    (item,) = siege.world.notice(siege.row(notice)).items
    siege.world.decide("approve", item=item.id)
    siege.world.run()
    assert siege.down() == 0


# --- what withdraw, proceed and hold can do


def test_withdrawing_brings_nothing_back_alone(siege: Siege) -> None:
    notice = siege.send(*shop(siege))
    siege.world.run()
    siege.direct(notice, "withdraw")
    siege.world.run()
    assert siege.down() == 3
    assert siege.told(notice) == [("review", "withdrawal")] * 3
    assert len(siege.world.db.list_decisions("asked", limit=10)) == 3


def test_withdrawing_destroys_no_evidence(siege: Siege) -> None:
    notice = siege.send(*shop(siege, 1))
    siege.world.run()
    sealed = dict(siege.world.vault.sealed)
    siege.direct(notice, "withdraw")
    siege.world.later(days=40)
    siege.world.run()
    assert siege.world.vault.sealed.items() >= sealed.items()
    assert len(siege.world.memory.blocks) == 1


def test_withdrawing_leaves_what_others_asked_for(siege: Siege) -> None:
    (url,) = shop(siege, 1)
    honest = siege.send(url, issuer="other")
    siege.world.run()
    mine = siege.send(url)
    siege.world.run()
    siege.direct(mine, "withdraw")
    siege.world.run()
    assert siege.told(mine) == [("withdrawn", None)]
    assert siege.told(honest, "other") == [("disabled", None)]
    assert siege.down() == 1


def test_leaving_up_needs_the_hosts_permission(siege: Siege) -> None:
    """Else a thief could keep up what it names, and only `proceed` or the deadline would take it down."""
    handling = {"act": "preserve_only", "police_reference": "P-1"}
    ends = (siege.world.clock.now()).isoformat()
    assert siege.answer(*shop(siege), handling=handling, deadline=ends) == 422


def test_hold_before_the_decision_is_kept(siege: Siege) -> None:
    """The item has no case yet when police ask to hold it; the case that comes later must know."""
    notice = siege.send(*shop(siege, 1), category="npi")
    siege.world.run()
    siege.direct(notice, "hold")
    siege.world.run()
    (item,) = siege.world.notice(siege.row(notice)).items
    siege.world.decide("approve", item=item.id)
    siege.world.run()
    siege.world.later(days=40)
    siege.world.run()
    assert len(siege.world.memory.blocks) == 1
    assert not siege.world.memory.removed
    siege.direct(notice, "release_hold")
    siege.world.later(days=2)
    siege.world.run()
    assert siege.world.memory.removed


def test_hold_released_before_the_case_is_gone(siege: Siege) -> None:
    notice = siege.send(*shop(siege, 1), category="npi", handling={"legal_hold": True})
    siege.world.run()
    siege.direct(notice, "release_hold")
    siege.world.run()
    (item,) = siege.world.notice(siege.row(notice)).items
    siege.world.decide("approve", item=item.id)
    siege.world.run()
    assert siege.world.case_of(siege.row(notice)).holds == ()


# --- whose name, whose eyes


def test_nobody_signs_in_anothers_name(siege: Siege) -> None:
    body = to_bytes(notice_json(issuer="other"))
    request = siege.web.hotline.request("POST", "/v1/notices", body, now=siege.world.clock.now())
    with pytest.raises(RefusedError) as refused:
        receive_notice(request, siege.web.ports)
    assert refused.value.status in (401, 403, 422)
    assert siege.web.rows("notice") == 0


def ask(siege: Siege, notice_id: str) -> RefusedError:
    request = siege.web.hotline.request("GET", f"/v1/notices/{notice_id}", now=siege.world.clock.now())
    with pytest.raises(RefusedError) as refused:
        read_status(request, notice_id, siege.web.ports)
    return refused.value


def test_others_notices_look_like_none(siege: Siege) -> None:
    theirs = siege.send(*shop(siege, 1), issuer="other")
    there, nowhere = ask(siege, theirs), ask(siege, "N-999")
    assert there.status == nowhere.status == 404
    assert (there.title, there.detail) == (nowhere.title, nowhere.detail)
    with pytest.raises(RefusedError) as refused:
        siege.direct(theirs, "withdraw")
    assert refused.value.status == 404


def test_answers_tell_no_customers_apart(siege: Siege) -> None:
    """Handing in says nothing of what is hosted; only the outcome does, and each counts against the limits."""
    assert siege.answer(put(siege, SITE, "/a.jpg")) == 202
    assert siege.answer("https://nobody.example.org/a.jpg") == 202


@pytest.mark.parametrize("member", ["callback_url", "keys_url", "jku", "x5u", "policy"])
def test_notices_name_no_address_to_call(siege: Siege, member: str) -> None:
    assert siege.answer(*shop(siege, 1), **{member: "http://169.254.169.254/"}) == 422


INSIDE = (
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest/",
    "https://0.0.0.0/",
    "https://100.64.0.1/",
    "https://[fd00::1]/",
    "https://[fe80::1]/",
    "https://localhost/",
)


@pytest.mark.parametrize("url", INSIDE)
def test_nothing_is_called_inside(url: str) -> None:
    with pytest.raises(SendError):
        GuardedSender().post(url, headers={"Content-Type": "application/json"}, body=b"{}")


def test_keys_url_makes_no_key_good(siege: Siege) -> None:
    """Whoever owns the key server adds a key and takes over ids: none may sign before people say so."""
    thief = Sender(issuer="hotline", key_id="hotline-2")
    takeover = Sender(issuer="hotline", key_id="hotline-1")
    foreign = Sender(issuer="hotline", key_id="other-1")
    fetched = [replace(one.record(), source=KeySource.URL) for one in (thief, takeover, foreign)]
    screened = screen_fetched(siege.register.records, fetched)
    assert [record.key_id for record in screened.records] == ["hotline-2"]
    assert len(screened.alarms) == 2
    siege.register.records += screened.records
    for sender in (thief, takeover, foreign):
        request = sender.request("POST", "/v1/notices", to_bytes(notice_json()), now=siege.world.clock.now())
        with pytest.raises(RefusedError) as refused:
            receive_notice(request, siege.web.ports)
        assert refused.value.status == 401


# --- one person at the host


def test_stolen_reviewer_brings_nothing_back(siege: Siege) -> None:
    """A session of one reviewer may ask and approve; what comes up again needs another person, once each."""
    notice = siege.send(*shop(siege, 2))
    siege.world.run()
    people = ReviewService(
        reads=siege.world.db,
        committer=siege.web.committer,
        policy=siege.world.policy,
        clock=siege.world.clock,
    )
    mallory = Person(name="mallory", role=Role.REVIEWER)
    boss = Person(name="boss", role=Role.APPROVER)
    code = siege.world.cases_of(siege.row(notice))[0].case.code
    said = people.release_case(code, mallory, "let it go")
    for again in (mallory, replace(mallory, role=Role.APPROVER)):
        with pytest.raises(StaffError):
            people.agree(said.decision, again)
    with pytest.raises(StaffError):
        people.release_case(code, mallory, "again")
    siege.world.run()
    assert siege.down() == 2
    people.agree(said.decision, boss)
    siege.world.run()
    assert siege.down() == 1
