from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from receiver.vault import age, bech32, stream
from receiver.vault.errors import AgeError, AgeHeaderError, AgeKeyError, AgeNoMatchError, AgePayloadError

pyrage = pytest.importorskip("pyrage") if os.environ.get("CI") != "true" else __import__("pyrage")

VECTORS = Path(__file__).parents[2] / "vectors" / "age"
SIZES = [0, 1, 65535, 65536, 65537, 131072, 131073, 16 * 65536, 16 * 65536 + 1, 5_000_003]


def need(cond: object, what: str) -> None:
    if not cond:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} must be installed in CI")
        pytest.skip(f"{what} is not installed")


def seal(data: bytes, recipients: list[age.Recipient], *, piece: int = 1 << 20) -> tuple[bytes, bytes, bytes]:
    file_key = secrets.token_bytes(16)
    sealed = bytearray()
    writer = stream.PayloadWriter(file_key, sealed.extend)
    for start in range(0, len(data), piece):
        writer.update(data[start : start + piece])
    writer.finish()
    return age.make_header(file_key, recipients), bytes(sealed), file_key


def opened(header: bytes, payload: bytes, identity: age.Identity) -> bytes:
    out = bytearray()
    age.open_file(header, io.BytesIO(payload), identity, out.extend)
    return bytes(out)


def pair() -> tuple[str, age.Identity, age.Recipient]:
    text, recipient = age.new_identity()
    return text, age.parse_identity(text), age.parse_recipient(recipient)


# --- other people's tools


@pytest.mark.parametrize("size", SIZES)
def test_stock_age_opens_ours(tmp_path: Path, size: int) -> None:
    need(shutil.which("age"), "age")
    data = secrets.token_bytes(size)
    people = [pair(), pair()]
    header, payload, _ = seal(data, [recipient for _, _, recipient in people])
    (tmp_path / "sealed.age").write_bytes(header + payload)
    for number, (text, _, _) in enumerate(people):
        key, out = tmp_path / f"{number}.key", tmp_path / f"{number}.out"
        key.write_text(text + "\n")
        subprocess.run(["age", "-d", "-i", key, "-o", out, tmp_path / "sealed.age"], check=True)
        # age makes no output file for an empty payload in some releases.
        assert (out.read_bytes() if out.exists() else b"") == data


@pytest.mark.parametrize("size", SIZES)
def test_pyrage_opens_ours(size: int) -> None:
    data = secrets.token_bytes(size)
    text, _, recipient = pair()
    header, payload, _ = seal(data, [pair()[2], recipient])
    assert pyrage.decrypt(header + payload, [pyrage.x25519.Identity.from_str(text)]) == data


@pytest.mark.parametrize("size", SIZES)
def test_ours_opens_stock_age(size: int) -> None:
    need(shutil.which("age"), "age")
    data = secrets.token_bytes(size)
    _, identity, recipient = pair()
    made = subprocess.run(["age", "-r", recipient.text], input=data, stdout=subprocess.PIPE, check=True).stdout
    source = io.BytesIO(made)
    header = age.read_header(source)
    assert opened(header, source.read(), identity) == data


def test_ours_opens_pyrage() -> None:
    data = secrets.token_bytes(200_000)
    _, identity, recipient = pair()
    source = io.BytesIO(pyrage.encrypt(data, [pyrage.x25519.Recipient.from_str(recipient.text)]))
    assert opened(age.read_header(source), source.read(), identity) == data


def test_stock_keygen_agrees_on_recipient() -> None:
    need(shutil.which("age-keygen"), "age")
    text, _, recipient = pair()
    made = subprocess.run(["age-keygen", "-y"], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
    assert made.decode().strip() == recipient.text


# --- the public vectors


def vector_names() -> list[str]:
    return sorted(path.name for path in VECTORS.iterdir() if path.suffix != ".md")


EXPECTED = {
    "no match": AgeNoMatchError,
    "HMAC failure": AgeHeaderError,
    "header failure": AgeHeaderError,
    "payload failure": AgePayloadError,
}


def test_public_vectors_are_all_there() -> None:
    assert len(vector_names()) == 68


@pytest.mark.parametrize("name", vector_names())
def test_public_vector_ends_as_told(name: str) -> None:
    head, _, body = (VECTORS / name).read_bytes().partition(b"\n\n")
    facts = dict(line.split(": ", 1) for line in head.decode().splitlines())
    if facts.get("compressed") == "zlib":
        body = zlib.decompress(body)
    identity = age.parse_identity(facts["identity"]) if "identity" in facts else pair()[1]
    expect, out, source = facts["expect"], bytearray(), io.BytesIO(body)

    def run() -> None:
        age.open_file(age.read_header(source), source, identity, out.extend)

    if expect == "success":
        run()
    else:
        # A payload without its whole nonce is the header's failure there and the payload's here.
        kind = AgePayloadError if name in {"stream_no_nonce", "stream_short_nonce"} else EXPECTED[expect]
        with pytest.raises(kind):
            run()
    if "payload" in facts:
        assert hashlib.sha256(out).hexdigest() == facts["payload"]


# --- damage


def test_every_damaged_header_byte_is_found() -> None:
    _, identity, recipient = pair()
    header, payload, _ = seal(b"colour field", [recipient])
    for at in range(len(header)):
        damaged = header[:at] + bytes([header[at] ^ 1]) + header[at + 1 :]
        with pytest.raises(AgeError):
            opened(damaged, payload, identity)


def test_every_damaged_payload_byte_is_found() -> None:
    _, identity, recipient = pair()
    header, payload, _ = seal(b"colour field", [recipient])
    for at in range(len(payload)):
        damaged = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        with pytest.raises(AgePayloadError):
            opened(header, damaged, identity)


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 131072])
def test_every_kind_of_cut_is_found(size: int) -> None:
    _, identity, recipient = pair()
    header, payload, _ = seal(secrets.token_bytes(size), [recipient])
    chunk = stream.SEALED_CHUNK_BYTES
    cuts = {0, 1, 15, 16, 17, 16 + chunk - 1, 16 + chunk, 16 + chunk + 1, len(payload) - 1}
    for cut in sorted(at for at in cuts if at < len(payload)):
        with pytest.raises(AgePayloadError):
            opened(header, payload[:cut], identity)
    for extra in (b"\0", bytes(chunk), payload[16:]):
        with pytest.raises(AgePayloadError):
            opened(header, payload + extra, identity)


def test_swapped_chunks_are_found() -> None:
    _, identity, recipient = pair()
    header, payload, _ = seal(secrets.token_bytes(3 * 65536), [recipient])
    chunk = stream.SEALED_CHUNK_BYTES
    swapped = payload[:16] + payload[16 + chunk : 16 + 2 * chunk] + payload[16 : 16 + chunk] + payload[16 + 2 * chunk :]
    with pytest.raises(AgePayloadError):
        opened(header, swapped, identity)


def test_another_headers_file_key_opens_nothing() -> None:
    _, identity, recipient = pair()
    header, _, _ = seal(b"one", [recipient])
    _, payload, _ = seal(b"two", [recipient])
    with pytest.raises(AgePayloadError):
        opened(header, payload, identity)


# --- how bytes arrive makes no difference


@pytest.mark.parametrize("piece", [1, 7, 65535, 65536, 65537, 100_000, 3 << 20])
def test_piece_size_changes_nothing(piece: int) -> None:
    data = secrets.token_bytes(700 if piece < 8 else 400_000)
    _, identity, recipient = pair()
    header, payload, _ = seal(data, [recipient], piece=piece)
    assert opened(header, payload, identity) == data


def test_short_reads_open_whole() -> None:
    _, _, recipient = pair()
    data = secrets.token_bytes(2_000_000)
    _, payload, file_key = seal(data, [recipient])
    source, out = io.BytesIO(payload), bytearray()
    assert stream.open_payload(file_key, lambda size: source.read(min(size, 99_991)), out.extend) == len(data)
    assert out == data


# --- rewrap


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


def test_endless_header_is_given_up() -> None:
    with pytest.raises(AgeHeaderError):
        age.read_header(io.BytesIO(b"x" * 200_000))


# --- keys


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
