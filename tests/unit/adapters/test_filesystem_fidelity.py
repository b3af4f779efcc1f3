"""An undo brings a file back exactly as it stood; to look at one or to read it leaves no trace."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from adapters.contract import Conflict, Presence
from tests.unit.adapters.docroot import Docroot, facts, is_immutable


def dressed(site: Docroot) -> Path:
    site.put()
    path = site.path("a.jpg")
    os.chown(path, 1234, 2345)
    path.chmod(0o4751)
    os.setxattr(path, "user.note", b"\x00\xffbytes")
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    os.setxattr(path, "security.capability", capability)
    subprocess.run(["setfacl", "-m", "u:1999:rx,m::rx", path], check=True)
    os.utime(path, ns=(1_111_111_111_123_456_789, 1_222_222_222_987_654_321))
    os.utime(path.parent, ns=(1_000_000_000_000_000_001, 1_000_000_000_000_000_002))
    return path


def test_unblock_restores_every_attribute(site: Docroot) -> None:
    path = dressed(site)
    before = facts(path)
    receipt = site.block(site.ref("a.jpg"))
    site.adapter.freeze(receipt.ref, receipt)
    assert site.read(receipt.ref, receipt) == b"a colour field"
    assert site.adapter.unblock(receipt.ref, receipt).losses == ()
    assert facts(path) == before


def test_existing_flags_come_back(site: Docroot) -> None:
    for flag, name in (("+i", "i.jpg"), ("+a", "a.jpg")):
        site.put(name)
        subprocess.run(["chattr", flag, site.path(name)], check=True)
        before = facts(site.path(name))
        receipt = site.block(site.ref(name), f"op-{name[0]}")
        assert not site.path(name).exists()
        site.adapter.unblock(receipt.ref, receipt)
        assert facts(site.path(name)) == before


def test_immutable_folder_is_no_obstacle(site: Docroot) -> None:
    ref = site.put("d/a.jpg")
    subprocess.run(["chattr", "+i", site.path("d")], check=True)
    receipt = site.block(ref)
    assert is_immutable(site.path("d"))
    site.adapter.unblock(ref, receipt)
    assert site.path("d/a.jpg").read_bytes() == b"a colour field"
    assert is_immutable(site.path("d"))


def test_observation_holds_the_evidence(site: Docroot) -> None:
    dressed(site)
    seen = site.adapter.observe(site.ref("a.jpg")).versions[0].attributes
    assert seen["mode"] == 0o4751
    assert (seen["uid"], seen["gid"], seen["nlink"]) == (1234, 2345, 1)
    assert seen["mtime_ns"] == "1222222222987654321"
    assert {"user.note", "security.capability", "system.posix_acl_access"} <= set(seen["xattrs"])
    assert int(seen["btime_ns"]) > 0


def test_changed_folder_keeps_its_time(site: Docroot) -> None:
    ref = site.put("d/a.jpg")
    receipt = site.block(ref)
    site.put("d/later.jpg")
    changed = site.path("d").stat().st_mtime_ns
    site.adapter.unblock(ref, receipt)
    assert site.path("d").stat().st_mtime_ns == changed


def test_deleted_folder_is_made_again(site: Docroot) -> None:
    ref = site.put("d/e/a.jpg")
    site.path("d").chmod(0o2751)
    os.chown(site.path("d/e"), 1234, 2345)
    receipt = site.block(ref)
    site.path("d/e").rmdir()
    site.path("d").rmdir()
    assert site.adapter.observe(ref).presence is Presence.BLOCKED
    assert len(site.adapter.unblock(ref, receipt).losses) == 2
    assert site.path("d/e/a.jpg").read_bytes() == b"a colour field"
    assert stat.S_IMODE(site.path("d").stat().st_mode) == 0o2751
    assert site.path("d/e").stat().st_uid == 1234


def test_deleted_customer_is_a_conflict(site: Docroot) -> None:
    ref = site.put()
    receipt = site.block(ref)
    site.path("").rmdir()
    with pytest.raises(Conflict):
        site.adapter.unblock(ref, receipt)
    assert site.read(ref, receipt) == b"a colour field"


def test_sparse_file_stays_sparse(site: Docroot) -> None:
    ref = site.put()
    with site.path("a.jpg").open("r+b") as file:
        file.truncate(1 << 30)
    receipt = site.block(ref)
    site.adapter.unblock(ref, receipt)
    assert site.path("a.jpg").stat().st_blocks <= 8


def test_preserving_leaves_no_trace(site: Docroot) -> None:
    ref = site.put()
    os.utime(site.path("a.jpg"), ns=(1, 2))
    before = site.path("a.jpg").stat()
    seen = site.adapter.observe(ref)
    with site.adapter.open(ref, seen.pins[0]) as reader:
        assert reader.read(100) == b"a colour field"
        assert reader.read(100) == b""
    assert site.path("a.jpg").stat() == before
    assert os.listdir(site.held) == []
