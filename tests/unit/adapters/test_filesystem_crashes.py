"""The process dies between any two changes to the disk; calling again finishes the work."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from adapters.contract import BlockReceipt, Origin, Ref
from adapters.filesystem import syscalls
from tests.doubles.kernel_calls import KernelCalls
from tests.unit.adapters.docroot import Docroot, facts

CHANGES = ("rename_no_replace", "set_flags", "sync", "unlink", "set_times", "make_directory", "write_durably")
MOST_STEPS = 120


class Died(BaseException):
    """The process is gone: nothing it does later, in a `finally` either, reaches the disk."""


@pytest.fixture
def die_after(kernel: KernelCalls) -> Callable[[int], None]:
    real = {name: getattr(syscalls, name) for name in CHANGES}

    def arm(steps: int) -> None:
        left = [steps]

        def watched(name: str) -> Callable[..., object]:
            def call(*args: object, **kwargs: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    raise Died
                return real[name](*args, **kwargs)

            return call

        kernel.replace(**{name: watched(name) if steps >= 0 else real[name] for name in CHANGES})

    return arm


def site_with_file(base: Path) -> Docroot:
    site = Docroot(base)
    site.put()
    for name in ("b.jpg", "d/c.jpg"):
        site.path(name).parent.mkdir(exist_ok=True)
        site.path(name).hardlink_to(site.path("a.jpg"))
    subprocess.run(["chattr", "+a", site.path("a.jpg")], check=True)
    return site


Arm = Callable[[int], None]
"""Die after so many changes of the disk; -1: never."""


def each_crash(tmp_path: Path, die_after: Arm, run: Callable[[Docroot, Callable[[], None]], None]) -> int:
    """Run `run(site, armed)` dying after 0, 1, 2, … changes until it gets through; return how many there were."""
    for steps in range(MOST_STEPS):
        base = tmp_path / str(steps)
        base.mkdir()
        site = site_with_file(base)
        try:
            try:
                run(site, partial(die_after, steps))
            except Died:
                continue
            else:
                return steps
        finally:
            die_after(-1)
            site.clear()
    raise AssertionError("it never got through")


def test_block_finishes_after_any_crash(tmp_path: Path, die_after: Arm) -> None:
    def run(site: Docroot, arm: Callable[[], None]) -> None:
        ref = site.ref("a.jpg")
        seen, before = site.adapter.observe(ref), facts(site.path("a.jpg"))
        arm()
        try:
            receipt = site.adapter.block(ref, seen, "op-1")
        except Died:
            die_after(-1)
            site.again()
            receipt = site.adapter.block(ref, seen, "op-1")
            check_blocked(site, ref, receipt, before)
            raise
        die_after(-1)
        check_blocked(site, ref, receipt, before)

    assert each_crash(tmp_path, die_after, run) > 10


def check_blocked(site: Docroot, ref: Ref, receipt: BlockReceipt, before: tuple[object, ...]) -> None:
    assert site.adapter.block(ref, site.adapter.observe(ref), "op-1") == receipt
    assert not any(site.path(name).exists() for name in ("a.jpg", "b.jpg", "d/c.jpg"))
    assert site.adapter.origin_state(ref, receipt).origin is Origin.BLOCKED
    assert site.read(ref, receipt) == b"a colour field"
    assert site.adapter.freeze(ref, receipt).promised
    site.adapter.unblock(ref, receipt)
    # The folder's time is the one thing a crash in the middle of a block may cost.
    assert facts(site.path("a.jpg"))[:-1] == before[:-1]
    assert site.path("b.jpg").samefile(site.path("a.jpg"))
    assert site.path("d/c.jpg").samefile(site.path("a.jpg"))


def test_unblock_finishes_after_any_crash(tmp_path: Path, die_after: Arm) -> None:
    def run(site: Docroot, arm: Callable[[], None]) -> None:
        ref, before = site.ref("a.jpg"), facts(site.path("a.jpg"))
        receipt = site.block(ref)
        arm()
        try:
            site.adapter.unblock(ref, receipt)
        except Died:
            die_after(-1)
            site.again()
            assert site.adapter.unblock(ref, receipt).losses == ()
            assert facts(site.path("a.jpg"))[:-1] == before[:-1]
            assert site.path("d/c.jpg").samefile(site.path("a.jpg"))
            raise
        assert facts(site.path("a.jpg")) == before

    assert each_crash(tmp_path, die_after, run) > 10


def test_remove_finishes_after_any_crash(tmp_path: Path, die_after: Arm) -> None:
    def run(site: Docroot, arm: Callable[[], None]) -> None:
        ref = site.ref("a.jpg")
        receipt = site.block(ref)
        arm()
        try:
            site.adapter.remove(ref, site.proof(receipt), receipt, "op-2")
        except Died:
            die_after(-1)
            site.again()
            done = site.adapter.remove(ref, site.proof(receipt), receipt, "op-2")
            assert done.outcome == "removed"
            assert site.adapter.origin_state(ref, receipt).origin is Origin.GONE
            assert [name.name for name in (site.held / "op-1").iterdir()] == ["record.json"]
            raise

    assert each_crash(tmp_path, die_after, run) > 4


def test_crash_leaves_the_file_in_reach(tmp_path: Path, die_after: Arm) -> None:
    """At every point the bytes stand at the name or lie in quarantine; they are never nowhere."""

    def run(site: Docroot, arm: Callable[[], None]) -> None:
        ref = site.ref("a.jpg")
        seen = site.adapter.observe(ref)
        arm()
        try:
            site.adapter.block(ref, seen, "op-1")
        except Died:
            held = site.held / "op-1" / "0"
            found = site.path("a.jpg") if site.path("a.jpg").exists() else held
            assert found.read_bytes() == b"a colour field"
            raise

    each_crash(tmp_path, die_after, run)
