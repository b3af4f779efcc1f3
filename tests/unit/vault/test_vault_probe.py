from __future__ import annotations

from pathlib import Path

import pytest

from receiver.vault.errors import AgeKeyError
from receiver.vault.probe import load_recipients
from receiver.vault.vault import DirectoryVault
from tests.doubles.vaults import Custodian, files

# --- probing


def probe(root: Path, custodians: list[Custodian], **changes: object) -> str:
    settings: dict[str, object] = {"second_headers_path": str(root / "second"), "min_free_bytes": 0} | changes
    vault = DirectoryVault(str(root / "vault"), [c.recipient for c in custodians], **settings)  # type: ignore[arg-type]
    return "\n".join(vault.probe())


def test_probe_sees_one_disk_only(tmp_path: Path, custodians: list[Custodian]) -> None:
    assert "on the vault's disk" in probe(tmp_path, custodians)
    assert len(probe(tmp_path, custodians).splitlines()) == 1
    assert files(tmp_path) == []


def test_probe_is_content_with_two_disks(tmp_path: Path, small_disk: Path, custodians: list[Custodian]) -> None:
    assert probe(tmp_path, custodians, second_headers_path=str(small_disk / "second")) == ""


def test_probe_wants_two_custodians(tmp_path: Path, custodians: list[Custodian]) -> None:
    assert "fewer than two" in probe(tmp_path, custodians[:1])
    assert "fewer than two" in probe(tmp_path, [custodians[0]] * 2)


def test_probe_wants_a_second_store(tmp_path: Path, custodians: list[Custodian]) -> None:
    assert "one store only" in probe(tmp_path, custodians, second_headers_path=None)
    assert "same folder" in probe(tmp_path, custodians, second_headers_path=str(tmp_path / "vault/headers2"))


def test_probe_counts_free_space(tmp_path: Path, custodians: list[Custodian]) -> None:
    assert "MiB left" in probe(tmp_path, custodians, min_free_bytes=1 << 62)


def test_probe_sees_open_folders(tmp_path: Path, custodians: list[Custodian]) -> None:
    probe(tmp_path, custodians)
    (tmp_path / "vault").chmod(0o755)
    assert "chmod 700" in probe(tmp_path, custodians)


def test_probe_sees_an_unwritable_store(tmp_path: Path, custodians: list[Custodian]) -> None:
    (tmp_path / "second").write_bytes(b"a file, not a folder")
    assert "second header store cannot be written" in probe(tmp_path, custodians)


def test_probe_sees_a_folder_that_cannot_be(tmp_path: Path, custodians: list[Custodian]) -> None:
    (tmp_path / "file").write_bytes(b"")
    found = probe(tmp_path, custodians, second_headers_path=str(tmp_path / "file/second"))
    assert found.splitlines() == [line for line in found.splitlines() if "cannot be written" in line]


def test_probe_admits_what_it_did_not_search(
    tmp_path: Path, custodians: list[Custodian], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.vault.probe._SEARCH_FILES", 2)
    (tmp_path / "data").mkdir()
    for number in range(3):
        (tmp_path / f"data/{number}").write_bytes(b"")
    assert "not every file was searched" in probe(tmp_path, custodians, identity_search=(str(tmp_path / "data"),))


def test_probe_finds_an_identity_within_reach(tmp_path: Path, custodians: list[Custodian]) -> None:
    (tmp_path / "data/keys").mkdir(parents=True)
    (tmp_path / "data/keys/custodian.txt").write_text(f"# made today\n{custodians[0].text}\n")
    found = probe(tmp_path, custodians, identity_search=(str(tmp_path / "data"),))
    assert "identity is within reach" in found
    assert custodians[0].text not in found


# --- recipients


def test_recipients_file_is_read(tmp_path: Path, custodians: list[Custodian]) -> None:
    path = tmp_path / "custodians.txt"
    path.write_text("# two\n\n" + "".join(f"{c.recipient.text}\n" for c in custodians))
    assert load_recipients(str(path)) == tuple(c.recipient for c in custodians)


def test_bad_recipient_names_its_line(tmp_path: Path, custodians: list[Custodian]) -> None:
    path = tmp_path / "custodians.txt"
    path.write_text(f"{custodians[0].recipient.text}\n{custodians[1].text}\n")
    with pytest.raises(AgeKeyError, match="line 2") as caught:
        load_recipients(str(path))
    assert custodians[1].text not in str(caught.value)
