from __future__ import annotations

import errno
import itertools
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import Changed, Conflict, Denied, NotFound, Origin, Pin, Presence, Ref, Unsupported
from adapters.filesystem import syscalls
from adapters.filesystem.adapter import FilesystemAdapter
from adapters.filesystem.walk import OtherNames
from tests.unit.adapters.docroot import SCOPE, Docroot, facts


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Docroot]:
    made = Docroot(tmp_path)
    yield made
    made.clear()


def is_immutable(path: Path) -> bool:
    fd = os.open(path, os.O_RDONLY)
    try:
        return bool((syscalls.get_flags(fd) or 0) & syscalls.IMMUTABLE)
    finally:
        os.close(fd)


# --- fidelity


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


# --- what is refused


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


# --- links and names


@pytest.mark.parametrize("absolute", [False, True])
def test_links_inside_are_followed(site: Docroot, absolute: bool) -> None:
    site.put("releases/5/a.jpg")
    site.path("current").symlink_to(site.path("releases/5") if absolute else "releases/5")
    ref = site.ref("current/a.jpg")
    seen = site.adapter.observe(ref)
    assert seen.resolved == b"acme/releases/5/a.jpg"
    assert len(seen.versions[0].attributes["links"]) == 1
    receipt = site.adapter.block(ref, seen, "op-1")
    assert not site.path("releases/5/a.jpg").exists()
    assert site.adapter.origin_state(ref, receipt).origin is Origin.BLOCKED
    site.path("current").unlink()
    site.adapter.unblock(ref, receipt)
    assert site.path("releases/5/a.jpg").read_bytes() == b"a colour field"


def test_relinked_name_is_replaced(site: Docroot) -> None:
    site.put("one.jpg")
    site.put("two.jpg", b"other bytes")
    site.path("a.jpg").symlink_to("one.jpg")
    ref = site.ref("a.jpg")
    receipt = site.block(ref)
    site.path("a.jpg").unlink()
    site.path("a.jpg").symlink_to("two.jpg")
    assert site.adapter.origin_state(ref, receipt).origin is Origin.REPLACED


def test_name_leading_out_is_leaking(site: Docroot) -> None:
    ref = site.put()
    receipt = site.block(ref)
    site.path("a.jpg").symlink_to("../other/b.jpg")
    assert site.adapter.origin_state(ref, receipt).origin is Origin.LEAKING


def test_many_names_block_and_return(site: Docroot) -> None:
    ref = site.put()
    names = [f"d{n}/copy {n}\n.jpg" for n in range(5)]
    for name in names:
        site.path(name).parent.mkdir()
        site.path(name).hardlink_to(site.path("a.jpg"))
    before = facts(site.path("a.jpg"))
    receipt = site.block(ref)
    assert not any(site.path(name).exists() for name in ("a.jpg", *names))
    for name in names:
        assert site.adapter.observe(site.ref(name)).presence is Presence.BLOCKED
    site.adapter.unblock(ref, receipt)
    assert facts(site.path("a.jpg")) == before
    assert all(site.path(name).samefile(site.path("a.jpg")) for name in names)


def test_name_added_meanwhile_is_taken(site: Docroot) -> None:
    ref = site.put()
    site.path("b.jpg").hardlink_to(site.path("a.jpg"))
    seen = site.adapter.observe(ref)
    site.path("b.jpg").rename(site.path("c.jpg"))
    with pytest.raises(Changed):
        site.adapter.block(ref, seen, "op-0")
    receipt = site.adapter.block(ref, site.adapter.observe(ref), "op-1")
    assert not site.path("c.jpg").exists()
    assert receipt.residual == ()


def test_name_added_during_block_is_taken(site: Docroot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The customer makes another name of the file from a descriptor, right after its first name was moved."""
    ref = site.put()
    seen = site.adapter.observe(ref)
    real = syscalls.rename_no_replace
    added: list[int] = []

    def then_link(*args: Any) -> None:
        real(*args)
        if not added:
            added.append(1)
            site.path("deep").mkdir()
            os.link(site.held / "op-1" / "0", site.path("deep/extra.jpg"))

    monkeypatch.setattr(syscalls, "rename_no_replace", then_link)
    receipt = site.adapter.block(ref, seen, "op-1")
    assert not site.path("deep/extra.jpg").exists()
    assert receipt.residual == ()
    assert site.adapter.origin_state(ref, receipt).origin is Origin.BLOCKED
    site.again()
    site.adapter.unblock(ref, receipt)
    assert site.path("deep/extra.jpg").samefile(site.path("a.jpg"))


def test_stray_in_the_way_is_kept(site: Docroot, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was swapped in cannot go back, since something newer took its place: all three files survive."""
    ref = site.put()
    seen = site.adapter.observe(ref)
    real, calls = syscalls.rename_no_replace, []

    def swapped(*args: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            site.path("a.jpg").rename(site.path("moved.jpg"))
            site.put(body=b"swapped in")
        if len(calls) == 2:
            site.put(body=b"newer still")
        real(*args)

    monkeypatch.setattr(syscalls, "rename_no_replace", swapped)
    with pytest.raises(Changed):
        site.adapter.block(ref, seen, "op-1")
    assert site.path("a.jpg").read_bytes() == b"newer still"
    assert site.path("moved.jpg").read_bytes() == b"a colour field"
    assert (site.held / "op-1" / "stray-1").read_bytes() == b"swapped in"


def test_remade_folder_gives_nothing_away(site: Docroot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The customer swaps the folder we make again for a link; what the link names keeps its owner and mode."""
    ref = site.put("d/a.jpg")
    os.chown(site.path("d"), 1234, 1234)
    receipt = site.block(ref)
    site.path("d").rmdir()
    secret = site.root / "other" / "secret"
    secret.mkdir(mode=0o700)
    real = syscalls.make_directory

    def swapped(dir_fd: int, name: bytes) -> bool:
        made = real(dir_fd, name)
        if name == b"d":
            site.path("d").rmdir()
            site.path("d").symlink_to("../other/secret")
        return made

    monkeypatch.setattr(syscalls, "make_directory", swapped)
    with pytest.raises(Conflict):
        site.adapter.unblock(ref, receipt)
    assert secret.stat().st_uid == 0
    assert os.listdir(secret) == []
    assert site.read(ref, receipt) == b"a colour field"


def test_names_outside_scope_leak(site: Docroot) -> None:
    ref = site.put()
    (site.root / "other" / "b.jpg").hardlink_to(site.path("a.jpg"))
    receipt = site.block(ref)
    state = site.adapter.origin_state(ref, receipt)
    assert state.origin is Origin.LEAKING
    assert state.doors
    done = site.adapter.remove(ref, site.proof(receipt), receipt, "op-2")
    assert done.outcome == "unreachable_retained"
    assert (site.root / "other" / "b.jpg").read_bytes() == b"a colour field"
    assert not is_immutable(site.root / "other" / "b.jpg")


def test_search_for_names_is_bounded(site: Docroot) -> None:
    site.put()
    for n in range(20):
        site.put(f"{n}.jpg")
    search = OtherNames(entries=10)
    fd = os.open(site.root, os.O_RDONLY)
    search.find(fd, site.ref("a.jpg"), site.path("a.jpg").stat(), 5)
    os.close(fd)
    assert not search.complete


# --- a hostile customer


def test_swap_race_moves_nothing_else(site: Docroot) -> None:
    """A loop swaps the folder for a link to another customer's; only the customer's own file may ever be taken."""
    secret = site.root / "other" / "a.jpg"
    secret.write_bytes(b"not the customer's")
    site.put("d/a.jpg")
    stop, still = threading.Event(), threading.Lock()

    def swap() -> None:
        while not stop.is_set():
            with still:
                site.path("d").rename(site.path("real"))
                site.path("d").symlink_to("../other")
                site.path("d").unlink()
                site.path("real").rename(site.path("d"))
            time.sleep(0.002)

    thread = threading.Thread(target=swap)
    thread.start()
    blocked = 0
    try:
        until = time.monotonic() + 20
        for number in itertools.count():
            if blocked == 20 or time.monotonic() > until:
                break
            ref, op_id = site.ref("d/a.jpg"), f"op-{number}"
            try:
                receipt = site.block(ref, op_id)
            except (NotFound, Changed, Denied):
                continue
            blocked += 1
            assert site.read(ref, receipt) == b"a colour field"
            with still:
                site.adapter.unblock(ref, receipt)
    finally:
        stop.set()
        thread.join()
    assert blocked == 20
    assert secret.read_bytes() == b"not the customer's"
    assert secret.stat().st_nlink == 1


def test_inode_swap_is_put_back(site: Docroot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is swapped between our last look and the move: what came along goes back, untouched."""
    ref = site.put()
    seen = site.adapter.observe(ref)
    real = syscalls.rename_no_replace
    swaps: list[int] = []

    def swapped(*args: Any) -> None:
        if not swaps:
            swaps.append(1)
            site.put("new", b"swapped in")
            site.path("new").rename(site.path("a.jpg"))
        real(*args)

    monkeypatch.setattr(syscalls, "rename_no_replace", swapped)
    with pytest.raises(Changed):
        site.adapter.block(ref, seen, "op-1")
    assert site.path("a.jpg").read_bytes() == b"swapped in"
    assert [name for name in os.listdir(site.held) if not name.startswith(".")] == []


def test_endless_writer_does_not_save_file(site: Docroot) -> None:
    ref = site.put()
    with site.path("a.jpg").open("ab", buffering=0) as file:
        seen = site.adapter.observe(ref)
        file.write(b" and more")
        receipt = site.adapter.block(ref, seen, "op-1")
        with pytest.raises(PermissionError):
            file.write(b" and still more")
        frozen = site.adapter.freeze(ref, receipt)
    assert frozen.promised
    assert frozen.residual
    assert site.read(ref, receipt) == b"a colour field and more"


def test_reset_times_do_not_deceive(site: Docroot) -> None:
    ref = site.put()
    seen = site.adapter.observe(ref)
    times = site.path("a.jpg").stat()
    site.path("a.jpg").write_bytes(b"b colour field")
    os.utime(site.path("a.jpg"), ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(Changed):
        site.adapter.open(ref, seen.pins[0])
    with pytest.raises(Changed):
        site.adapter.block(ref, seen, "op-1")


def test_vanished_bytes_are_gone(site: Docroot) -> None:
    ref = site.put()
    receipt = site.block(ref)
    subprocess.run(["chattr", "-i", site.held / "op-1" / "0"], check=True)
    (site.held / "op-1" / "0").unlink()
    assert site.adapter.origin_state(ref, receipt).origin is Origin.GONE
    with pytest.raises(NotFound):
        site.adapter.unblock(ref, receipt)


def test_late_conflict_keeps_the_pin(site: Docroot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something new appears after the flag was cleared: the bytes are frozen again and the old receipt stays good."""
    ref = site.put()
    receipt = site.block(ref)
    real = syscalls.rename_no_replace

    def overtaken(*args: Any) -> None:
        site.put(body=b"uploaded again")
        real(*args)

    monkeypatch.setattr(syscalls, "rename_no_replace", overtaken)
    with pytest.raises(Conflict):
        site.adapter.unblock(ref, receipt)
    assert is_immutable(site.held / "op-1" / "0")
    assert site.read(ref, receipt) == b"a colour field"
    assert site.path("a.jpg").read_bytes() == b"uploaded again"


def test_another_objects_operation_is_denied(site: Docroot) -> None:
    receipt = site.block(site.put())
    other = site.put("b.jpg")
    for act in (
        lambda: site.adapter.unblock(other, receipt),
        lambda: site.adapter.freeze(other, receipt),
        lambda: site.adapter.remove(other, site.proof(receipt), receipt, "op-2"),
        lambda: site.adapter.block(other, site.adapter.observe(other), "op-1"),
        lambda: site.adapter.open(other, receipt.pins[0]),
    ):
        with pytest.raises(Denied):
            act()


def test_invented_pins_open_nothing(site: Docroot) -> None:
    ref = site.put()
    receipt = site.block(ref)
    for value in ("", "x", "fs1:1:2:3:4:5", f"fs1:1:2:3:4:5:{receipt.op_id}", "fs1:1:2:3:4:5:../../etc"):
        with pytest.raises((NotFound, Changed)):
            site.adapter.open(ref, Pin(value))


# --- privileges and filesystems that lack something


def test_probe_says_what_is_lost(site: Docroot, tmp_path: Path) -> None:
    assert site.adapter.probe().lost == ()
    script = (
        "import sys; from adapters.agent.privileges import keep_only; keep_only((), no_new_privileges=True);"
        "from adapters.filesystem.adapter import FilesystemAdapter;"
        "found = FilesystemAdapter('www', sys.argv[1], sys.argv[2]).probe();"
        "print(*found.can); print(*found.lost, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, site.root, site.held], capture_output=True, text=True, check=True
    )
    can, *lost = done.stdout.splitlines()
    assert "freeze" not in can
    for word in ("CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_CHOWN", "CAP_LINUX_IMMUTABLE", "CAP_LEASE"):
        assert any(word in line for line in lost)


def test_no_flag_means_no_promise(site: Docroot, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, flags: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(syscalls, "set_flags", refuse)
    site.again()
    ref = site.put()
    receipt = site.block(ref)
    frozen = site.adapter.freeze(ref, receipt)
    assert not frozen.promised
    assert frozen.residual
    assert receipt.residual
    assert "freeze" not in site.adapter.probe().can
    site.adapter.unblock(ref, receipt)
    assert site.path("a.jpg").read_bytes() == b"a colour field"


def test_memory_disk_works_alike() -> None:
    base = Path("/dev/shm") / f"takedown-m-{os.getpid()}"
    base.mkdir()
    site = Docroot(base)
    try:
        ref = site.put()
        receipt = site.block(ref)
        frozen = site.adapter.freeze(ref, receipt)
        assert frozen.promised == ("freeze" in site.adapter.probe().can)
        site.adapter.unblock(ref, receipt)
        assert site.path("a.jpg").read_bytes() == b"a colour field"
    finally:
        site.clear()
        base.rmdir()
