"""Object and manifest are sealed together: whole or not at all, and every name durable before anybody hears of it."""

from __future__ import annotations

import errno
import io
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import Changed
from receiver.domain.seals import SealedTogether, SealResult, ToSeal
from receiver.vault import age
from receiver.vault.errors import SealMismatchError, VaultUnavailableError
from receiver.vault.sealing import refs_of
from receiver.vault.vault import DirectoryVault
from tests.doubles.disk_calls import disk_calls, is_folder, syncs_and_names
from tests.doubles.vaults import NOW, Custodian, files, make_vault

BODY = secrets.token_bytes(100_000)
ACTS = ("mkdir", "write", "fsync", "rename")


def object_of(seal_id: str, body: bytes = BODY, closed: list[str] | None = None) -> ToSeal:
    @contextmanager
    def reading() -> Iterator[Callable[[int], bytes]]:
        try:
            yield io.BytesIO(body).read
        finally:
            if closed is not None:
                closed.append(seal_id)

    return ToSeal(seal_id=seal_id, open=reading)


def told(results: Sequence[SealResult]) -> bytes:
    return ",".join(result.sha256_plain for result in results).encode()


def seal_all(vault: DirectoryVault) -> SealedTogether:
    return vault.seal_all([object_of("01SEAL")], "01SEAL-manifest", told)


def places_together() -> list[str]:
    """Of one object and its manifest, in the object's folder."""
    refs = refs_of("01SEAL"), refs_of("01SEAL-manifest", "01SEAL")
    return sorted(
        place
        for payload, header in refs
        for place in (f"vault/payloads/{payload}", f"vault/headers/{header}", f"second/{header}")
    )


def opened(vault: DirectoryVault, made: SealResult, custodian: Custodian) -> bytes:
    out = bytearray()
    with vault.open_payload(made.payload_ref) as payload:
        header = vault.read_header(made.header_ref)
        age.open_file(header, payload, age.parse_identity(custodian.text), out.extend)
    return bytes(out)


def test_manifest_knows_what_was_sealed(tmp_path: Path, vault: DirectoryVault, custodians: list[Custodian]) -> None:
    made = vault.seal_all([object_of("01SEAL"), object_of("01OTHER", b"x")], "01SEAL-manifest", told)
    assert [opened(vault, seal, custodians[0]) for seal in made.seals] == [BODY, b"x"]
    assert opened(vault, made.manifest, custodians[1]) == told(made.seals)
    for seal in (*made.seals, made.manifest):
        assert vault.check_seal(seal.payload_ref, seal.sha256_sealed)
        assert vault.check_header(seal.header_ref)


def test_item_costs_nine_syncs(tmp_path: Path, vault: DirectoryVault) -> None:
    seal_all(vault)
    with syncs_and_names() as acts:
        seal_all(vault)
    assert acts == ["file", "name"] * 6 + ["folder"] * 3
    assert files(tmp_path) == places_together()


def test_reader_is_let_go_first(vault: DirectoryVault) -> None:
    closed: list[str] = []
    heard: list[list[str]] = []

    def manifest(results: Sequence[SealResult]) -> bytes:
        heard.append([*closed])
        return told(results)

    vault.seal_all([object_of("01A", closed=closed), object_of("01B", closed=closed)], "01A-manifest", manifest)
    assert heard == [["01A", "01B"]]


# --- failing


def test_failing_manifest_takes_all_away(tmp_path: Path, vault: DirectoryVault) -> None:
    broken = LookupError("the message is not there")

    def manifest(results: Sequence[SealResult]) -> bytes:
        raise broken

    with pytest.raises(LookupError) as caught:
        vault.seal_all([object_of("01SEAL")], "01SEAL-manifest", manifest)
    assert caught.value is broken
    assert files(tmp_path) == []


def test_changed_object_takes_all_away(tmp_path: Path, vault: DirectoryVault) -> None:
    closed: list[str] = []
    changed = Changed("the object changed")

    @contextmanager
    def reading() -> Iterator[Callable[[int], bytes]]:
        def read(size: int) -> bytes:
            raise changed

        yield read

    objects = [object_of("01SEAL", closed=closed), ToSeal(seal_id="01CHANGED", open=reading)]
    with pytest.raises(Changed) as caught:
        vault.seal_all(objects, "01SEAL-manifest", told)
    assert caught.value is changed
    assert closed == ["01SEAL"]
    assert files(tmp_path) == []


@pytest.mark.parametrize("which", [0, 1, 2])
def test_names_that_fail_are_no_seal(tmp_path: Path, vault: DirectoryVault, which: int) -> None:
    """The folder of payloads, of headers, or of the second headers does not get to the disk."""
    seal_all(vault)
    folders = 0

    def failing(_name: str, sync: Callable[[int], None], descriptor: int) -> None:
        nonlocal folders
        if is_folder(descriptor):
            folders += 1
            if folders == which + 1:
                raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    with disk_calls(failing, "fsync"), pytest.raises(VaultUnavailableError, match="naming"):
        seal_all(vault)
    assert files(tmp_path) == []


def test_lying_manifest_takes_all_away(tmp_path: Path, vault: DirectoryVault, monkeypatch: pytest.MonkeyPatch) -> None:
    read = vault._payloads.open

    def lying(ref: str) -> io.BufferedIOBase:
        with read(ref) as source:
            data = source.read()
        return io.BytesIO(data[:-1] if "manifest" in ref else data)

    monkeypatch.setattr(vault._payloads, "open", lying)
    with pytest.raises(SealMismatchError):
        seal_all(vault)
    assert files(tmp_path) == []


# --- dying


class Dead(BaseException):
    """The process is gone: nothing is tidied up."""


class Fuse:
    """Counts what changes the disk, dies before the chosen act, and knows of each file what was synced of it."""

    def __init__(self, dies_at: int | None) -> None:
        self.count, self._dies_at = 0, dies_at
        self.synced: dict[int, bytes] = {}

    def __call__(self, name: str, call: Callable[..., object], *args: Any, **kwargs: Any) -> object:
        if self._dies_at is not None and self.count >= self._dies_at:
            raise Dead
        self.count += name in ACTS
        if name == "fsync":
            file = Path(f"/proc/self/fd/{args[0]}")
            if file.is_file():
                self.synced[file.stat().st_ino] = file.read_bytes()
        return call(*args, **kwargs)


def dies(vault: DirectoryVault, at: int | None) -> Fuse:
    fuse = Fuse(at)
    with disk_calls(fuse, *ACTS, "unlink"):
        if at is None:
            seal_all(vault)
        else:
            with pytest.raises(Dead):
                seal_all(vault)
    return fuse


def test_death_leaves_whole_files_only(tmp_path: Path, custodians: list[Custodian]) -> None:
    """Before every act that changes the disk. What has a name is all there and synced; the sweep takes the rest."""
    whole = dies(make_vault(tmp_path / "whole", custodians), None).count
    assert whole > 24
    for at in range(whole):
        root = tmp_path / str(at)
        fuse = dies(make_vault(root, custodians), at)
        left = [path for path in root.rglob("*") if path.is_file()]
        named = [path for path in left if path.suffix != ".part"]
        assert all(fuse.synced[path.stat().st_ino] == path.read_bytes() for path in named)
        for path in left:
            os.utime(path, (NOW.timestamp() - 7200,) * 2)
        vault = make_vault(root, custodians)
        vault.sweep_orphans(lambda _ref: False, 3600)
        assert files(root) == []
        assert opened(vault, seal_all(vault).manifest, custodians[0])
