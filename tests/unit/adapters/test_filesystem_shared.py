"""One file under several blocks or customers: each gets back what stood before the first; none lets another's go."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import Conflict, Origin, Ref
from adapters.filesystem import blocking, syscalls
from adapters.filesystem.adapter import FilesystemAdapter

OWNER = 1234


class Shared:
    """Two customers beneath one root."""

    def __init__(self, base: Path) -> None:
        self.root, self.held = base / "root", base / "held"
        for customer in ("cust", "other"):
            (self.root / customer).mkdir(parents=True)
        self.adapter = FilesystemAdapter("www", str(self.root), str(self.held))

    def put(self, name: str, *links: str) -> Ref:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"colour field")
        os.chown(path, OWNER, OWNER)
        path.chmod(0o644)
        for link in links:
            os.link(path, self.root / link)
        return self.ref(name)

    def ref(self, name: str) -> Ref:
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


AS_PUT = (OWNER, 0o644, False)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    made = Shared(tmp_path)
    yield made
    subprocess.run(["chattr", "-R", "-i", str(tmp_path)], check=False, stderr=subprocess.DEVNULL)


def test_two_customers_get_one_file_back(shared: Shared) -> None:
    first, second = shared.put("cust/x", "other/y"), shared.ref("other/y")
    one = shared.adapter.block(first, shared.adapter.observe(first), "op-1")
    two = shared.adapter.block(second, shared.adapter.observe(second), "op-2")
    shared.adapter.unblock(first, one)
    shared.adapter.unblock(second, two)
    assert (shared.looks("cust/x"), shared.looks("other/y")) == (AS_PUT, AS_PUT)


def test_release_of_one_keeps_the_other_frozen(shared: Shared) -> None:
    first, second = shared.put("cust/x", "other/y"), shared.ref("other/y")
    one = shared.adapter.block(first, shared.adapter.observe(first), "op-1")
    two = shared.adapter.block(second, shared.adapter.observe(second), "op-2")
    assert shared.adapter.freeze(second, two).promised
    losses = shared.adapter.unblock(first, one).losses
    assert any("another block" in words for words in losses)
    with pytest.raises(PermissionError):
        (shared.root / "cust/x").write_bytes(b"other bytes!")
    shared.adapter.unblock(second, two)
    assert (shared.looks("cust/x"), shared.looks("other/y")) == (AS_PUT, AS_PUT)


def test_closed_file_under_two_blocks_comes_back(shared: Shared) -> None:
    names = [f"cust/f{number}" for number in range(1, 120)]
    first = shared.put("cust/f0", *names)
    one = shared.adapter.block(first, shared.adapter.observe(first), "op-1")
    left = shared.ref("cust/" + min(os.listdir(shared.root / "cust")))
    two = shared.adapter.block(left, shared.adapter.observe(left), "op-2")
    shared.adapter.unblock(first, one)
    shared.adapter.unblock(left, two)
    assert {shared.looks(name) for name in ("cust/f0", *names)} == {AS_PUT}


def test_refused_unblock_leaves_nothing_up(shared: Shared) -> None:
    """A plain file where a folder was: found out before the first name goes back."""
    ref = shared.put("cust/g")
    (shared.root / "cust/folder").mkdir()
    os.link(shared.root / "cust/g", shared.root / "cust/folder/f")
    inner = shared.ref("cust/folder/f")
    receipt = shared.adapter.block(inner, shared.adapter.observe(inner), "op-1")
    (shared.root / "cust/folder").rmdir()
    (shared.root / "cust/folder").write_bytes(b"")
    with pytest.raises(Conflict):
        shared.adapter.unblock(inner, receipt)
    assert not (shared.root / "cust/g").exists()
    assert shared.adapter.origin_state(inner, receipt).origin is Origin.BLOCKED
    (shared.root / "cust/folder").unlink()
    shared.adapter.unblock(inner, receipt)
    assert shared.looks(ref.locator.decode()) == AS_PUT


def test_neighbours_name_made_meanwhile_is_not_closed(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup by hard links while the block runs: the neighbour keeps owner and mode."""
    ref = shared.put("cust/x")
    search = blocking._take_further

    def linked_right_after(*args: Any) -> Any:
        found = search(*args)
        if not (shared.root / "other/backup").exists():
            os.link(shared.held / "op-1/0", shared.root / "other/backup")
        return found

    monkeypatch.setattr(blocking, "_take_further", linked_right_after)
    shared.adapter.block(ref, shared.adapter.observe(ref), "op-1")
    assert shared.looks("other/backup")[:2] == AS_PUT[:2]
