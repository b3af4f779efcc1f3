"""Whether a key may be used, and how new ones come in."""

from __future__ import annotations

import base64
import datetime as dt
import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.domain.clock import to_micros
from receiver.domain.ports import KeyOverlay
from receiver.verification.enrol import enrolment_statement, is_vouched_for, screen_fetched
from receiver.verification.errors import KeyFetchError, KeyRefusedError
from receiver.verification.jwk import load_jwks, public_members
from receiver.verification.jwks import KeySnapshot, check_jwks_url, fetch_keys, while_fresh
from receiver.verification.keys import KeyRecord, KeyRing, KeySource, KeyStatus, Vouch, key_fault, merge_overlay
from receiver.verification.mechanics import sign_bytes
from tests.vectors.keys import ed25519_key

NOW = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def record(name: str = "a", **changes: Any) -> KeyRecord:
    jwk = {**public_members(ed25519_key(name).public_key()), "kid": name}
    return replace(load_jwks("hotline-a", json.dumps({"keys": [jwk]}).encode())[0], **changes)


def row(of: KeyRecord, state: str = "active", **changes: Any) -> KeyOverlay:
    fields = {"not_before": None, "not_after": None, "revoked_at": None, **changes}
    return KeyOverlay(issuer=of.issuer, kid=of.key_id, **{"thumbprint": of.thumbprint, "state": state, **fields})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"status": KeyStatus.PENDING}, "key-pending"),
        ({"status": KeyStatus.RETIRED}, "key-retired"),
        ({"status": KeyStatus.REVOKED}, "key-revoked"),
        ({"revoked_at": NOW}, "key-revoked"),
        ({"revoked_at": NOW + SECOND}, None),
        ({"not_before": NOW}, None),
        ({"not_before": NOW + SECOND}, "key-not-yet-valid"),
        ({"not_after": NOW}, None),
        ({"not_after": NOW - SECOND}, "key-expired"),
    ],
)
def test_key_is_judged_now(changes: dict[str, Any], fault: str | None) -> None:
    assert key_fault(record(**changes), signed_at=NOW, now=NOW) == fault


def test_retired_key_vouches_for_earlier() -> None:
    retired = record(status=KeyStatus.RETIRED)
    assert key_fault(retired, signed_at=NOW - SECOND, now=NOW) is None
    assert key_fault(record(revoked_at=NOW), signed_at=NOW - SECOND, now=NOW) == "key-revoked"
    assert key_fault(record(status=KeyStatus.PENDING), signed_at=NOW - SECOND, now=NOW) == "key-pending"


def test_ring_refuses_ambiguous_keys() -> None:
    with pytest.raises(KeyRefusedError) as caught:
        KeyRing([record("a"), record("b", key_id="a"), record("a", key_id="c")])
    assert len(caught.value.reasons) == 2
    assert KeyRing([record("a")]).find("A") is None


STATUSES = st.sampled_from(list(KeyStatus))


@given(STATUSES, STATUSES)
def test_stricter_status_wins(ours: KeyStatus, theirs: KeyStatus) -> None:
    ours_record = record(status=ours)
    merged = merge_overlay([ours_record], [row(ours_record, theirs.value)]).records[0]
    order = list(KeyStatus)
    assert merged.status == order[max(order.index(ours), order.index(theirs))]


TIMES = st.none() | st.integers(0, 3600).map(lambda n: NOW + n * SECOND)


@given(TIMES, TIMES)
def test_stricter_date_wins(ours: datetime | None, theirs: datetime | None) -> None:
    micros = None if theirs is None else to_micros(theirs)
    mine = record(not_before=ours, not_after=ours, revoked_at=ours)
    merged = merge_overlay([mine], [row(mine, not_before=micros, not_after=micros, revoked_at=micros)]).records[0]
    given_times = [moment for moment in (ours, theirs) if moment is not None]
    assert merged.not_before == (max(given_times) if given_times else None)
    assert merged.not_after == merged.revoked_at == (min(given_times) if given_times else None)


def test_key_from_url_waits_for_confirmation() -> None:
    fetched = record(source=KeySource.URL)
    assert merge_overlay([fetched], []).records[0].status is KeyStatus.PENDING
    assert merge_overlay([fetched], [row(fetched)]).records[0].status is KeyStatus.ACTIVE
    assert merge_overlay([record()], []).records[0].status is KeyStatus.ACTIVE


def test_changed_key_is_alarm_not_update() -> None:
    merged = merge_overlay([record("b", key_id="a")], [row(record("a"))])
    assert merged.records == ()
    assert "is not the key that was registered" in merged.alarms[0]


def test_fetched_keys_cannot_take_over() -> None:
    known = [record("a"), record("b", issuer="hotline-b")]
    fetched = [
        record("a"),
        record("new"),
        record("other", key_id="a"),
        record("other", key_id="b"),
        record("b", key_id="mine"),
        record("new", key_id="again"),
    ]
    screened = screen_fetched(known, fetched)
    assert [kept.key_id for kept in screened.records] == ["a", "new"]
    assert len(screened.alarms) == 4


def vouched(by: str = "a", **changes: Any) -> KeyRecord:
    new = record("new", source=KeySource.URL)
    statement = enrolment_statement(replace(new, **changes))
    signature = sign_bytes(statement, algorithm=new.algorithm, private_key=ed25519_key(by))
    return replace(new, vouch=Vouch(key_id="a", signature=signature))


def test_active_key_vouches_for_new_one() -> None:
    assert is_vouched_for(vouched(), KeyRing([record("a")]), now=NOW)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (record("new"), record("a")),
        (vouched(by="b"), record("a")),
        (vouched(key_id="other"), record("a")),
        (vouched(issuer="hotline-b"), record("a")),
        (vouched(), record("a", issuer="hotline-b")),
        (vouched(), record("a", status=KeyStatus.PENDING)),
        (vouched(), record("a", status=KeyStatus.RETIRED)),
        (vouched(), record("a", status=KeyStatus.REVOKED)),
        (vouched(), record("a", revoked_at=NOW)),
        (vouched(), record("b")),
        (replace(vouched(), thumbprint=record("a").thumbprint), record("a")),
    ],
)
def test_other_words_do_not_vouch(new: KeyRecord, old: KeyRecord) -> None:
    assert not is_vouched_for(new, KeyRing([old]), now=NOW)


def test_fetched_set_is_read_as_pending() -> None:
    jwk = {
        **public_members(ed25519_key("a").public_key()),
        "kid": "a",
        "vouch": {"kid": "old", "sig": base64.urlsafe_b64encode(bytes(63)).decode().rstrip("=")},
    }
    body = json.dumps({"keys": [jwk]}).encode()
    snapshot = fetch_keys("hotline-a", "https://a.example/jwks.json", lambda _url: body, now=NOW)
    assert snapshot.records[0].source is KeySource.URL
    assert snapshot.records[0].vouch == Vouch(key_id="old", signature=bytes(63))


@pytest.mark.parametrize(
    ("not_after", "until"),
    [(None, 72), (NOW + dt.timedelta(hours=1), 1), (NOW + dt.timedelta(days=90), 72)],
)
def test_old_directory_lets_nothing_new_be_signed(not_after: datetime | None, until: int) -> None:
    """What came in time still verifies after days, so that a notice which waits is not lost."""
    snapshot = KeySnapshot(records=(record(not_after=not_after),), fetched_at=NOW)
    (key,) = while_fresh(snapshot)
    last, much_later = NOW + dt.timedelta(hours=until), NOW + dt.timedelta(days=30)
    assert key_fault(key, signed_at=last, now=last) is None
    assert key_fault(key, signed_at=last + SECOND, now=last + SECOND) == "key-expired"
    assert key_fault(key, signed_at=last, now=much_later) is None


def test_directory_away_is_told_without_url() -> None:
    def away(_url: str) -> bytes:
        raise ConnectionError("no route to https://a.example/jwks.json")

    with pytest.raises(KeyFetchError) as caught:
        fetch_keys("hotline-a", "https://a.example/jwks.json", away, now=NOW)
    assert "a.example" not in str(caught.value)


def test_directory_too_large_is_refused() -> None:
    with pytest.raises(KeyRefusedError, match="larger"):
        fetch_keys("hotline-a", "https://a.example/", lambda _url: b" " * 64_001, now=NOW)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/",
        "https:///x",
        "https://u:p@a.example/",
        "https://a.example/#x",
        "file:///etc/passwd",
        "https://[x/",
    ],
)
def test_odd_directory_url_is_refused(url: str) -> None:
    with pytest.raises(KeyFetchError):
        check_jwks_url(url)
