"""What a customer may put at a name: pipes, links, holes, odd dress; and what deleting helps."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.contract import Changed, Denied, NotFound, Origin, Presence
from adapters.filesystem import walk
from tests.doubles.disk_calls import disk_calls
from tests.doubles.numbers import set_numbers
from tests.faults.hostile_customers import BODY, HostileSite, facts_of, hostile_site, whole
from tests.faults.scale import TORTURE

LINKS = 10_000 if TORTURE else 600
ENTRIES = 100_000 if TORTURE else 2_000


@pytest.fixture
def site() -> Iterator[HostileSite]:
    with hostile_site() as made:
        yield made


# --- something else at the name


def _socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


SWAPPED_IN: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "socket": _socket_at,
    "device": lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, 0x103),
    "link out of scope": lambda path: os.symlink("../other/a.jpg", path),
    "link to the quarantine": lambda path: os.symlink("../../held", path),
    "link to itself": lambda path: os.symlink("a.jpg", path),
    "dangling link": lambda path: os.symlink("nowhere", path),
    "magic link": lambda path: os.symlink("/proc/self/root/etc/passwd", path),
}


@pytest.mark.parametrize("kind", list(SWAPPED_IN))
def test_swapped_kind_is_changed(site: HostileSite, kind: str) -> None:
    """Between our look and the block; the next look then says what it is."""
    ref = site.mine()
    seen = site.adapter.observe(ref)
    site.path("a.jpg").rename(site.path("b.jpg"))
    SWAPPED_IN[kind](site.path("a.jpg"))
    before = facts_of(site.path("a.jpg")) if kind not in {"socket", "device"} else None
    with pytest.raises((Changed, NotFound, Denied)) as caught:
        site.adapter.block(ref, seen, "op-1")
    assert not isinstance(caught.value, Denied) or kind == "link to itself"
    assert before is None or facts_of(site.path("a.jpg")) == before
    assert not list(site.held.glob("op-*"))


@pytest.mark.parametrize("kind", list(SWAPPED_IN))
def test_thing_put_at_blocked_name_is_told(site: HostileSite, kind: str) -> None:
    ref = site.mine()
    receipt = site.block(ref)
    SWAPPED_IN[kind](site.path("a.jpg"))
    state = site.adapter.origin_state(ref, receipt)
    assert state.origin is (Origin.BLOCKED if kind == "dangling link" else state.origin)
    assert state.origin in (Origin.REPLACED, Origin.LEAKING) or kind == "dangling link"
    assert site.read(ref, receipt) == BODY


@pytest.mark.parametrize("moment", ["before the look", "before the block", "after the block"])
def test_deleting_helps_nobody(site: HostileSite, moment: str) -> None:
    ref = site.mine()
    if moment == "before the look":
        site.path("a.jpg").unlink()
        assert site.adapter.observe(ref).presence is Presence.ABSENT
        return
    seen = site.adapter.observe(ref)
    if moment == "before the block":
        site.path("a.jpg").unlink()
        with pytest.raises(NotFound):
            site.adapter.block(ref, seen, "op-1")
        return
    receipt = site.adapter.block(ref, seen, "op-1")
    assert site.as_customer(os.unlink, site.path("a.jpg")) == errno.ENOENT
    assert site.as_customer(os.unlink, site.held / "op-1" / "0") == errno.EACCES
    assert site.read(ref, receipt) == BODY


# --- much of it


def test_full_folder_is_not_walked(site: HostileSite) -> None:
    """A file of one name is blocked and given back without a look at what else lies in its folder."""
    ref = site.mine("big/a.jpg")
    for number in range(ENTRIES):
        os.close(os.open(site.path(f"big/{number}"), os.O_CREAT | os.O_WRONLY))

    def walked(*_: object) -> None:
        raise AssertionError("the folder was walked")

    with disk_calls(walked, "scandir"):
        seen = site.adapter.observe(ref)
        receipt = site.adapter.block(ref, seen, "op-1")
        assert site.adapter.origin_state(ref, receipt).origin is Origin.BLOCKED
        site.adapter.unblock(ref, receipt)
    assert site.path("big/a.jpg").read_bytes() == BODY


def test_search_ends_at_its_limits(site: HostileSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site.mine()
    for number in range(40):
        site.path("f" * 200 + str(number)).mkdir()
    for limit, value in (("WALK_WAITING_BYTES", 2_000), ("WALK_ENTRIES", 10), ("WALK_SECONDS", 0.0)):
        with monkeypatch.context() as patch:
            set_numbers(patch, walk, **{limit: value})
            search = walk.OtherNames(entries=walk.WALK_ENTRIES, seconds=walk.WALK_SECONDS)
            root_fd = os.open(site.root, os.O_RDONLY)
            search.find(root_fd, site.ref("a.jpg"), site.path("a.jpg").stat(), 2)
            os.close(root_fd)
            assert not search.complete, limit


def test_huge_hole_is_blocked_at_once(site: HostileSite) -> None:
    """A terabyte that takes no room: blocked without being read, told with its apparent size, given back as thin."""
    ref = site.mine()
    os.truncate(site.path("a.jpg"), 1 << 40)
    seen = site.adapter.observe(ref)
    assert seen.versions[0].size_bytes == 1 << 40
    receipt = site.adapter.block(ref, seen, "op-1")
    with site.adapter.open(ref, receipt.pins[0], offset=(1 << 40) - 100) as reader:
        assert reader.read(4096) == bytes(100)
        assert reader.read(4096) == b""
    site.adapter.unblock(ref, receipt)
    assert site.path("a.jpg").stat().st_blocks <= 8


# --- dress


def _plain(site: HostileSite, path: Path) -> None:
    path.chmod(0o644)


def _many_attributes(site: HostileSite, path: Path) -> None:
    number = 0
    while True:
        try:
            os.setxattr(path, f"user.n{number}", bytes([number % 251]) * 30)
        except OSError:
            return
        number += 1


def _lists(site: HostileSite, path: Path) -> None:
    subprocess.run(["setfacl", "-m", "u:1999:rwx,g:1998:r,m::rwx", path], check=True)
    subprocess.run(["setfacl", "-d", "-m", "u:1999:rwx", path.parent], check=True)


DRESSES: dict[str, Callable[[HostileSite, Path], object]] = {
    "mode 000": lambda site, path: path.chmod(0),
    "setuid and setgid": lambda site, path: path.chmod(0o6755),
    "sticky": lambda site, path: path.chmod(0o1644),
    "another owner": lambda site, path: os.chown(path, 1999, 1998),
    "folder without rights": lambda site, path: path.parent.chmod(0),
    "folder of setgid and sticky": lambda site, path: path.parent.chmod(0o3555),
    "folder of another owner": lambda site, path: os.chown(path.parent, 1999, 1998),
    "attributes to the limit": _many_attributes,
    "access lists": _lists,
    "append only": lambda site, path: subprocess.run(["chattr", "+a", path], check=True),
    "immutable": lambda site, path: subprocess.run(["chattr", "+i", path], check=True),
    "immutable folder": lambda site, path: subprocess.run(["chattr", "+i", path.parent], check=True),
    "no access times": lambda site, path: subprocess.run(["chattr", "+A", path], check=True),
    "times of long ago": lambda site, path: os.utime(path, ns=(-5_000_000_001, -7_000_000_003)),
    "times to come": lambda site, path: os.utime(path, ns=(4_000_000_000_000_000_001, 4_100_000_000_000_000_003)),
}


@pytest.mark.parametrize("dress", list(DRESSES))
def test_every_dress_comes_back(site: HostileSite, dress: str) -> None:
    ref = site.mine("d/a.jpg")
    path = site.path("d/a.jpg")
    DRESSES[dress](site, path)
    before = whole(path), whole(path.parent)
    receipt = site.block(ref)
    assert not path.exists()
    assert site.adapter.freeze(ref, receipt).promised
    assert site.read(ref, receipt) == BODY
    assert site.adapter.unblock(ref, receipt).losses == ()
    assert (whole(path), whole(path.parent)) == before
