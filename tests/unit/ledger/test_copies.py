from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.ledger.copies import FILE_NAME, CopySet, DirectoryCopy, parse_copy
from receiver.ledger.errors import LedgerCopyError

NOTE = "host.example\n1\nroot\ntime 2026\n\n— host.example sig\n"
SECOND = "host.example\n2\nroot\ntime 2026\n\n— witness sig\n— host.example sig\n"


def need(cond: object, what: str) -> None:
    if not cond:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is needed in CI")
        pytest.skip(f"{what} is not to be had here")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    command: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
    root = os.geteuid() == 0 and shutil.which("mount")
    mounted = root and subprocess.run(command, check=False, capture_output=True).returncode == 0
    need(mounted, "mounting a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_notes_come_back_in_order(tmp_path: Path) -> None:
    copy = DirectoryCopy(str(tmp_path))
    assert copy.read().last is None
    copy.append(NOTE)
    copy.append(SECOND)
    assert copy.read().notes == (NOTE, SECOND)
    assert copy.read_end() == copy.read()
    assert copy.read().unreadable == 0


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    copies = [DirectoryCopy(str(tmp_path)) for _ in range(4)]

    def write(copy: DirectoryCopy) -> None:
        for _ in range(25):
            copy.append(SECOND)

    threads = [threading.Thread(target=write, args=(copy,)) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert copies[0].read().notes == (SECOND,) * 100


def test_missing_folder_is_not_made(tmp_path: Path) -> None:
    copy = DirectoryCopy(str(tmp_path / "mount"))
    for act in (copy.read, copy.read_end, lambda: copy.append(NOTE)):
        with pytest.raises(LedgerCopyError, match="mounted"):
            act()
    assert not (tmp_path / "mount").exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerCopyError):
        DirectoryCopy(str(tmp_path)).append(NOTE)
    assert not (tmp_path / "elsewhere").exists()


def test_full_copy_stays_as_it_was(small_disk: Path) -> None:
    copy = DirectoryCopy(str(small_disk))
    copy.append(NOTE)
    before = (small_disk / FILE_NAME).read_bytes()
    with pytest.raises(LedgerCopyError, match="No space"):
        copy.append("x" * 100_000 + NOTE)
    assert (small_disk / FILE_NAME).read_bytes() == before
    copy.append(SECOND)
    assert copy.read().notes == (NOTE, SECOND)


def test_one_failing_copy_spares_the_others(tmp_path: Path) -> None:
    copies = CopySet([DirectoryCopy(str(tmp_path / "away")), DirectoryCopy(str(tmp_path), name="near")])
    assert list(copies.names()) == [str(tmp_path / "away"), "near"]
    assert copies.append(NOTE) == ("near",)
    taken = copies.put(NOTE)
    assert taken.names == ("near",)
    assert len(taken.problems) == 1


def test_much_rubbish_is_read_quickly() -> None:
    found = parse_copy("x\n" * 200_000 + "\n" + "y" * 2_000_000 + "\n\n" + NOTE + "\n")
    assert found.notes == (NOTE,)


@pytest.mark.parametrize(
    ("text", "notes", "unreadable"),
    [
        ("", 0, 0),
        (NOTE + "\n", 1, 0),
        ("host.ex\n\n" + NOTE + "\n", 1, 7),
        (NOTE + "\nhost.ex\n\n" + NOTE + "\n", 2, 7),
        (NOTE[:-5], 0, len(NOTE) - 5),
        (NOTE + "\n" + NOTE[:19], 1, 19),
        ("\0" * 40 + "\n\n" + NOTE + "\n", 1, 40),
    ],
)
def test_rubbish_between_notes_is_counted(text: str, notes: int, unreadable: int) -> None:
    found = parse_copy(text)
    assert found.notes == (NOTE,) * notes
    assert found.unreadable == unreadable


def test_unreadable_copy_is_told(tmp_path: Path) -> None:
    """It is there and cannot be read: that is no empty copy."""
    (tmp_path / FILE_NAME).mkdir()
    for read in (DirectoryCopy(str(tmp_path)).read, DirectoryCopy(str(tmp_path)).read_end):
        with pytest.raises(LedgerCopyError, match="could not read"):
            read()
