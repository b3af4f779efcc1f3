"""Other people's age opens ours, ours opens theirs, and the public vectors end as they say."""

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

from receiver.vault import age
from receiver.vault.errors import AgeHeaderError, AgeNoMatchError, AgePayloadError
from tests.unit.vault.age_files import SIZES, need, opened, pair, seal

pyrage = pytest.importorskip("pyrage") if os.environ.get("CI") != "true" else __import__("pyrage")
VECTORS = Path(__file__).parents[2] / "vectors" / "age"


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
