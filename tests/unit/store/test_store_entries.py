"""Ledger entries as rows: the text of a detail is put together and cut out, and must be what the codec makes of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from receiver.domain.entry import Entry, LedgerNote, make_entry, verify_entry
from receiver.domain.ids import new_id
from receiver.domain.ports import StoredEntry
from receiver.store.codec import Codec
from receiver.store.crypto import Sealer
from receiver.store.entries import checkable_entry, detail_row, entry_row, stored_entry

PLAIN: tuple[Mapping[str, Any], ...] = (
    {},
    {"op_id": "x", "round": 1, "doors": ["a", {"b": None}], "still": True},
    {"text": 'say "so"\n\\', "größe": "ü€"},
    {"salt_actor": "x", "salt_detail": {"detail": "}}"}},
)
SPELLED_OTHERWISE: tuple[Mapping[str, Any], ...] = (
    {"raw": b"\xff\x00"},
    {"way": {"b64": "/w=="}, "deep": [{"b64": "x"}]},
    {"way": {"_b64": "/w=="}},
    {"said": "b64"},
    {"text": "\u0001"},
)
ACTORS = ("worker", "iwf:ä", 'o"brien', "a\\b", "")


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(Sealer(secrets.token_bytes(32)))


def noted(detail: Mapping[str, Any], actor: str = "worker") -> Entry:
    return make_entry(LedgerNote(kind="k", subject="s", actor=actor, detail=detail), id=new_id(), at=7)


def columns(codec: Codec, entry: Entry, *, data: bytes | None = None) -> tuple[Any, ...]:
    """As `ENTRY_COLUMNS` selects them; `data` is the text of the detail, where a test changed it."""
    sealed = detail_row(codec, entry, 7)["data"]
    if data is not None:
        sealed = codec.sealer.seal(f"entry_detail:data:{entry.id}", data)
    return (*(entry_row(entry) | {"seq": 3}).values(), sealed)


def text_of(codec: Codec, entry: Entry, row: Mapping[str, Any]) -> bytes:
    return codec.sealer.open(f"entry_detail:data:{entry.id}", row["data"])


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("detail", [*PLAIN, *SPELLED_OTHERWISE], ids=str)
def test_detail_text_is_the_codecs(codec: Codec, detail: Mapping[str, Any], actor: str) -> None:
    entry = noted(detail, actor)
    parts = dict(entry.detail) | {"detail": json.loads(entry.detail_json)}
    by_codec = codec.to_row("entry_detail", {"entry": entry.id, "data": parts, "created_at": 7})
    assert text_of(codec, entry, detail_row(codec, entry, 7)) == text_of(codec, entry, by_codec)


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("detail", [*PLAIN, *SPELLED_OTHERWISE], ids=str)
def test_written_entry_verifies_both_ways(codec: Codec, detail: Mapping[str, Any], actor: str) -> None:
    entry = noted(detail, actor)
    row = columns(codec, entry)
    read, checkable = stored_entry(codec, row), checkable_entry(codec, row)
    assert (verify_entry(read), verify_entry(checkable)) == ((), ())
    assert read.detail is not None
    assert read.detail["detail"] == json.loads(entry.detail_json)
    assert without_detail(read) == without_detail(checkable)


def without_detail(entry: StoredEntry) -> dict[str, Any]:
    return {name: value for name, value in asdict(entry).items() if name != "detail"}


@pytest.mark.parametrize("detail", PLAIN, ids=str)
def test_plain_detail_is_cut_out(codec: Codec, detail: Mapping[str, Any]) -> None:
    entry = noted(detail)
    checkable = checkable_entry(codec, columns(codec, entry))
    assert checkable.detail == entry.detail


@pytest.mark.parametrize("detail", SPELLED_OTHERWISE, ids=str)
def test_bytes_in_a_detail_are_parsed(codec: Codec, detail: Mapping[str, Any]) -> None:
    entry = noted(detail)
    checkable = checkable_entry(codec, columns(codec, entry))
    assert checkable.detail is not None
    assert checkable.detail["detail"] == json.loads(entry.detail_json)


def test_every_changed_letter_is_found(codec: Codec) -> None:
    """Rewritten with the data key: whatever still reads must not fit, and the same value in another spelling may."""
    entry = noted({"op_id": "x", "round": 1})
    data = text_of(codec, entry, detail_row(codec, entry, 7))
    missed = []
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            found = verify_entry(checkable_entry(codec, columns(codec, entry, data=changed)))
        except ValueError:
            continue
        if not found:
            missed.append((at, changed))
    assert missed == []


def test_salt_has_one_spelling(codec: Codec) -> None:
    """The last letter of 32 bytes in base64 holds two bits that say nothing."""
    entry = noted({"op_id": "x"})
    data = text_of(codec, entry, detail_row(codec, entry, 7))
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    at = data.rindex(b'="}}') - 1
    other = alphabet[alphabet.index(data[at]) ^ 1]
    with pytest.raises(ValueError, match="base64"):
        checkable_entry(codec, columns(codec, entry, data=data[:at] + bytes([other]) + data[at + 1 :]))


def test_erased_detail_is_no_problem(codec: Codec) -> None:
    row = (*columns(codec, noted({"a": 1}))[:-1], None)
    assert checkable_entry(codec, row).detail is None
    assert verify_entry(checkable_entry(codec, row)) == ()
