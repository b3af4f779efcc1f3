"""How a customer may name it: odd bytes, lookalikes, thousands of names of one file."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.contract import Denied, Origin, Presence, Ref
from adapters.filesystem import walk
from tests.faults.hostile_customers import BODY, CUSTOMER_ID, HostileSite, facts_of, hostile_site, whole
from tests.faults.scale import TORTURE
from tests.unit.adapters.docroot import SCOPE

LINKS = 10_000 if TORTURE else 600
ENTRIES = 100_000 if TORTURE else 2_000


@pytest.fixture
def site() -> Iterator[HostileSite]:
    with hostile_site() as made:
        yield made


# --- names


LOOKALIKES = [
    b"...", b".. ", b" ..", b"..\n", b"%2e%2e", b"..%2fother", b"\xc0\xae\xc0\xae", "\u2025".encode(), b"..;", b"-rf",
    b"--help", b"a:b#c", b"new\nline", b"\xff\xfe", b"n" * 255, b"CON", b"a.jpg ", b"~", b"*",
]  # fmt: skip


@pytest.mark.parametrize("name", LOOKALIKES, ids=repr)
def test_odd_name_means_itself(site: HostileSite, name: bytes) -> None:
    ref = site.mine(os.fsdecode(name))
    before = whole(site.path(os.fsdecode(name)))
    receipt = site.block(ref)
    assert os.fsdecode(name) not in os.listdir(site.path(""))
    assert site.adapter.observe(ref).presence is Presence.BLOCKED
    assert site.read(ref, receipt) == BODY
    assert site.adapter.unblock(ref, receipt).losses == ()
    assert whole(site.path(os.fsdecode(name))) == before


@pytest.mark.parametrize("name", [b"n" * 256, b"d/" + b"n" * 300, b"n" * 256 + b"/a.jpg"])
def test_name_no_file_can_have_is_absent(site: HostileSite, name: bytes) -> None:
    assert site.adapter.observe(Ref(locator=b"acme/" + name, scope=SCOPE)).presence is Presence.ABSENT


def test_path_no_call_can_take_is_denied(site: HostileSite) -> None:
    with pytest.raises(Denied):
        site.adapter.observe(Ref(locator=b"acme/" + b"d/" * 2048 + b"a.jpg", scope=SCOPE))


def test_other_case_is_another_file(site: HostileSite) -> None:
    ref = site.mine("a.jpg")
    site.mine("A.JPG", b"another")
    receipt = site.block(ref)
    assert site.path("A.JPG").read_bytes() == b"another"
    assert site.adapter.origin_state(ref, receipt).origin is Origin.BLOCKED


def test_name_hidden_too_deep_is_reported(site: HostileSite) -> None:
    """A second name at the end of a path that is longer than any call takes: not found, and that is said."""
    ref = site.mine()
    fd, depth = os.open(site.path(""), os.O_RDONLY), 0
    while depth < 4300:
        os.mkdir(b"d" * 200, dir_fd=fd)
        below = os.open(b"d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd, depth = below, depth + 201
    os.link(site.path("a.jpg"), "deep.jpg", dst_dir_fd=fd)
    try:
        seen = site.adapter.observe(ref)
        assert any("not searched" in note for note in seen.notes)
        receipt = site.adapter.block(ref, seen, "op-1")
        assert receipt.residual
        assert site.adapter.origin_state(ref, receipt).origin is Origin.LEAKING
        assert site.adapter.unblock(ref, receipt).losses == ()
    finally:
        os.unlink("deep.jpg", dir_fd=fd)
        os.close(fd)


# --- several names of one inode


def test_shared_inode_keeps_the_neighbours_name(site: HostileSite) -> None:
    """Two customers own names of one inode: only this one's name is moved, and the other is named as residual."""
    ref = site.mine()
    theirs = site.root / "other" / "d" / "shared.jpg"
    theirs.hardlink_to(site.path("a.jpg"))
    site.before |= {str(path): facts_of(path) for path in (theirs, theirs.parent)}
    site.shared.add(str(theirs))
    flags = site.before[str(theirs)][9]
    receipt = site.block(ref)
    assert site.adapter.origin_state(ref, receipt).origin is Origin.LEAKING
    site.assert_neighbours_untouched()
    site.adapter.unblock(ref, receipt)
    assert facts_of(theirs)[9] == flags
    again = site.block(ref, "op-2")
    assert site.adapter.remove(ref, site.proof(again), again, "op-3").outcome == "unreachable_retained"
    assert facts_of(theirs)[9] == flags


def test_thousands_of_names_are_closed(site: HostileSite) -> None:
    """More names than are moved one by one: the file itself is closed, and comes back as it was by all of them."""
    ref = site.mine("d/a.jpg")
    os.chown(site.path("d/a.jpg"), CUSTOMER_ID, CUSTOMER_ID)
    subprocess.run(["setfacl", "-m", "u:1999:rx,m::rx", site.path("d/a.jpg")], check=True)
    os.setxattr(site.path("d/a.jpg"), "user.note", b"mine")
    site.path("d/a.jpg").chmod(0o4755)
    names = [site.path(f"n{number}.jpg") for number in range(LINKS)]
    for name in names:
        name.hardlink_to(site.path("d/a.jpg"))
    before = whole(site.path("d/a.jpg"))
    receipt = site.block(ref)
    assert any("closed to everybody" in door for door in receipt.doors)
    assert any("nobody can read" in words for words in receipt.residual)
    assert site.adapter.origin_state(ref, receipt).origin is Origin.BLOCKED
    left = [name for name in names if name.exists()]
    assert 0 < len(left) < LINKS
    assert site.as_customer(_open_any, left) == errno.EACCES
    assert site.read(ref, receipt) == BODY
    assert site.adapter.unblock(ref, receipt).losses == ()
    assert whole(site.path("d/a.jpg")) == before
    assert all(name.exists() for name in names)


def _open_any(paths: list[Path]) -> None:
    errors = []
    for path in paths:
        try:
            path.read_bytes()
        except OSError as exc:
            errors.append(exc)
    if len(errors) == len(paths):
        raise errors[0]


def test_closed_names_stay_closed_after_removal(site: HostileSite) -> None:
    ref = site.mine()
    names = [site.path(f"n{number}.jpg") for number in range(walk.MAX_NAMES + 20)]
    for name in names:
        name.hardlink_to(site.path("a.jpg"))
    receipt = site.block(ref)
    done = site.adapter.remove(ref, site.proof(receipt), receipt, "op-2")
    assert done.outcome == "unreachable_retained"
    assert site.as_customer(_open_any, [name for name in names if name.exists()]) == errno.EACCES


def test_neighbours_name_is_never_closed(site: HostileSite) -> None:
    """As many names, one of them the neighbour's: then the inode is not closed, and a person is told that it leaks."""
    ref = site.mine()
    theirs = site.root / "other" / "d" / "shared.jpg"
    theirs.hardlink_to(site.path("a.jpg"))
    site.before |= {str(path): facts_of(path) for path in (theirs, theirs.parent)}
    site.shared.add(str(theirs))
    for number in range(walk.MAX_NAMES + 20):
        site.path(f"n{number}.jpg").hardlink_to(site.path("a.jpg"))
    receipt = site.block(ref)
    assert not any("closed" in door for door in receipt.doors)
    assert receipt.residual
    assert site.adapter.origin_state(ref, receipt).origin is Origin.LEAKING
