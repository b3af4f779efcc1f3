"""Sealed columns open only in their own place."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.store import DataKeyError, Sealer, load_data_key
from receiver.store.codec import Codec

KEY = bytes(range(32))


def test_sealed_value_opens_in_place() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal("item:url:1", b"secret")
    assert b"secret" not in sealed
    assert sealer.open("item:url:1", sealed) == b"secret"
    assert sealer.seal("item:url:1", b"secret") != sealed


@pytest.mark.parametrize("place", ["item:url:2", "item:host:1", "case_url:url:1"])
def test_moved_value_does_not_open(place: str) -> None:
    sealer = Sealer(KEY)
    with pytest.raises(DataKeyError) as caught:
        sealer.open(place, sealer.seal("item:url:1", b"secret"))
    assert "secret" not in str(caught.value)


def test_every_changed_byte_is_seen() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal("t:c:1", b"secret")
    for index in range(len(sealed)):
        broken = bytearray(sealed)
        broken[index] ^= 1
        with pytest.raises(DataKeyError):
            sealer.open("t:c:1", bytes(broken))
    with pytest.raises(DataKeyError):
        sealer.open("t:c:1", b"")


def test_other_key_does_not_open() -> None:
    sealed = Sealer(KEY).seal("t:c:1", b"secret")
    with pytest.raises(DataKeyError, match="data_key_file"):
        Sealer(bytes(32)).open("t:c:1", sealed)
    with pytest.raises(DataKeyError):
        Sealer(b"short")


def test_keyed_hash_depends_on_all() -> None:
    sealer = Sealer(KEY)
    hashes = {
        sealer.hmac("url", b"a"),
        sealer.hmac("url", b"b"),
        sealer.hmac("locator", b"a"),
        Sealer(bytes(32)).hmac("url", b"a"),
    }
    assert len(hashes) == 4
    assert all(len(found) == 64 for found in hashes)
    assert sealer.hmac("url", b"a") == Sealer(KEY).hmac("url", b"a")


def test_key_file_is_hex_or_base64(tmp_path: Path) -> None:
    path = tmp_path / "data.key"
    for text in (KEY.hex().encode() + b"\n", base64.b64encode(KEY)):
        path.write_bytes(text)
        os.chmod(path, 0o600)
        assert load_data_key(path) == KEY


@pytest.mark.parametrize("text", [b"", b"zz" * 32, base64.b64encode(b"short"), "ü".encode() * 32])
def test_bad_key_file_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "data.key"
    path.write_bytes(text)
    os.chmod(path, 0o600)
    with pytest.raises(DataKeyError):
        load_data_key(path)


def test_readable_key_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.key"
    path.write_bytes(KEY.hex().encode())
    os.chmod(path, 0o640)
    with pytest.raises(DataKeyError, match="chmod 600"):
        load_data_key(path)
    with pytest.raises(DataKeyError, match="cannot read"):
        load_data_key(tmp_path / "none")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["b64", "_b64", "__b64", "a", ""]), inner),
    max_leaves=8,
)


@given(JSON)
def test_json_comes_back_as_given(value: object) -> None:
    codec = Codec(Sealer(KEY))
    row = codec.to_row("act", {"op_id": "1", "intent": {"value": value}})
    assert codec.from_row("act", "intent", row["intent"], "1") == {"value": value}


def test_url_hash_is_of_canonical_form() -> None:
    codec = Codec(Sealer(KEY))
    raw = codec.to_row("item", {"id": "1", "url": "HTTP://h/a", "canonical": "http://h/a"})
    later = codec.to_row("item", {"canonical": "http://h/b"}, {"id": "1"})
    assert raw["url_hmac"] == codec.url_hmac("http://h/a")
    assert later["url_hmac"] == codec.url_hmac("http://h/b")


def test_erased_columns_read_as_empty() -> None:
    codec = Codec(Sealer(KEY))
    assert codec.from_row("item", "url", None, "1") == ""
    assert codec.from_row("message", "body", None, "1") == b""
    assert codec.from_row("case_url", "way", None, "1/2") == {}
    assert codec.from_row("item", "canonical", None, "1") is None
