from __future__ import annotations

import errno
import io
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from adapters.contract import Changed
from receiver.vault import age
from receiver.vault.directory import DirectoryStore
from receiver.vault.errors import SealMismatchError, VaultUnavailableError
from receiver.vault.sealing import refs_of
from receiver.vault.vault import DirectoryVault
from tests.doubles.vaults import Custodian, files, make_vault, places, reading

# --- failing


def test_readers_error_comes_through_untouched(tmp_path: Path, vault: DirectoryVault) -> None:
    changed = Changed("the object changed")

    def read(size: int) -> bytes:
        if files(tmp_path) and (tmp_path / files(tmp_path)[0]).stat().st_size > 1_000_000:
            raise changed
        return bytes(size)

    with pytest.raises(Changed) as caught:
        vault.seal("01SEAL", read)
    assert caught.value is changed
    assert files(tmp_path) == []


def test_readers_oserror_is_not_the_vaults(tmp_path: Path, vault: DirectoryVault) -> None:
    broken = OSError(errno.ENOSPC, "the source said so")

    def read(size: int) -> bytes:
        raise broken

    with pytest.raises(OSError, match="the source said so") as caught:
        vault.seal("01SEAL", read)
    assert caught.value is broken
    assert files(tmp_path) == []


def test_full_disk_leaves_nothing_and_heals(small_disk: Path, custodians: list[Custodian]) -> None:
    vault = make_vault(small_disk, custodians)
    with pytest.raises(VaultUnavailableError, match="full") as caught:
        vault.seal("01SEAL", reading(bytes(4_000_000)))
    assert "small" not in str(caught.value)
    assert files(small_disk) == []
    assert vault.seal("01SEAL", reading(bytes(1_000_000))).size_bytes == 1_000_000


def test_full_header_disk_takes_the_payload_back(tmp_path: Path, small_disk: Path, custodians: list[Custodian]) -> None:
    recipients = [custodian.recipient for custodian in custodians]
    vault = DirectoryVault(str(tmp_path / "vault"), recipients, second_headers_path=str(small_disk / "second"))
    (small_disk / "ballast").write_bytes(bytes(2 * 1024 * 1024 - os.sysconf("SC_PAGE_SIZE")))

    def fill() -> None:
        for number in range(8):
            vault.seal(f"01SEAL{number}", reading(b"x"))

    with pytest.raises(VaultUnavailableError):
        fill()
    assert files(tmp_path / "vault") == sorted(
        f"{kind}/{ref}"
        for path in (small_disk / "second").rglob("*.header")
        for kind, ref in zip(("payloads", "headers"), refs_of(path.stem), strict=True)
    )


def test_missing_root_says_unavailable(tmp_path: Path, custodians: list[Custodian]) -> None:
    (tmp_path / "vault").write_bytes(b"")
    with pytest.raises(VaultUnavailableError):
        make_vault(tmp_path, custodians).seal("01SEAL", reading(b"x"))


def test_a_link_in_the_vault_is_not_followed(tmp_path: Path, vault: DirectoryVault) -> None:
    made = vault.seal("01SEAL", reading(b"x"))
    path = tmp_path / "vault/payloads" / made.payload_ref
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(VaultUnavailableError):
        vault.check_seal(made.payload_ref, made.sha256_sealed)


def test_store_deletes_only_its_own_names(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path))
    for name in ("../x.age", "ab/README", "ab/../../.x.part", "", ".x.part", "../.x.part"):
        with pytest.raises(ValueError, match="name"):
            store.delete(name)
    store.delete("ab/gone.age")


class LyingStore(DirectoryStore):
    """Gives back other bytes than it was given."""

    def __init__(self, root: str, lie: Callable[[bytes], bytes]) -> None:
        super().__init__(root)
        self._lie = lie

    def open(self, ref: str) -> BinaryIO:
        return io.BytesIO(self._lie(super().open(ref).read()))


LIES: list[Callable[[bytes], bytes]] = [
    lambda data: data[:-1],
    lambda data: data + b"\0",
    lambda data: b"",
    lambda data: bytes([data[0] ^ 1]) + data[1:],
    lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("where", ["payload", "first header", "second header"])
def test_lying_store_is_caught(
    tmp_path: Path, vault: DirectoryVault, where: str, lie: Callable[[bytes], bytes], recwarn: pytest.WarningsRecorder
) -> None:
    if where == "payload":
        vault._payloads = LyingStore(str(tmp_path / "vault/payloads"), lie)
    else:
        stores = list(vault._headers)
        which = where == "second header"
        honest = stores[which]
        assert isinstance(honest, DirectoryStore)
        stores[which] = LyingStore(honest.root, lie)
        vault._headers = tuple(stores)
    with pytest.raises(SealMismatchError):
        vault.seal("01SEAL", reading(secrets.token_bytes(100_000)))
    assert files(tmp_path) == []


def test_vanished_payload_is_caught(tmp_path: Path, vault: DirectoryVault) -> None:
    class Forgetful(DirectoryStore):
        def open(self, ref: str) -> BinaryIO:
            raise FileNotFoundError

    vault._payloads = Forgetful(str(tmp_path / "vault/payloads"))
    with pytest.raises(SealMismatchError):
        vault.seal("01SEAL", reading(b"x"))
    assert files(tmp_path) == []


def test_sealing_again_replaces_the_orphan(tmp_path: Path, vault: DirectoryVault, custodians: list[Custodian]) -> None:
    vault.seal("01SEAL", reading(b"before the crash"))
    made = vault.seal("01SEAL", reading(b"after"))
    assert files(tmp_path) == places("01SEAL")
    assert vault.check_seal(made.payload_ref, made.sha256_sealed)
    out = bytearray()
    with vault.open_payload(made.payload_ref) as payload:
        identity = age.parse_identity(custodians[0].text)
        age.open_file(vault.read_header(made.header_ref), payload, identity, out.extend)
    assert out == b"after"
