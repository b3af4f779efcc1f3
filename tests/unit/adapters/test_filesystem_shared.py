"""One file under several blocks: each gives back what stood before the first, and none lets another's go."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import BlockReceipt, Origin, Ref, Retryable
from adapters.filesystem import sharing, syscalls, walk
from adapters.filesystem.sharing import alone
from tests.doubles.kernel_calls import KernelCalls
from tests.doubles.numbers import set_numbers
from tests.unit.adapters.docroot import MOVED, Docroot

OWNER = 1234
AS_PUT = (OWNER, 0o644, False)
CLOSED = (0, 0, True)


class Shared(Docroot):
    """Names count from the root here: two customers have some."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.root.chmod(0o755)

    def make(self, name: str, *links: str, mode: int = 0o644) -> Ref:
        path = self.root / name
        path.write_bytes(b"colour field")
        os.chown(path, OWNER, OWNER)
        path.chmod(mode)
        for link in links:
            os.link(path, self.root / link)
        return self.of(name)

    def of(self, name: str) -> Ref:
        return Ref(locator=name.encode(), scope=name.partition("/")[0].encode())

    def looks(self, name: str) -> tuple[int, int, bool]:
        """Owner, mode, immutable."""
        found = os.stat(self.root / name)
        fd = os.open(self.root / name, os.O_RDONLY)
        try:
            immutable = bool((syscalls.get_flags(fd) or 0) & syscalls.IMMUTABLE)
        finally:
            os.close(fd)
        return found.st_uid, stat.S_IMODE(found.st_mode), immutable

    def two_blocks(self) -> tuple[BlockReceipt, BlockReceipt]:
        first = self.make("acme/x", "other/y")
        return self.block(first), self.block(self.of("other/y"), "op-2")

    def many(self) -> list[str]:
        """More names of one file than are moved, all of them the customer's."""
        names = [f"acme/f{number}" for number in range(MOVED + 5)]
        self.make(*names)
        return names


@pytest.fixture
def shared(tmp_path: Path, few_moved: None) -> Iterator[Shared]:
    made = Shared(tmp_path)
    yield made
    made.clear()


# --- several blocks of one file


def test_two_customers_get_one_file_back(shared: Shared) -> None:
    one, two = shared.two_blocks()
    shared.adapter.unblock(one.ref, one)
    shared.adapter.unblock(two.ref, two)
    assert (shared.looks("acme/x"), shared.looks("other/y")) == (AS_PUT, AS_PUT)
    assert os.listdir(shared.held / ".inodes") == []


def test_release_of_one_keeps_the_other_frozen(shared: Shared) -> None:
    one, two = shared.two_blocks()
    assert any("another block" in words for words in shared.adapter.unblock(one.ref, one).losses)
    with pytest.raises(PermissionError):
        (shared.root / "acme/x").write_bytes(b"other bytes!")
    assert shared.adapter.origin_state(two.ref, two).origin is Origin.LEAKING
    assert shared.adapter.unblock(two.ref, two).losses == ()
    assert (shared.looks("acme/x"), shared.looks("other/y")) == (AS_PUT, AS_PUT)


def test_names_under_other_blocks_do_not_leak(shared: Shared) -> None:
    one, two = shared.two_blocks()
    assert shared.adapter.origin_state(one.ref, one).origin is Origin.BLOCKED
    shared.adapter.unblock(two.ref, two)
    assert shared.adapter.origin_state(one.ref, one).origin is Origin.LEAKING


def test_removal_of_one_keeps_the_other_frozen(shared: Shared) -> None:
    one, two = shared.two_blocks()
    done = shared.adapter.remove(two.ref, shared.proof(two), two, "op-3")
    assert done.outcome == "unreachable_retained"
    assert "another block" in (done.reason or "")
    assert shared.looks("../held/op-1/0") == (OWNER, 0o644, True)
    assert shared.adapter.unblock(one.ref, one).losses == ()
    assert shared.looks("acme/x") == AS_PUT


def test_closed_file_under_two_blocks_comes_back(shared: Shared) -> None:
    names = shared.many()
    one = shared.block(shared.of(names[0]))
    left = next(name for name in names if (shared.root / name).exists())
    two = shared.block(shared.of(left), "op-2")
    shared.adapter.unblock(one.ref, one)
    shared.adapter.unblock(two.ref, two)
    assert {shared.looks(name) for name in names} == {AS_PUT}


def test_file_closed_by_another_stays_closed(shared: Shared) -> None:
    one, two, names = closed_by_the_second(shared, "acme")
    assert any("nobody can read" in words for words in shared.adapter.unblock(one.ref, one).losses)
    assert {shared.looks(f"acme/{left}") for left in os.listdir(shared.root / "acme")} == {CLOSED}
    assert shared.adapter.origin_state(two.ref, two).origin is Origin.BLOCKED
    assert shared.adapter.unblock(two.ref, two).losses == ()
    assert {shared.looks(name) for name in ("acme/first", *names)} == {AS_PUT}


def test_neighbours_name_comes_back_readable(shared: Shared) -> None:
    """The customer's block closed the file while the neighbour's name lay in quarantine too."""
    one, two, names = closed_by_the_second(shared, "other")
    assert any("read again" in words for words in shared.adapter.unblock(one.ref, one).losses)
    assert shared.looks("other/first") == (OWNER, 0o644, True)
    assert shared.adapter.origin_state(two.ref, two).origin is Origin.LEAKING
    assert shared.adapter.unblock(two.ref, two).losses == ()
    assert {shared.looks(name) for name in ("other/first", *names)} == {AS_PUT}


def test_names_of_removed_file_stay_closed(shared: Shared) -> None:
    one, two, _ = closed_by_the_second(shared, "acme")
    done = shared.adapter.remove(two.ref, shared.proof(two), two, "op-3")
    assert "nobody can read" in (done.reason or "")
    assert any("nobody can read" in words for words in shared.adapter.unblock(one.ref, one).losses)
    assert {shared.looks(f"acme/{left}") for left in os.listdir(shared.root / "acme")} == {CLOSED}


def closed_by_the_second(shared: Shared, first: str) -> tuple[BlockReceipt, BlockReceipt, list[str]]:
    """The second block closes the file over names that it cannot move, while the first one holds others."""
    one = shared.block(shared.make(f"{first}/first", f"{first}/second"))
    held = shared.held / "op-1/0"
    names = [f"acme/f{number}" for number in range(MOVED + 5)]
    subprocess.run(["chattr", "-i", held], check=True)
    for name in names:
        os.link(held, shared.root / name)
    subprocess.run(["chattr", "+i", held], check=True)
    two = shared.block(shared.of(names[0]), "op-2")
    assert any("closed" in door for door in two.doors)
    return one, two, names


def test_one_operation_at_a_time_acts_on_a_file(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    set_numbers(monkeypatch, sharing, WAIT_SECONDS=0.05)
    ref = shared.make("acme/x", "other/y")
    seen = shared.adapter.observe(ref)
    shared.block(shared.make("acme/other"), "op-0")
    fd = os.open(shared.held, os.O_RDONLY)
    with alone(fd, (shared.root / "acme/x").stat().st_ino, 2), pytest.raises(Retryable):
        shared.adapter.block(ref, seen, "op-1")
    os.close(fd)
    assert (shared.root / "acme/x").exists()
    shared.adapter.block(ref, seen, "op-1")
    assert [name for name in os.listdir(shared.held / ".inodes") if "." not in name] == []


# --- a neighbour's name of the same file


def test_neighbours_name_made_meanwhile_is_not_closed(shared: Shared, kernel: KernelCalls) -> None:
    """A backup by hard links, after the names were counted and before the file is frozen."""
    names = shared.many()
    real = syscalls.change_flags

    def linked_first(fd: int, *, add: int = 0, drop: int = 0) -> bool:
        if add & syscalls.IMMUTABLE and not (shared.root / "other/backup").exists():
            os.link(shared.held / "op-1/0", shared.root / "other/backup")
        return real(fd, add=add, drop=drop)

    kernel.replace(change_flags=linked_first, close_to_all=lambda fd: pytest.fail("closed, if only for a moment"))
    receipt = shared.block(shared.of(names[0]))
    assert shared.looks("other/backup")[:2] == AS_PUT[:2]
    assert shared.adapter.origin_state(receipt.ref, receipt).origin is Origin.LEAKING


def test_name_made_while_closing_is_opened_again(shared: Shared, kernel: KernelCalls) -> None:
    """To be closed the file is not frozen for a moment, and that moment is the backup's."""
    names = shared.many()
    real = syscalls.close_to_all

    def linked_first(fd: int) -> bool:
        os.link(shared.held / "op-1/0", shared.root / "other/backup")
        return real(fd)

    kernel.replace(close_to_all=linked_first)
    receipt = shared.block(shared.of(names[0]))
    assert shared.looks("other/backup") == (OWNER, 0o644, True)
    assert not any("closed" in words for words in (*receipt.doors, *receipt.residual))
    shared.adapter.unblock(receipt.ref, receipt)
    assert shared.looks("other/backup") == AS_PUT


def test_name_made_after_a_crash_is_opened_again(shared: Shared, kernel: KernelCalls) -> None:
    """It died with the file closed and not frozen again; the backup comes before the next try."""
    names = shared.many()
    seen, real = shared.adapter.observe(shared.of(names[0])), syscalls.close_to_all

    def dying(fd: int) -> bool:
        real(fd)
        raise KeyboardInterrupt

    with kernel.during(close_to_all=dying), pytest.raises(KeyboardInterrupt):
        shared.adapter.block(seen.ref, seen, "op-1")
    os.link(shared.held / "op-1/0", shared.root / "other/backup")
    shared.again()
    shared.adapter.block(seen.ref, seen, "op-1")
    assert shared.looks("other/backup") == (OWNER, 0o644, True)


def test_name_in_moved_folder_counts_once(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """The customer moves a folder on while the names are sought: what it holds must not hide a neighbour's name."""
    (shared.root / "acme/a").mkdir()
    (shared.root / "acme/b").mkdir()
    ref = shared.make("acme/x", "acme/b/one", "other/y")
    real: Any = walk.OtherNames._list

    def moving(search: walk.OtherNames, root_fd: int, folder: bytes) -> Any:
        if folder == b"acme/a":  # it comes after `b`, whose name was counted by then
            (shared.root / "acme/b").rename(shared.root / "acme/a/b")
        return sorted(real(search, root_fd, folder))

    monkeypatch.setattr(walk.OtherNames, "_list", moving)
    search, root_fd = walk.OtherNames(), os.open(shared.root, os.O_RDONLY)
    found = search.find(root_fd, ref, (shared.root / "acme/x").stat(), 3)
    os.close(root_fd)
    assert (search.seen, search.seen_in_scope) == (3, 2)
    assert [name.locator for name in found if not name.in_scope] == [b"other/y"]


# --- what a closed file looked like


def test_group_bit_of_closed_file_comes_back(shared: Shared) -> None:
    names = shared.many()
    (shared.root / names[0]).chmod(0o2754)
    receipt = shared.block(shared.of(names[0]))
    assert shared.adapter.unblock(receipt.ref, receipt).losses == ()
    assert shared.looks(names[0]) == (OWNER, 0o2754, False)


UNBLOCK_WITHOUT_FSETID = """
import sys
from adapters.agent.privileges import CAPABILITIES, keep_only
from adapters.contract import BlockReceipt, Ref
from adapters.filesystem.adapter import FilesystemAdapter
keep_only(set(CAPABILITIES) - {"CAP_FSETID"}, no_new_privileges=True)
adapter, ref = FilesystemAdapter("www", *sys.argv[1:3]), Ref(locator=sys.argv[3].encode(), scope=b"acme")
receipt = BlockReceipt(op_id="op-1", ref=ref, pins=(), undo={}, doors=(), residual=())
print(*adapter.unblock(ref, receipt).losses, sep="\\n")
print(*adapter.probe().notes, sep="\\n")
"""


def test_group_bit_that_stays_lost_is_told(shared: Shared) -> None:
    names = shared.many()
    (shared.root / names[0]).chmod(0o2754)
    shared.block(shared.of(names[0]))
    done = subprocess.run(
        [sys.executable, "-c", UNBLOCK_WITHOUT_FSETID, shared.root, shared.held, names[0]],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shared.looks(names[0]) == (OWNER, 0o754, False)
    lost, *notes = done.stdout.splitlines()
    assert "set-group-ID" in lost
    assert any("CAP_FSETID" in note for note in notes)
