from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from receiver.ledger.checkpoint import Checkpoint, Signer, Verifier, load_ledger_key
from receiver.ledger.errors import LedgerKeyError, LedgerNoteError

NOW = dt.datetime(2026, 11, 22, 12, 0, 0, 412_999, tzinfo=dt.UTC)
ROOT = hashlib.sha256(b"root").digest()
NAME = "host.example/ledger"

# The example of the signed-note format, made by the format's own authors.
KNOWN_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
KNOWN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


@pytest.fixture
def signer() -> Signer:
    return Signer(NAME, Ed25519PrivateKey.generate())


def signed_text(signer: Signer, text: str) -> str:
    """A note over any text, signed with the true key."""
    public = signer._key.public_key().public_bytes_raw()
    keyed = hashlib.sha256(NAME.encode() + b"\n\x01" + public).digest()[:4] + signer._key.sign(text.encode())
    return f"{text}\n— {NAME} {base64.b64encode(keyed).decode()}\n"


def test_known_note_is_accepted_as_signed() -> None:
    # The signature is good; that the text is no checkpoint is found after it.
    with pytest.raises(LedgerNoteError, match="form"):
        Verifier(KNOWN_VKEY).open(KNOWN_NOTE)
    with pytest.raises(LedgerNoteError, match="not signed"):
        Verifier(KNOWN_VKEY).open(KNOWN_NOTE.replace("answer", "enswer"))


def test_note_is_read_back(signer: Signer) -> None:
    found = Verifier(signer.vkey).open(signer.sign(size=7, root=ROOT, now=NOW))
    assert found == Checkpoint(origin=NAME, size=7, root=ROOT, at=found.at)
    assert found.at % 1_000_000 == 412_000
    assert found.text.split("\n")[:3] == [NAME, "7", base64.b64encode(ROOT).decode()]


def test_witness_signatures_may_stand_beside(signer: Signer) -> None:
    note = signer.sign(size=7, root=ROOT, now=NOW)
    text, _, own = note.rpartition("\n\n")
    other = Signer("witness.example", Ed25519PrivateKey.generate()).sign(size=7, root=ROOT, now=NOW)
    witness = other.rpartition("\n\n")[2]
    assert Verifier(signer.vkey).open(f"{text}\n\n{witness}{own}").size == 7
    with pytest.raises(LedgerNoteError):
        Verifier(signer.vkey).open(f"{text}\n\n{witness}")


def test_every_flipped_bit_of_a_note_is_found(signer: Signer) -> None:
    verifier, note = Verifier(signer.vkey), signer.sign(size=7, root=ROOT, now=NOW).encode()
    for at in range(len(note)):
        for bit in (1, 2, 4, 32):
            flipped = note[:at] + bytes([note[at] ^ bit]) + note[at + 1 :]
            with pytest.raises(LedgerNoteError):
                verifier.open(flipped.decode("utf-8", "replace"))


def test_same_name_other_key_is_refused(signer: Signer) -> None:
    other = Signer(NAME, Ed25519PrivateKey.generate())
    with pytest.raises(LedgerNoteError, match="not signed"):
        Verifier(signer.vkey).open(other.sign(size=7, root=ROOT, now=NOW))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (0, "other.example"),
        (1, "07"),
        (1, "-1"),
        (1, "7 "),
        (1, ""),
        (1, "\u0667"),
        (1, "1" * 30),
        (2, base64.b64encode(ROOT[:31]).decode()),
        (2, "?"),
        (3, "time yesterday"),
        (3, "time 2026-11-22T12:00:00"),
        (3, "2026-11-22T12:00:00Z"),
        (3, "time 2026-11-22T12:00:00.000Z\nmore"),
    ],
)
def test_signed_nonsense_is_refused(signer: Signer, line: int, value: str) -> None:
    lines = [NAME, "7", base64.b64encode(ROOT).decode(), "time 2026-11-22T12:00:00.000Z"]
    assert Verifier(signer.vkey).open(signed_text(signer, "\n".join(lines) + "\n")).size == 7
    lines[line] = value
    with pytest.raises(LedgerNoteError):
        Verifier(signer.vkey).open(signed_text(signer, "\n".join(lines) + "\n"))


@pytest.mark.parametrize("note", ["", "\n", "\n\n", "a\n\nb", "a\n\n— \n", f"a\n\n— {NAME} \n", f"a\n\n— {NAME} ä\n"])
def test_what_is_no_note_is_refused(signer: Signer, note: str) -> None:
    with pytest.raises(LedgerNoteError):
        Verifier(signer.vkey).open(note)


def test_checkpoint_text_is_stable(signer: Signer) -> None:
    found = Verifier(signer.vkey).open(signer.sign(size=0, root=ROOT, now=NOW))
    assert replace(found, size=0).text == found.text


# --- keys


def test_vkey_has_the_known_form(signer: Signer) -> None:
    name, hashed, key = signer.vkey.split("+", 2)
    blob = base64.b64decode(key)
    assert (name, blob[:1], len(blob)) == (NAME, b"\x01", 33)
    assert hashed == hashlib.sha256(name.encode() + b"\n" + blob).hexdigest()[:8]


@pytest.mark.parametrize(
    "change",
    [
        lambda vkey: "",
        lambda vkey: vkey[:-1],
        lambda vkey: "x" + vkey,
        lambda vkey: vkey.replace("+", "-", 1),
        lambda vkey: vkey.replace("+AR", "+BB"),
        lambda vkey: vkey + "\n",
    ],
)
def test_damaged_vkey_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(LedgerKeyError):
        Verifier(change(KNOWN_VKEY))


def test_key_file_is_read(tmp_path: Path) -> None:
    key, path = Ed25519PrivateKey.generate(), tmp_path / "ledger.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert load_ledger_key(str(path), NAME).vkey == Signer(NAME, key).vkey


def test_unfit_key_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.pem"
    with pytest.raises(LedgerKeyError):
        load_ledger_key(str(path), NAME)
    locked = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    other = Ed448PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"", b"nonsense", locked, other):
        path.write_bytes(content)
        with pytest.raises(LedgerKeyError):
            load_ledger_key(str(path), NAME)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "x" * 256])
def test_unfit_names_are_refused(name: str) -> None:
    with pytest.raises(LedgerKeyError):
        Signer(name, Ed25519PrivateKey.generate())
