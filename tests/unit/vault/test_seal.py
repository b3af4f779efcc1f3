from __future__ import annotations

import hashlib
import io
import secrets
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from receiver.vault import age
from receiver.vault.vault import DirectoryVault
from tests.doubles.disk_calls import syncs_and_names
from tests.doubles.vaults import NOW, Custodian, files, make_vault, need, places, reading

# --- sealing


@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_001])
def test_seal_opens_with_stock_age(tmp_path: Path, custodians: list[Custodian], size: int) -> None:
    need(shutil.which("age"), "age")
    data = secrets.token_bytes(size)
    made = make_vault(tmp_path, custodians).seal("01SEAL", reading(data))
    key, joined, out = tmp_path / "key", tmp_path / "joined.age", tmp_path / "out"
    key.write_text(custodians[1].text)
    for headers in ("vault/headers", "second"):
        header = (tmp_path / headers / made.header_ref).read_bytes()
        joined.write_bytes(header + (tmp_path / "vault/payloads" / made.payload_ref).read_bytes())
        subprocess.run(["age", "-d", "-i", key, "-o", out, joined], check=True)
        assert (out.read_bytes() if out.exists() else b"") == data


def test_seal_tells_every_figure(tmp_path: Path, vault: DirectoryVault) -> None:
    data = secrets.token_bytes(200_000)
    made = vault.seal("01SEAL", reading(data))
    sealed = (tmp_path / "vault/payloads" / made.payload_ref).read_bytes()
    assert made.sha256_plain == hashlib.sha256(data).hexdigest()
    assert made.md5_plain == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert made.sha1_plain == hashlib.sha1(data, usedforsecurity=False).hexdigest()
    assert made.size_bytes == len(data)
    assert made.sha256_sealed == hashlib.sha256(sealed).hexdigest()
    assert made.sealed_bytes == len(sealed)
    assert made.checked_at == int(NOW.timestamp()) * 1_000_000
    assert files(tmp_path) == places("01SEAL")


def test_unwanted_digests_are_not_made(vault: DirectoryVault) -> None:
    made = vault.seal("01SEAL", reading(b"x"), digests=("sha256",))
    assert (made.md5_plain, made.sha1_plain) == (None, None)
    with pytest.raises(ValueError, match="unknown digests"):
        vault.seal("01SEAL", reading(b"x"), digests=("sha256", "crc32"))


def test_short_reads_seal_the_same(vault: DirectoryVault) -> None:
    data = secrets.token_bytes(500_000)
    source = io.BytesIO(data)
    made = vault.seal("01SEAL", lambda size: source.read(min(size, 40_001)))
    assert made.sha256_plain == hashlib.sha256(data).hexdigest()


def test_only_the_owner_may_read(tmp_path: Path, vault: DirectoryVault) -> None:
    vault.seal("01SEAL", reading(b"x"))
    for root in ("vault", "second"):
        for path in [tmp_path / root, *(tmp_path / root).rglob("*")]:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_nothing_plain_meets_the_disk(tmp_path: Path, vault: DirectoryVault) -> None:
    mark = b"colour field " * 20_000
    pieces = iter([mark, mark, b""])

    def read(size: int) -> bytes:
        assert not any(b"colour" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        return next(pieces)

    vault.seal("01SEAL", read)
    assert not any(b"colour" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_file_and_folder_are_synced_around_naming(vault: DirectoryVault) -> None:
    vault.seal("01FIRST", reading(b"x"))
    with syncs_and_names() as acts:
        vault.seal("01FIRST", reading(b"x"))
    assert acts == ["file", "name"] * 3 + ["folder"] * 3


def test_a_stranger_cannot_choose_paths(vault: DirectoryVault) -> None:
    for name in ("", "../x", "a/b", "x" * 101, "a.b", "ä", "x\n"):
        with pytest.raises(ValueError, match="name"):
            vault.seal(name, reading(b""))
    for ref in ("../../etc/passwd", "ab/../x.age", "ab/x", "/ab/x.age", "ab/x.age\n"):
        with pytest.raises(ValueError, match="name"):
            vault.check_seal(ref, "")


def test_documents_are_sealed_too(tmp_path: Path, vault: DirectoryVault, custodians: list[Custodian]) -> None:
    made = vault.seal_document("01SEAL-manifest", b'{"a":1}')
    out = bytearray()
    with vault.open_payload(made.payload_ref) as payload:
        identity = age.parse_identity(custodians[0].text)
        age.open_file(vault.read_header(made.header_ref), payload, identity, out.extend)
    assert out == b'{"a":1}'


def test_a_vault_without_recipients_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="recipients"):
        make_vault(tmp_path, []).seal("01SEAL", reading(b""))
