"""Descriptors, mappings and leases that the customer's own processes keep over a block."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import itertools
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import Changed, Origin, Presence
from adapters.filesystem import syscalls
from tests.doubles.kernel_calls import KernelCalls
from tests.faults.hostile_customers import BODY, HostileSite, hostile_site, tries
from tests.faults.scale import TORTURE
from tests.support import wait_until

SECONDS = 30.0 if TORTURE else 1.5
LEASE_KEPT_SECONDS = 60.0 if TORTURE else 0.5
"""The kernel takes a lease away after 45 s by default; the sample's customer gives it back before."""
AT_FDCWD, AT_SYMLINK_FOLLOW = -100, 0x400
O_TMPFILE = 0o20000000 | os.O_DIRECTORY
_LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def site() -> Iterator[HostileSite]:
    with hostile_site() as made:
        yield made


# --- what the customer's process does


def map_and_write(turns: Any, path: Path) -> None:
    """Through memory there is no system call that could be refused."""
    fd = os.open(path, os.O_RDWR)
    memory = mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    for number in itertools.count():
        memory[number % 4096] = number % 251
        turns.value += 1


def append_for_ever(turns: Any, path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    while True:
        with contextlib.suppress(OSError):
            os.write(fd, b"more and more ")
        turns.value += 1


def touch_for_ever(turns: Any, path: Path) -> None:
    """Never a byte is written, yet the change time moves on, so no observation stays true."""
    fd = os.open(path, os.O_RDONLY)
    for number in itertools.count():
        with contextlib.suppress(OSError):
            os.fchmod(fd, 0o644 if number % 2 else 0o640)
        turns.value += 1


def open_for_ever(turns: Any, path: Path) -> None:
    while True:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        turns.value += 1


def lease_for_ever(turns: Any, path: Path, kept_seconds: float) -> None:
    """Hold a lease, which refuses every open that does not wait; give it back late and ask for it again at once."""
    fd = os.open(path, os.O_RDWR)
    fcntl.fcntl(fd, fcntl.F_SETSIG, 0x17)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    turns.value = 1
    time.sleep(kept_seconds)
    while True:
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)


# --- the cases


def test_mapped_writer_is_stopped(site: HostileSite) -> None:
    ref = site.mine(body=bytes(8192))
    with site.path("a.jpg").open("rb") as file:
        os.fsync(file.fileno())  # else the disk's own journal would write it back, and stop the writer for us
    with site.customer_does(map_and_write, site.path("a.jpg")) as turns:
        wait_until(lambda: turns.value > 100, "the customer writes", seconds=60)
        receipt = site.block(ref)
        held = site.read(ref, receipt)
        wait_until(lambda: _stands_still(turns), "the kernel stopped the writer", seconds=60)
        assert site.adapter.freeze(ref, receipt).promised
        assert site.read(ref, receipt) == held
    assert site.read(ref, receipt) == held


def _beyond(turns: Any, least: int) -> bool:
    return bool(turns.value > least)


def _stands_still(turns: Any) -> bool:
    before = turns.value
    time.sleep(0.05)
    return bool(turns.value == before)


def test_endless_append_is_blocked_and_cut(site: HostileSite) -> None:
    ref = site.mine()
    with site.customer_does(append_for_ever, site.path("a.jpg")) as turns:
        receipt = _block_patiently(site, ref, turns)
        held = site.read(ref, receipt)
        frozen = site.adapter.freeze(ref, receipt)
        assert frozen.promised
        assert "writing" in " ".join(frozen.residual)
        assert site.read(ref, receipt) == held
    assert held.startswith(BODY)


def test_endless_touch_does_not_save_file(site: HostileSite) -> None:
    ref = site.mine()
    with site.customer_does(touch_for_ever, site.path("a.jpg")) as turns:
        receipt = _block_patiently(site, ref, turns)
        assert not site.path("a.jpg").exists()
        assert site.read(ref, receipt) == BODY


def _block_patiently(site: HostileSite, ref: Any, turns: Any) -> Any:
    """Each try comes after a change, so none could succeed that insists on what was seen. Several are fine."""
    for number, over in tries(20.0):
        assert not over, "the customer kept the file up"
        seen, before = site.adapter.observe(ref), turns.value
        wait_until(partial(_beyond, turns, before + 2), "the customer goes on", seconds=60)
        with contextlib.suppress(Changed):
            return site.adapter.block(ref, seen, f"op-{number}")
    raise AssertionError


def test_lease_delays_and_does_not_save(site: HostileSite) -> None:
    ref = site.mine()
    with site.customer_does(lease_for_ever, site.path("a.jpg"), LEASE_KEPT_SECONDS):
        receipt = site.block(ref)
        assert not site.path("a.jpg").exists()
        assert site.read(ref, receipt) == BODY
        assert site.adapter.origin_state(ref, receipt).origin is Origin.BLOCKED


def test_opening_customer_ends_no_process(site: HostileSite) -> None:
    """While we ask by a lease who is writing, an open by somebody else makes the kernel signal us."""
    site.mine()
    script = (
        "import os, sys, time\n"
        "from adapters.filesystem import syscalls\n"
        "fd, ends = os.open(sys.argv[1], os.O_RDONLY), time.monotonic() + float(sys.argv[2])\n"
        "print('ready', flush=True)\n"
        "while time.monotonic() < ends:\n"
        "    syscalls.nobody_writes(fd)\n"
    )
    with site.customer_does(open_for_ever, site.path("a.jpg")) as turns:
        begun = turns.value
        asking = subprocess.run([sys.executable, "-c", script, site.path("a.jpg"), str(SECONDS)], check=False)
        assert turns.value - begun > 100
    assert asking.returncode == 0


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_DIRECT])
def test_no_call_changes_frozen_bytes(site: HostileSite, flags: int) -> None:
    """Every way to change a file that a descriptor from before offers."""
    ref = site.mine(body=bytes(8192))
    acts = {
        "write": lambda fd: os.pwrite(fd, mmap.mmap(-1, 4096), 0),
        "truncate": lambda fd: os.ftruncate(fd, 1),
        "grow": lambda fd: os.posix_fallocate(fd, 0, 1 << 20),
        "mode": lambda fd: os.fchmod(fd, 0o777),
        "times": lambda fd: os.utime(fd, ns=(1, 1)),
        "attribute": lambda fd: os.setxattr(fd, "user.x", b"1"),
        "flags": lambda fd: syscalls.set_flags(fd, 0),
        "link": lambda fd: _link_from(fd, site.path("again.jpg")),
        "open again": lambda fd: os.close(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)),
    }
    site.path("kept").parent.chmod(0o777)
    fd = os.open(site.path("a.jpg"), flags)
    try:
        receipt = site.block(ref)
        assert site.adapter.freeze(ref, receipt).promised
        refused = {name: site.as_customer(act, fd) for name, act in acts.items()}
    finally:
        os.close(fd)
    assert set(refused.values()) <= {errno.EPERM, errno.EACCES}, refused
    assert site.read(ref, receipt) == bytes(8192)


def _link_from(fd: int, path: Path) -> None:
    way = f"/proc/self/fd/{fd}".encode()
    if _LIBC.linkat(AT_FDCWD, way, AT_FDCWD, os.fsencode(path), AT_SYMLINK_FOLLOW):
        raise OSError(ctypes.get_errno(), "linkat")


def test_unnamed_file_linked_later_is_replaced(site: HostileSite) -> None:
    """The customer kept an unnamed file ready, and links it to the name once the block is done."""
    ref = site.mine()
    fd = os.open(site.path(""), O_TMPFILE | os.O_WRONLY, 0o644)
    os.write(fd, b"kept ready")
    receipt = site.block(ref)
    _link_from(fd, site.path("a.jpg"))
    os.close(fd)
    assert site.adapter.origin_state(ref, receipt).origin is Origin.REPLACED
    again = site.block(ref, "op-2")
    assert site.read(ref, again) == b"kept ready"
    assert site.read(ref, receipt) == BODY


def test_reading_descriptor_reads_on(site: HostileSite) -> None:
    """What nobody can take back: who has it open reads to the end. It changes nothing and is said by `probe`."""
    ref = site.mine()
    with site.path("a.jpg").open("rb") as file:
        site.block(ref)
        assert file.read() == BODY
    assert any("download" in note for note in site.adapter.probe().notes)


def test_flags_that_fail_promise_nothing(site: HostileSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be frozen, a late write is noticed by its change time instead."""

    def refuse(fd: int, flags: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    KernelCalls(monkeypatch).replace(set_flags=refuse)
    site.again()
    ref = site.mine()
    with site.path("a.jpg").open("r+b", buffering=0) as file:
        receipt = site.block(ref)
        frozen = site.adapter.freeze(ref, receipt)
        assert not frozen.promised
        assert len(frozen.residual) == 2
        file.write(b"late")
    with pytest.raises(Changed):
        site.read(ref, receipt)
    assert site.adapter.observe(ref).presence is Presence.BLOCKED
