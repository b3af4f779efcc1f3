"""What a notice says, and what is refused with every fault named."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.domain.notice import Handling
from receiver.intake.errors import IntakeError
from receiver.intake.limits import Limits
from receiver.intake.notice import parse_notice
from tests.support import cpu_limit
from tests.unit.intake.bodies import NOW, PLAIN, faults, notice


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
    """What tries every beginning anew takes hours here."""
    bodies = [b"[]" * 500_000, b'""' * 500_000, b'{"extensions":["' + (b"A" * 1023 + b" ") * 1000 + b'"]}']
    for body in bodies:
        with cpu_limit(60), pytest.raises(IntakeError):
            parse_notice(body)
