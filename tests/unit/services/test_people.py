from __future__ import annotations

import pytest

from receiver.services.admin_errors import BadInputError, NotPossibleError, NotThereError, TooManyTriesError
from receiver.services.passwords import one_time_password, refuse_weak
from receiver.services.persons import Role
from receiver.services.sign_in import TRIES_PER_NAME
from tests.doubles.staff import PASSWORD, Staff


def enter(staff: Staff, name: str, password: str) -> str:
    return staff.services.sign_in.sign_in(name, password, address="192.0.2.1")


def test_one_time_password_opens_nothing_else(staff: Staff) -> None:
    assert staff.services.sign_in.nobody_yet()
    once = staff.services.people.add_user("ann", "approver", actor="cli:root")
    assert not staff.services.sign_in.nobody_yet()
    person = staff.services.sign_in.by_session(enter(staff, "ann", once))
    assert person is not None
    assert (person.role, person.must_change, person.roles()) == (None, True, [])


def test_changing_password_ends_other_sessions(staff: Staff) -> None:
    once = staff.services.people.add_user("ann", "approver", actor="cli:root")
    first = enter(staff, "ann", once)
    other = enter(staff, "ann", once)
    person = staff.services.sign_in.by_session(first)
    assert person is not None
    fresh = staff.services.sign_in.change_password(person, once, PASSWORD)
    assert [staff.services.sign_in.by_session(s) for s in (first, other)] == [None, None]
    now = staff.services.sign_in.by_session(fresh)
    assert now is not None
    assert now.role is Role.APPROVER
    with pytest.raises(BadInputError):
        enter(staff, "ann", once)


@pytest.mark.parametrize(
    "password", ["short", "a" * 40, "abababababababababab", "ann is a fine name to use", "x" * 257]
)
def test_weak_password_is_refused(password: str) -> None:
    with pytest.raises(BadInputError):
        refuse_weak(password, "ann")


def test_long_sentence_is_a_password() -> None:
    refuse_weak("fünf Wörter sind leicht zu merken", "ann")
    refuse_weak(one_time_password(), "ann")


def test_same_password_again_is_refused(staff: Staff) -> None:
    staff.account("ann", "viewer")
    with pytest.raises(BadInputError, match="another one"):
        staff.services.people.set_password("ann", PASSWORD, actor="ann")


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "<b>", "x" * 65, "Ann"])
def test_odd_names_are_refused(staff: Staff, name: str) -> None:
    with pytest.raises(BadInputError):
        staff.services.people.add_user(name, "viewer", actor="cli:root")


def test_account_is_made_once(staff: Staff) -> None:
    staff.services.people.add_user("ann", "viewer", actor="cli:root")
    with pytest.raises(NotPossibleError):
        staff.services.people.add_user("ann", "administrator", actor="cli:root")
    with pytest.raises(BadInputError, match="viewer, reviewer"):
        staff.services.people.add_user("bob", "root", actor="cli:root")
    with pytest.raises(NotThereError):
        staff.services.people.disable("carl", actor="cli:root")


def test_disabled_account_is_out_at_once(staff: Staff) -> None:
    staff.account("ann", "approver")
    session, token = enter(staff, "ann", PASSWORD), staff.services.people.issue_token("ann", "t", "act", 5, actor="ann")
    staff.services.people.disable("ann", actor="cli:root")
    assert staff.services.sign_in.by_session(session) is None
    assert staff.services.sign_in.by_token(token) is None
    with pytest.raises(BadInputError):
        enter(staff, "ann", PASSWORD)
    with pytest.raises(NotPossibleError):
        staff.services.people.issue_token("ann", "t", "act", 5, actor="cli:root")
    once = staff.services.people.reset("ann", actor="cli:root")
    assert staff.services.sign_in.by_session(enter(staff, "ann", once)) is not None


def test_sessions_end_by_themselves(staff: Staff) -> None:
    staff.account("ann", "viewer")
    idle = enter(staff, "ann", PASSWORD)
    staff.world.clock.move(minutes=29)
    assert staff.services.sign_in.by_session(idle) is not None
    staff.world.clock.move(minutes=29)
    assert staff.services.sign_in.by_session(idle) is not None
    staff.world.clock.move(minutes=31)
    assert staff.services.sign_in.by_session(idle) is None
    busy = enter(staff, "ann", PASSWORD)
    for _ in range(35):
        staff.world.clock.move(minutes=20)
        assert staff.services.sign_in.by_session(busy) is not None
    staff.world.clock.move(minutes=21)
    assert staff.services.sign_in.by_session(busy) is None


def test_guessing_is_slowed_down(staff: Staff) -> None:
    staff.account("ann", "viewer")
    for _ in range(TRIES_PER_NAME):
        with pytest.raises(BadInputError):
            enter(staff, "ann", "a wrong password of some length")
    with pytest.raises(TooManyTriesError) as caught:
        enter(staff, "ann", PASSWORD)
    assert 0 < caught.value.wait_seconds <= 900


def test_tokens_end_and_have_a_scope(staff: Staff) -> None:
    staff.account("ann", "approver")
    people, sign_in = staff.services.people, staff.services.sign_in
    roles = {}
    for scope in ("act", "read", "metrics"):
        person = sign_in.by_token(people.issue_token("ann", "t", scope, 5, actor="ann"))
        assert person is not None
        roles[scope] = person.roles()
    assert roles == {
        "act": ["viewer", "reviewer", "approver", "metrics"],
        "read": ["viewer", "metrics"],
        "metrics": ["metrics"],
    }
    token = people.issue_token("ann", "last", "act", 5, actor="ann")
    staff.world.clock.move(days=5)
    assert sign_in.by_token(token) is None
    for scope, days in (("all", 5), ("act", 0), ("act", 367)):
        with pytest.raises(BadInputError):
            people.issue_token("ann", "t", scope, days, actor="ann")


def test_only_hashes_are_kept(staff: Staff) -> None:
    staff.account("ann", "viewer")
    token = staff.services.people.issue_token("ann", "t", "act", 5, actor="ann")
    session = enter(staff, "ann", PASSWORD)
    with staff.world.db._db.read() as conn:
        rows = [
            repr(row)
            for table in ("admin_user", "session", "api_token")
            for row in conn.exec_driver_sql(f"SELECT * FROM {table}").all()
        ]
    text = "".join(rows)
    assert token not in text
    assert session not in text
    assert PASSWORD not in text
    assert "$argon2id$" in text


def test_token_is_revoked_by_its_owner(staff: Staff) -> None:
    staff.account("ann", "viewer")
    staff.account("bob", "viewer")
    token = staff.services.people.issue_token("ann", "t", "act", 5, actor="ann")
    (row,) = staff.services.people.tokens("ann")
    with pytest.raises(NotThereError):
        staff.services.people.revoke_token(row.id, actor="bob", owner="bob")
    staff.services.people.revoke_token(row.id, actor="ann", owner="ann")
    assert staff.services.sign_in.by_token(token) is None


def test_every_change_is_in_the_ledger(staff: Staff) -> None:
    people = staff.services.people
    people.add_user("ann", "viewer", actor="cli:root")
    people.set_role("ann", "approver", actor="cli:root")
    people.set_password("ann", PASSWORD, actor="ann")
    people.issue_token("ann", "t", "act", 5, actor="ann")
    people.revoke_token(people.tokens("ann")[0].id, actor="ann")
    people.disable("ann", actor="cli:root")
    people.reset("ann", actor="cli:root")
    assert staff.entries("admin_user") == [
        "person.added",
        "person.role",
        "person.password",
        "token.issued",
        "token.revoked",
        "person.disabled",
        "person.reset",
    ]
