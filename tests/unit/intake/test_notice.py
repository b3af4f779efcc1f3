"""What a notice and a direction say, and what is refused with every fault named."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import time
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.domain.notice import Direction, Handling, Notice
from receiver.intake.direction import parse_direction
from receiver.intake.errors import IntakeError
from receiver.intake.handling import check_handling
from receiver.intake.limits import Limits
from receiver.intake.notice import parse_notice
from receiver.intake.times import parse_rfc3339

NOW = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)
PLAIN: dict[str, Any] = {
    "notice_id": "IWF-2026-000123",
    "issuer": "iwf",
    "issued_at": "2026-11-22T09:30:00Z",
    "category": "csam",
    "items": [{"item_id": "1", "url": "https://img.example.net/a/b.jpg"}],
}
DIRECTION = {
    "schema": "takedown-direction/1",
    "direction_id": "d-1",
    "issuer": "iwf",
    "issued_at": "2026-11-22T09:30:00Z",
    "direction": "withdraw",
}


def notice(limits: Limits = Limits(), **changes: Any) -> Notice:  # noqa: B008  # frozen
    return parse_notice(json.dumps({**PLAIN, **changes}).encode(), limits)


def direction(**changes: Any) -> Direction:
    return parse_direction(json.dumps({**DIRECTION, **changes}).encode())


def faults(caught: pytest.ExceptionInfo[IntakeError]) -> dict[str, str]:
    return {fault.pointer: fault.message for fault in caught.value.errors}


def test_defaults_are_those_of_the_protocol() -> None:
    parsed = notice()
    assert parsed.kind == "takedown"
    assert parsed.handling == Handling()
    assert (parsed.handling.act, parsed.handling.priority, parsed.handling.customer_notice) == (
        "remove",
        "normal",
        "withhold",
    )
    assert parsed.deadline_at is None
    assert parsed.extensions == {}
    assert parsed.issued_at == NOW


def test_urls_number_their_items() -> None:
    plain = {name: value for name, value in PLAIN.items() if name != "items"}
    parsed = parse_notice(json.dumps({**plain, "urls": ["https://a.example/", "https://b.example/"]}).encode())
    assert [(item.item_id, item.url) for item in parsed.items] == [
        ("1", "https://a.example/"),
        ("2", "https://b.example/"),
    ]


def test_url_is_kept_as_received() -> None:
    for url in (
        "HTTPS://Img.Example.NET:443/%7ea/../b?q#f",
        "javascript:alert(1)",
        "https://u:p@x/",
        " x ",
        "not a url",
        "\u202ex",
    ):
        assert notice(items=[{"item_id": "1", "url": url}]).items[0].url == url


def test_raw_bytes_are_kept() -> None:
    body = json.dumps(PLAIN, indent=7).encode()
    assert parse_notice(body).raw == body


def test_extensions_are_kept_unread() -> None:
    assert notice(extensions={"anything": [1, 2.5, None]}).extensions == {"anything": [1, 2.5, None]}


def test_hashes_are_compared_in_small_letters() -> None:
    item = {**PLAIN["items"][0], "hashes": {"sha256": "AB" * 32, "photodna": "Base64Kept=="}}
    assert notice(items=[item]).items[0].hashes == {"sha256": "ab" * 32, "photodna": "Base64Kept=="}


def test_all_faults_come_together() -> None:
    with pytest.raises(IntakeError) as caught:
        notice(kind="x", handling={"act": "y"}, items=[{"item_id": "", "url": 7}], surprise=1)
    assert set(faults(caught)) == {"/kind", "/handling/act", "/items/0/item_id", "/items/0/url", "/surprise"}
    assert (caught.value.status, caught.value.type) == (422, "invalid-notice")


def test_faults_repeat_no_value() -> None:
    with pytest.raises(IntakeError) as caught:
        notice(issuer="Hunter2", items=[{"item_id": "hunter two", "url": "hunter\x002"}], kind="hunter2")
    said = str(caught.value) + caught.value.detail + str(caught.value.errors)
    assert "hunter" not in said.lower()


def test_odd_member_names_are_shown_safely() -> None:
    with pytest.raises(IntakeError) as caught:
        notice(Limits(), **{"a/b~\n" + "x" * 300: 1})
    assert list(faults(caught)) == ["/a~1b~0?" + "x" * 35 + "..."]


def test_faults_are_bounded() -> None:
    with pytest.raises(IntakeError) as caught:
        notice(Limits(), **{f"x{n}": 1 for n in range(500)})
    assert len(caught.value.errors) == 50


def test_limits_are_the_operators() -> None:
    two = [{"item_id": str(n), "url": "https://a.example/"} for n in range(2)]
    assert len(notice(items=two).items) == 2
    with pytest.raises(IntakeError, match="invalid-notice"):
        notice(Limits(max_items=1), items=two)
    with pytest.raises(IntakeError) as caught:
        notice(Limits(max_body_bytes=10))
    assert caught.value.status == 413


def test_full_load_is_taken() -> None:
    items = [{"item_id": str(n), "url": "https://a.example/" + "p" * 3000} for n in range(250)]
    assert len(notice(items=items).items) == 250


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T09:30:00Z",
        "2026-11-22t10:30:00.0+01:00",
        "2026-11-22T09:30:00-00:00",
        "2026-11-21T09:31:00.000000000-23:59",
    ],
)
def test_times_mean_the_same_moment(text: str) -> None:
    assert parse_rfc3339(text) == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T09:30Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T09:30:00",
        "0001-01-01T00:00:00+01:00",
        "2026-11-22T09:30:00+24:00",
        "2026-11-22T09:30:61Z",
        "20261122T093000Z",
        "2026-11-22T09:30:00Z\n",
    ],
)
def test_other_texts_are_no_times(text: str) -> None:
    assert parse_rfc3339(text) is None


@given(st.datetimes(min_value=dt.datetime(2, 1, 1), max_value=dt.datetime(9998, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
@settings(deadline=None)
def test_any_written_time_is_read_back(moment: datetime) -> None:
    offset = moment.utcoffset()
    assert offset is not None
    whole = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=round(offset.total_seconds() / 60))))
    assert parse_rfc3339(whole.isoformat()) == whole


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from([*PLAIN, "urls", "handling", "deadline", "kind", "schema", "extensions"]), JSONISH)
)
@settings(max_examples=150, deadline=None)
def test_any_members_stay_in_family(changes: dict[str, Any]) -> None:
    with contextlib.suppress(IntakeError):
        notice(**changes)


@given(
    st.dictionaries(
        st.sampled_from(["item_id", "url", "hashes", "classification", "hosting_ip", "note", "first_seen"]), JSONISH
    )
)
@settings(max_examples=150, deadline=None)
def test_any_item_stays_in_family(changes: dict[str, Any]) -> None:
    with contextlib.suppress(IntakeError):
        notice(items=[{**PLAIN["items"][0], **changes}])


def keep_up(**changes: Any) -> Notice:
    fields = {"handling": {"act": "preserve_only", "police_reference": "P-1"}, "deadline": "2026-11-25T09:30:00Z"}
    return notice(**{**fields, **changes})


def test_keeping_up_with_all_conditions_is_taken() -> None:
    check_handling(keep_up(), may_keep_up=True, received_at=NOW)
    check_handling(notice(), may_keep_up=False, received_at=NOW)


@pytest.mark.parametrize(
    ("changes", "may", "pointer"),
    [
        ({}, False, "/handling/act"),
        ({"handling": {"act": "preserve_only"}}, True, "/handling/police_reference"),
        ({"deadline": None}, True, "/deadline"),
        ({"deadline": "2026-11-25T09:30:01Z"}, True, "/deadline"),
        ({"deadline": "2026-11-22T09:30:00Z"}, True, "/deadline"),
    ],
)
def test_keeping_up_otherwise_is_refused(changes: dict[str, Any], may: bool, pointer: str) -> None:
    with pytest.raises(IntakeError) as caught:
        check_handling(keep_up(**changes), may_keep_up=may, received_at=NOW)
    assert list(faults(caught)) == [pointer]
    assert caught.value.status == 422


def test_keep_up_hours_are_a_setting() -> None:
    with pytest.raises(IntakeError):
        check_handling(keep_up(), may_keep_up=True, received_at=NOW, limits=Limits(keep_up_max_hours=71))


def test_prose_is_not_content() -> None:
    note = "A long note in plain words, as people write them. " * 60
    item = {**PLAIN["items"][0], "note": note, "url": "https://a.example/" + "A" * 4000}
    assert notice(items=[item]).items[0].note == note


@pytest.mark.parametrize(
    ("note", "refused"),
    [
        ("see data:image/png;base64,AAAA", True),
        ("Data: three pictures, one film", False),
        ("A" * 1023, False),
        ("A" * 1024, True),
        ("A" * 1000 + "\n" + "A" * 24, True),
    ],
)
def test_content_in_notes_is_found(note: str, refused: bool) -> None:
    item = {**PLAIN["items"][0], "note": note}
    if refused:
        with pytest.raises(IntakeError, match="content-not-accepted"):
            notice(items=[item])
    else:
        assert notice(items=[item]).items[0].note == note


def test_worst_body_is_judged_quickly() -> None:
    bodies = [b"[]" * 500_000, b'""' * 500_000, b'{"extensions":["' + (b"A" * 1023 + b" ") * 1000 + b'"]}']
    begun = time.process_time()
    for body in bodies:
        with pytest.raises(IntakeError):
            parse_notice(body)
    assert time.process_time() - begun < 3


@pytest.mark.parametrize("kind", ["withdraw", "proceed", "hold", "release_hold", "allow_customer_notice"])
def test_every_direction_is_read(kind: str) -> None:
    parsed = direction(
        direction=kind, items=["1", "2"], reason="why\nso", until="2027-01-01T00:00:00Z", police_reference="P"
    )
    assert (parsed.direction, parsed.items) == (kind, ("1", "2"))


def test_direction_without_items_means_all() -> None:
    assert direction().items is None
    assert direction(items=None).items is None


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"schema": "takedown-notice/1"}, "/schema"),
        ({"direction": "delete"}, "/direction"),
        ({"direction_id": ""}, "/direction_id"),
        ({"items": []}, "/items"),
        ({"items": "1"}, "/items"),
        ({"items": [1]}, "/items/0"),
        ({"items": ["1", "1"]}, "/items/1"),
        ({"items": [[]]}, "/items/0"),
        ({"until": "tomorrow"}, "/until"),
        ({"reason": 7}, "/reason"),
        ({"issued_at": None}, "/issued_at"),
        ({"notice_id": "x"}, "/notice_id"),
    ],
)
def test_bad_direction_is_refused(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(IntakeError) as caught:
        direction(**changes)
    assert list(faults(caught)) == [pointer]
    assert caught.value.type == "invalid-direction"


def test_direction_without_schema_is_refused() -> None:
    body = json.dumps({name: value for name, value in DIRECTION.items() if name != "schema"}).encode()
    with pytest.raises(IntakeError):
        parse_direction(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b'{"schema":NaN}', b"\xff"])
def test_direction_garbage_stays_in_family(body: bytes) -> None:
    with pytest.raises(IntakeError):
        parse_direction(body)
