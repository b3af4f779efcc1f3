"""Files swapped, written or gone at the worst moment, another's receipts and pins: no wrong file is taken or opened."""

from __future__ import annotations

import itertools
import os
import subprocess
import threading
import time
from typing import Any

import pytest

from adapters.contract import Changed, Conflict, Denied, NotFound, Origin, Pin
from adapters.filesystem import syscalls
from tests.doubles.kernel_calls import KernelCalls
from tests.unit.adapters.docroot import Docroot, is_immutable


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


def test_inode_swap_is_put_back(site: Docroot, kernel: KernelCalls) -> None:
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

    kernel.replace(rename_no_replace=swapped)
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


def test_late_conflict_keeps_the_pin(site: Docroot, kernel: KernelCalls) -> None:
    """Something new appears after the flag was cleared: the bytes are frozen again and the old receipt stays good."""
    ref = site.put()
    receipt = site.block(ref)
    real = syscalls.rename_no_replace

    def overtaken(*args: Any) -> None:
        site.put(body=b"uploaded again")
        real(*args)

    kernel.replace(rename_no_replace=overtaken)
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
