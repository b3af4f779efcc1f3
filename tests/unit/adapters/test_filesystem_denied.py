"""What is no plain file, out of the customer's scope or on another disk is refused and left as it is."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.contract import Denied, Ref, Unsupported
from adapters.filesystem.adapter import FilesystemAdapter
from tests.unit.adapters.docroot import SCOPE, Docroot


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, 0x103)])
def test_only_plain_files_are_taken(site: Docroot, make: Callable[[Path], object]) -> None:
    make(site.path("x"))
    with pytest.raises(Denied):
        site.adapter.observe(site.ref("x"))


def test_sockets_are_denied(site: Docroot) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(site.path("x")))
        with pytest.raises(Denied):
            site.adapter.observe(site.ref("x"))


@pytest.mark.parametrize("locator", [b"", b"/acme/a.jpg", b"acme/../other/b.jpg", b"other/b.jpg", b"acme/\0", b"acme"])
def test_strange_locators_are_denied(site: Docroot, locator: bytes) -> None:
    with pytest.raises(Denied):
        site.adapter.observe(Ref(locator=locator, scope=SCOPE))


@pytest.mark.parametrize("target", ["../other/b.jpg", "/etc/hostname", "../../held", "up/../../other/b.jpg"])
def test_links_out_of_scope_are_denied(site: Docroot, target: str) -> None:
    (site.root / "other" / "b.jpg").write_bytes(b"not ours")
    site.path("up").mkdir()
    site.path("link").symlink_to(target)
    with pytest.raises(Denied):
        site.adapter.observe(site.ref("link"))


def test_scope_is_not_a_prefix(site: Docroot) -> None:
    (site.root / "acme2").mkdir()
    (site.root / "acme2" / "a.jpg").write_bytes(b"another's")
    with pytest.raises(Denied):
        site.adapter.observe(Ref(locator=b"acme2/a.jpg", scope=b"acme"))


def test_link_loop_is_denied(site: Docroot) -> None:
    site.path("x").symlink_to("y")
    site.path("y").symlink_to("x")
    with pytest.raises(Denied):
        site.adapter.observe(site.ref("x"))


def test_other_mount_is_unsupported(site: Docroot, tmp_path: Path) -> None:
    there = Path("/dev/shm") / f"takedown-{os.getpid()}"  # another filesystem, not a shared name
    there.mkdir()
    (there / "acme").mkdir()
    (there / "acme" / "a.jpg").write_bytes(b"elsewhere")
    try:
        adapter = FilesystemAdapter("shm", str(there), str(tmp_path / "held2"))
        ref = Ref(locator=b"acme/a.jpg", scope=SCOPE)
        with pytest.raises(Unsupported, match="mount"):
            adapter.block(ref, adapter.observe(ref), "op-1")
        assert (there / "acme" / "a.jpg").read_bytes() == b"elsewhere"
        assert "block" not in adapter.probe().can
    finally:
        subprocess.run(["rm", "-r", there], check=True)


def test_bad_directories_are_refused(site: Docroot, tmp_path: Path) -> None:
    root = str(site.root)
    (tmp_path / "wide").mkdir(mode=0o755)
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", 1234, 0)
    (tmp_path / "link").symlink_to(site.held)
    for held in (site.root / "held", tmp_path / "wide", tmp_path / "theirs", tmp_path / "link", tmp_path):
        with pytest.raises(ValueError, match="quarantine_dir"):
            FilesystemAdapter("www", root, str(held))
    with pytest.raises(ValueError, match="root"):
        FilesystemAdapter("www", "www", str(site.held))
