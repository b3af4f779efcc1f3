"""Recipients and identities: handed over, mistyped, odd."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

from receiver.vault import age, bech32
from receiver.vault.errors import AgeHeaderError, AgeKeyError, AgeNoMatchError
from tests.unit.vault.age_files import need, opened, pair, seal


def test_rewrap_hands_over_without_the_payload(tmp_path: Path) -> None:
    need(shutil.which("age"), "age")
    data = secrets.token_bytes(100_000)
    _, custodian, ours = pair()
    officer_text, officer, theirs = pair()
    header, payload, _ = seal(data, [pair()[2], ours])
    handed = age.rewrap(header, custodian, [theirs])
    assert opened(handed, payload, officer) == data
    with pytest.raises(AgeNoMatchError):
        opened(handed, payload, custodian)
    (tmp_path / "key").write_text(officer_text)
    (tmp_path / "case.age").write_bytes(handed + payload)
    subprocess.run(["age", "-d", "-i", tmp_path / "key", "-o", tmp_path / "out", tmp_path / "case.age"], check=True)
    assert (tmp_path / "out").read_bytes() == data


def test_two_recipients_make_a_short_header() -> None:
    header, _, _ = seal(b"", [pair()[2], pair()[2]])
    assert len(header) == 266
    assert age.parse_header(header) == 2


def test_header_check_wants_its_own_file_key() -> None:
    header, _, file_key = seal(b"", [pair()[2]])
    age.check_header(header, file_key)
    with pytest.raises(AgeHeaderError):
        age.check_header(header, bytes(16))


def test_no_recipients_is_refused() -> None:
    with pytest.raises(ValueError, match="never be opened"):
        age.make_header(bytes(16), [])


def test_secret_stays_out_of_repr_and_errors() -> None:
    text, identity, _ = pair()
    assert identity.secret.hex() not in repr(identity)
    assert repr(identity.secret) not in repr(identity)
    damaged = text[:-1] + ("Q" if text[-1] != "Q" else "P")
    with pytest.raises(AgeKeyError) as caught:
        age.parse_identity(damaged)
    assert damaged[16:30] not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_every_mistyped_recipient_is_refused() -> None:
    _, _, recipient = pair()
    text = recipient.text
    for at in range(len(text)):
        with pytest.raises(AgeKeyError):
            age.parse_recipient(text[:at] + ("q" if text[at] != "q" else "p") + text[at + 1 :])


@pytest.mark.parametrize(
    "text",
    ["", "age1", "age", "1", "agé1qqqqqqqq", "AGE-SECRET-KEY-1", "age1" + "q" * 58, bech32.encode("age", bytes(31))],
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(AgeKeyError):
        age.parse_recipient(text)


def test_wrong_kind_or_case_is_refused() -> None:
    text, _, recipient = pair()
    for wrong in (text, recipient.text.upper(), recipient.text[:10] + recipient.text[10:].upper()):
        with pytest.raises(AgeKeyError):
            age.parse_recipient(wrong)
    for wrong in (recipient.text, text.lower()):
        with pytest.raises(AgeKeyError):
            age.parse_identity(wrong)


@pytest.mark.parametrize(
    "point",
    [
        "00" * 32,
        "01" + "00" * 31,
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ],
)
def test_low_order_recipient_is_refused(point: str) -> None:
    with pytest.raises(AgeKeyError, match="low-order"):
        age.parse_recipient(bech32.encode("age", bytes.fromhex(point)))
