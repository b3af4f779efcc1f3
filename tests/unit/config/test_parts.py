"""Files, mounts, and what is written into conf.d."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from receiver.config import Config, file_problems, load_config
from receiver.config.conf_d import ConfDError, to_toml, write_entry
from receiver.config.files import closed_folder
from receiver.config.mounts import network_filesystem
from receiver.keyfiles import init_folder
from tests.support import need_root, nobody

MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:40 / /srv/share rw shared:2 - nfs4 files:/export rw
31 22 0:41 / /srv/with\\040space rw - cifs //files/x rw
32 30 0:42 / /srv/share/local rw - tmpfs tmpfs rw
33 22 0:43 / /srv/covered rw - nfs files:/old rw
34 22 0:44 / /srv/covered rw - xfs /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/share/data/receiver.db", "nfs4"),
        ("/srv/with space/receiver.db", "cifs"),
        ("/srv/share/local/receiver.db", None),
        ("/srv/covered/receiver.db", None),
        ("/srv/shared-not/receiver.db", None),
        ("/var/receiver.db", None),
    ],
)
def test_network_mounts_are_known(tmp_path: Path, path: str, kind: str | None) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    assert network_filesystem(Path(path), table) == kind


def test_this_machine_has_a_mount_table(tmp_path: Path) -> None:
    assert network_filesystem(tmp_path / "receiver.db") is None


def test_written_entry_reads_back(tmp_path: Path) -> None:
    entry = {
        "host": 'a"b\\c\x7f\n.example',
        "aliases": ["ü.example", "x"],
        "merge_slashes": False,
        "max": 3,
        "categories": {"csam": "act", "odd key": "review"},
        "left_out": None,
    }
    file = write_entry(tmp_path, "route-x", "routes", entry)
    (read,) = tomllib.loads(file.read_text(encoding="utf-8"))["routes"]
    assert read == {name: value for name, value in entry.items() if value is not None}
    assert os.listdir(tmp_path / "conf.d") == ["route-x.toml"]


def test_entry_is_never_written_over(tmp_path: Path) -> None:
    first = write_entry(tmp_path, "issuer-iwf", "issuers", {"id": "iwf"})
    with pytest.raises(ConfDError, match="by hand"):
        write_entry(tmp_path, "issuer-iwf", "issuers", {"id": "other"})
    assert "other" not in first.read_text()


def test_read_only_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "conf.d").write_text("a file where the folder should be")
    with pytest.raises(ConfDError, match="cannot be written"):
        write_entry(tmp_path, "issuer-iwf", "issuers", {"id": "iwf"})


def test_toml_of_an_entry_is_plain() -> None:
    assert to_toml("issuers", {"id": "iwf", "may_keep_up": True}) == '[[issuers]]\nid = "iwf"\nmay_keep_up = true\n'


def test_missing_and_open_files_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "receiver"
    init_folder(folder, origin="https://notices.host.example")
    config = load_config(folder / "config.toml", {})
    assert [problem.setting for problem in file_problems(config)] == ["vault.recipients_file"]
    (folder / "keys" / "ledger.pem").chmod(0o640)
    (folder / "keys" / "callback.pem").unlink()
    found = {problem.setting: problem.id for problem in file_problems(config, "worker")}
    assert found == {"keys.callback_key_file": "C30", "keys.ledger_key_file": "C31", "vault.recipients_file": "C30"}
    assert file_problems(config, "web") == []


@pytest.fixture
def roots(tmp_path: Path) -> Config:
    """Settings of root's, in folders that everybody may pass through."""
    need_root()
    folder = tmp_path / "receiver"
    init_folder(folder, origin="https://notices.host.example")
    for above in (tmp_path, *list(tmp_path.parents)[:2], folder, folder / "keys"):
        above.chmod(0o755)
    return load_config(folder / "config.toml", {})


def test_unreadable_key_names_uid_and_mode(roots: Config) -> None:
    with nobody():
        found = file_problems(roots, "admin")
    assert [problem.id for problem in found] == ["C32"]
    assert "uid 65534 (owner 0, mode 600)" in found[0].message


def test_a_closed_folder_is_named(roots: Config) -> None:
    keys = roots.folder / "keys"
    keys.chmod(0o700)
    with nobody():
        found = file_problems(roots)
    assert {problem.id for problem in found} == {"C32"}
    assert all(f"the folder {keys} is closed" in problem.message for problem in found)
    keys.chmod(0o755)
    roots.folder.chmod(0o700)
    with nobody():
        assert closed_folder(roots.keys.data_key_file) == roots.folder
    assert closed_folder(roots.keys.data_key_file) is None


def test_a_database_out_of_reach_is_not_to_be_made(roots: Config) -> None:
    told = [roots.database.is_to_be_made]
    (roots.server.data_dir / "receiver.db").touch()
    told.append(roots.database.is_to_be_made)
    roots.server.data_dir.chmod(0o700)
    with nobody():
        told.append(roots.database.is_to_be_made)
    assert told == [True, False, False]
