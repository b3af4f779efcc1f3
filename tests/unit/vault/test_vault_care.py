from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from receiver.vault.errors import SealMismatchError, VaultUnavailableError
from receiver.vault.vault import DirectoryVault
from tests.doubles.vaults import NOW, Custodian, FixedClock, files, make_vault, places, reading

# --- fixity


def test_fixity_finds_any_change(tmp_path: Path, vault: DirectoryVault) -> None:
    made = vault.seal("01SEAL", reading(bytes(100_000)))
    heard: list[int] = []
    assert vault.check_seal(made.payload_ref, made.sha256_sealed, heard.append)
    assert sum(heard) == made.sealed_bytes
    path = tmp_path / "vault/payloads" / made.payload_ref
    data = bytearray(path.read_bytes())
    data[50_000] ^= 1
    path.write_bytes(data)
    assert not vault.check_seal(made.payload_ref, made.sha256_sealed)
    path.unlink()
    assert not vault.check_seal(made.payload_ref, made.sha256_sealed)


def test_headers_are_compared_and_replaced(tmp_path: Path, vault: DirectoryVault) -> None:
    made = vault.seal("01SEAL", reading(b"x"))
    first, second = tmp_path / "vault/headers" / made.header_ref, tmp_path / "second" / made.header_ref
    header = first.read_bytes()
    assert vault.check_header(made.header_ref)
    first.write_bytes(header[:-9])
    assert not vault.check_header(made.header_ref)
    assert vault.read_header(made.header_ref) == header
    second.unlink()
    assert not vault.check_header(made.header_ref)
    with pytest.raises(SealMismatchError):
        vault.read_header(made.header_ref)


# --- sweeping


def age_files(root: Path, seconds: float) -> None:
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (NOW.timestamp() - seconds,) * 2)


def test_sweep_takes_only_unknown_seals(tmp_path: Path, vault: DirectoryVault) -> None:
    kept = vault.seal("01KEPT", reading(b"x"))
    document = vault.seal_document("01DOC", b"x")
    lost = vault.seal("01LOST", reading(b"x"))
    age_files(tmp_path, 7200)
    # Rows of documents name the payload only; their headers must stay.
    swept = vault.sweep_orphans({kept.payload_ref, kept.header_ref, document.payload_ref}, 3600)
    assert swept == sorted([lost.payload_ref, lost.header_ref])
    assert files(tmp_path) == sorted(places("01KEPT") + places("01DOC"))


def test_sweep_leaves_young_seals(tmp_path: Path, vault: DirectoryVault) -> None:
    vault.seal("01YOUNG", reading(b"x"))
    age_files(tmp_path, 1800)
    assert vault.sweep_orphans(lambda ref: False, 3600) == []
    assert files(tmp_path) == places("01YOUNG")


def test_sweep_takes_pieces_of_a_crash(tmp_path: Path, vault: DirectoryVault) -> None:
    made = vault.seal("01KEPT", reading(b"x"))
    folder = (tmp_path / "vault/payloads" / made.payload_ref).parent
    (folder / ".01LOST.age.0011.part").write_bytes(b"half")
    (folder / "README").write_bytes(b"not ours")
    age_files(tmp_path, 7200)
    assert vault.sweep_orphans({made.payload_ref}, 3600) == [f"{folder.name}/.01LOST.age.0011.part"]
    assert (folder / "README").exists()


def test_sweep_of_an_empty_vault_is_quiet(vault: DirectoryVault) -> None:
    assert vault.sweep_orphans(set(), 3600) == []


def test_sweep_refuses_after_a_clock_jump(tmp_path: Path, custodians: list[Custodian]) -> None:
    clock = FixedClock()
    vault = make_vault(tmp_path, custodians, clock)
    vault.seal("01YOUNG", reading(b"x"))
    age_files(tmp_path, 0)
    for hours in (72, -144):
        clock.moment += dt.timedelta(hours=hours)
        with pytest.raises(VaultUnavailableError, match="jumped"):
            vault.sweep_orphans(set(), 3600)
    assert files(tmp_path) == places("01YOUNG")
    clock.moment, clock.ticks = clock.moment + dt.timedelta(seconds=100), clock.ticks + 100
    assert vault.sweep_orphans(set(), 3600) == []
