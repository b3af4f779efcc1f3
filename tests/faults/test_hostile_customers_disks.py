"""Mounts in the way, full disks and quotas, attributes without measure."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.agent import protocol
from adapters.contract import Conflict, Origin, Presence, Retryable, Unsupported, to_json
from adapters.filesystem import syscalls
from tests.faults.hostile_customers import BODY, HostileSite, facts_of, hostile_site
from tests.support import need_program, need_root

MIB = 1024 * 1024


@pytest.fixture
def site() -> Iterator[HostileSite]:
    with hostile_site() as made:
        yield made


@contextmanager
def mounted(*words: str | Path) -> Iterator[None]:
    need_root()
    subprocess.run([need_program("mount"), *words], check=True)
    try:
        yield
    finally:
        subprocess.run([need_program("umount"), words[-1]], check=True)


@pytest.fixture
def small() -> Iterator[HostileSite]:
    """A disk of 4 MiB with everything on it."""
    base = Path(tempfile.mkdtemp(prefix="hostile-disk-"))
    with mounted("-t", "tmpfs", "-o", "size=4m", "none", base), hostile_site(base / "site") as made:
        yield made
    base.rmdir()


def fill(site: HostileSite) -> Path:
    """To the last byte."""
    hog = site.path("hog")
    with contextlib.suppress(OSError), hog.open("wb", buffering=0) as file:
        for piece in (MIB // 16, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(piece)):
                    pass
    assert os.statvfs(site.base).f_bavail == 0
    return hog


# --- mounts


def test_neighbour_mounted_inside_is_refused(site: HostileSite) -> None:
    """The neighbour's folder shows up in the customer's by a bind mount: no name of it is the customer's to lose."""
    site.path("in").mkdir()
    with mounted("--bind", site.root / "other", site.path("in")):
        for name in ("in/a.jpg", "in/-rf", "in/d/a.jpg"):
            ref = site.ref(name)
            with pytest.raises(Unsupported, match="mount"):
                site.adapter.block(ref, site.adapter.observe(ref), "op-1")
        site.assert_neighbours_untouched()
        assert not list(site.held.glob("op-*"))


def test_mounted_file_is_refused(site: HostileSite) -> None:
    ref = site.mine()
    with mounted("--bind", site.root / "other" / "a.jpg", site.path("a.jpg")):
        with pytest.raises(Unsupported, match="mount"):
            site.adapter.block(ref, site.adapter.observe(ref), "op-1")
        site.assert_neighbours_untouched()
    assert site.path("a.jpg").read_bytes() == BODY


def test_names_are_not_sought_through_mounts(site: HostileSite) -> None:
    """By the mount the neighbour's name of the same file would look like the customer's own."""
    ref = site.mine()
    theirs = site.root / "other" / "d" / "shared.jpg"
    theirs.hardlink_to(site.path("a.jpg"))
    site.before |= {str(path): facts_of(path) for path in (theirs, theirs.parent)}
    site.shared.add(str(theirs))
    site.path("in").mkdir()
    with mounted("--bind", site.root / "other", site.path("in")):
        seen = site.adapter.observe(ref)
        assert [name.in_scope for name in seen.other_names] == [False]
        receipt = site.adapter.block(ref, seen, "op-1")
        assert receipt.residual
        assert site.adapter.origin_state(ref, receipt).origin is Origin.LEAKING
        site.adapter.unblock(ref, receipt)


def test_mount_over_the_folder_is_a_conflict(site: HostileSite) -> None:
    """Something was mounted where the file was, after the block: it waits until that is gone."""
    ref = site.mine("d/a.jpg")
    receipt = site.block(ref)
    with mounted("-t", "tmpfs", "none", site.path("d")):
        with pytest.raises(Conflict):
            site.adapter.unblock(ref, receipt)
        assert site.read(ref, receipt) == BODY
    site.adapter.unblock(ref, receipt)
    assert site.path("d/a.jpg").read_bytes() == BODY


# --- full


def test_full_disk_waits_and_loses_nothing(small: HostileSite) -> None:
    """The customer fills the disk so that no intent can be written: tried again, and done once there is room."""
    ref = small.mine()
    seen = small.adapter.observe(ref)
    hog = fill(small)
    with pytest.raises(Retryable):
        small.adapter.block(ref, seen, "op-1")
    assert small.path("a.jpg").read_bytes() == BODY
    assert not [path for path in small.held.rglob("*") if path.is_file()]
    hog.unlink()
    receipt = small.adapter.block(ref, seen, "op-1")
    assert small.read(ref, receipt) == BODY


def test_blocked_file_stays_on_the_customers_account(site: HostileSite) -> None:
    """What lies in quarantine takes no room of its own, and counts for its owner's quota as before."""
    ref = site.mine(body=os.urandom(MIB))
    known = site.path("a.jpg").stat()
    receipt = site.block(ref)
    held = (site.held / receipt.op_id / "0").stat()
    assert (held.st_uid, held.st_gid, held.st_blocks) == (known.st_uid, known.st_gid, known.st_blocks)
    ours = [path.stat().st_blocks for path in site.held.rglob("*") if path.is_file() and path.name != "0"]
    assert sum(ours) * 512 <= 64 * 1024


def test_full_disk_takes_nothing_from_an_undo(small: HostileSite) -> None:
    ref = small.mine("d/a.jpg")
    receipt = small.block(ref)
    hog = fill(small)
    with pytest.raises(Retryable):
        small.adapter.unblock(ref, receipt)
    assert small.read(ref, receipt) == BODY
    hog.unlink()
    small.adapter.unblock(ref, receipt)
    assert small.path("d/a.jpg").read_bytes() == BODY


# --- attributes


def test_huge_attributes_do_not_shield(small: HostileSite) -> None:
    """Some filesystems take megabytes of them: what was seen must still pass through the agent, and the undo hold."""
    subprocess.run(["mount", "-o", "remount,size=64m", small.base.parent], check=True)
    ref = small.mine()
    path = small.path("a.jpg")
    wrote = 0
    for number in range(160):
        try:
            os.setxattr(path, f"user.{number}", bytes([number]) * 60_000)
        except OSError:
            break
        wrote += 60_000
    known = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    seen = small.adapter.observe(ref)
    assert seen.presence is Presence.PRESENT
    assert len(json.dumps(to_json(seen))) < protocol.MAX_FRAME_BYTES // 2
    receipt = small.adapter.block(ref, seen, "op-1")
    assert wrote == 0 or max(map(len, known.values())) == 60_000
    assert small.adapter.unblock(ref, receipt).losses == ()
    assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == known


def test_flags_work_on_this_disk(site: HostileSite) -> None:
    """Were the flag not to work here, most of these tests would say nothing."""
    ref = site.mine()
    receipt = site.block(ref)
    fd = os.open(site.held / receipt.op_id / "0", os.O_RDONLY)
    flags = syscalls.get_flags(fd) or 0
    os.close(fd)
    assert flags & syscalls.IMMUTABLE
