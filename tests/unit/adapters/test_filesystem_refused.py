"""An undo that cannot be done whole leaves nothing up; a block of many names takes the notified one first."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import BlockReceipt, Conflict, Denied, Origin, Ref, Retryable
from adapters.filesystem import syscalls, walk
from tests.doubles.kernel_calls import KernelCalls
from tests.support import need_program, need_root
from tests.unit.adapters.docroot import MOVED, Docroot, facts


class Died(BaseException):
    """The process is gone."""


@pytest.fixture
def site(tmp_path: Path, few_moved: None) -> Iterator[Docroot]:
    made = Docroot(tmp_path)
    yield made
    made.clear()


def with_names(site: Docroot, *names: str) -> Ref:
    ref = site.put()
    for name in names:
        site.path(name).parent.mkdir(parents=True, exist_ok=True)
        site.path(name).hardlink_to(site.path("a.jpg"))
    return ref


def assert_held(site: Docroot, ref: Ref, receipt: BlockReceipt, *names: str) -> None:
    assert not [name for name in ("a.jpg", *names) if site.path(name).exists()]
    assert site.adapter.origin_state(ref, receipt).origin is Origin.BLOCKED
    assert site.read(ref, receipt) == b"a colour field"


# --- refused


def file_for_folder(site: Docroot) -> Callable[[], object]:
    site.path("d").rmdir()
    site.path("d").write_bytes(b"")
    return site.path("d").unlink


def link_for_folder(site: Docroot) -> Callable[[], object]:
    site.path("d").rmdir()
    site.path("d").symlink_to("../other")
    return site.path("d").unlink


def disk_over_folder(site: Docroot) -> Callable[[], object]:
    need_root()
    subprocess.run([need_program("mount"), "-t", "tmpfs", "none", site.path("d")], check=True)
    return lambda: subprocess.run([need_program("umount"), site.path("d")], check=True)


@pytest.mark.parametrize("obstacle", [file_for_folder, link_for_folder, disk_over_folder])
def test_refused_undo_moves_no_name(
    site: Docroot, kernel: KernelCalls, obstacle: Callable[[Docroot], Callable[[], object]]
) -> None:
    """The obstacle is in the way of a name that would go back last."""
    with_names(site, "d/b.jpg", "e/c.jpg")
    ref = site.ref("d/b.jpg")
    receipt = site.block(ref)
    away = obstacle(site)
    moves = []
    try:
        with kernel.during(rename_no_replace=lambda *args: moves.append(args)), pytest.raises(Conflict):
            site.adapter.unblock(ref, receipt)
    finally:
        away()
    assert moves == []
    assert_held(site, ref, receipt, "d/b.jpg", "e/c.jpg")
    site.adapter.unblock(ref, receipt)
    assert site.path("d/b.jpg").samefile(site.path("e/c.jpg"))


def refusing(
    site: Docroot, kernel: KernelCalls, after: int, refusal: BaseException | None
) -> AbstractContextManager[None]:
    """The last name but `after` cannot go back, which shows only as it is moved."""
    real, moves = syscalls.rename_no_replace, []

    def move(from_fd: int, name: bytes, to_fd: int, new_name: bytes) -> None:
        if os.readlink(f"/proc/self/fd/{from_fd}") == str(site.held / "op-1"):
            moves.append(name)
            if len(moves) == after + 1:
                if refusal is not None:
                    raise refusal
                fd = os.open(new_name, os.O_CREAT | os.O_WRONLY, dir_fd=to_fd)
                os.close(fd)
        real(from_fd, name, to_fd, new_name)

    return kernel.during(rename_no_replace=move)


@pytest.mark.parametrize("refusal", [None, Denied("not this one"), PermissionError(1, "no")])
def test_late_refusal_takes_names_again(site: Docroot, kernel: KernelCalls, refusal: Exception | None) -> None:
    ref = with_names(site, "b.jpg", "d/c.jpg")
    before = facts(site.path("d/c.jpg"))
    receipt = site.block(ref)
    with refusing(site, kernel, 2, refusal), pytest.raises((Conflict, Denied, Retryable)):
        site.adapter.unblock(ref, receipt)
    if refusal is None:
        site.path("a.jpg").unlink()
    assert_held(site, ref, receipt, "b.jpg", "d/c.jpg")
    assert site.adapter.freeze(ref, receipt).promised
    assert site.adapter.unblock(ref, receipt).losses == ()
    assert facts(site.path("d/c.jpg")) == before


def test_late_refusal_closes_again(site: Docroot, kernel: KernelCalls) -> None:
    names = [f"n{number}.jpg" for number in range(MOVED + 5)]
    ref = with_names(site, *names)
    receipt = site.block(ref)
    left = {name for name in names if site.path(name).exists()}
    with refusing(site, kernel, MOVED // 2, Denied("not this one")), pytest.raises(Denied):
        site.adapter.unblock(ref, receipt)
    assert {name for name in names if site.path(name).exists()} == left
    assert {site.path(name).stat().st_mode & 0o777 for name in left} == {0}
    assert site.adapter.origin_state(ref, receipt).origin is Origin.BLOCKED
    assert site.adapter.unblock(ref, receipt).losses == ()
    assert site.path(names[0]).stat().st_mode & 0o777 != 0


def test_undo_refused_after_a_crash_takes_names_again(site: Docroot, kernel: KernelCalls) -> None:
    """It died with some names back; before it is tried again something new stands where another name was."""
    ref = with_names(site, "b.jpg", "c.jpg")
    receipt = site.block(ref)
    with refusing(site, kernel, 1, Died()), pytest.raises(Died):
        site.adapter.unblock(ref, receipt)
    site.path("a.jpg").write_bytes(b"uploaded again")
    with pytest.raises(Conflict):
        site.adapter.unblock(ref, receipt)
    site.path("a.jpg").unlink()
    assert_held(site, ref, receipt, "b.jpg", "c.jpg")


# --- the notified name first


def calls_before_first_move(site: Docroot, kernel: KernelCalls, ref: Ref, op_id: str) -> int:
    seen = site.adapter.observe(ref)
    calls: list[str] = []
    names = ("openat2", "sync", "rename_no_replace")
    with kernel.during(**{name: noted(calls, name, getattr(syscalls, name)) for name in names}):
        site.adapter.block(ref, seen, op_id)
    return calls.index("rename_no_replace")


def noted(calls: list[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return real(*args, **kwargs)

    return call


def test_notified_name_waits_for_no_other(site: Docroot, kernel: KernelCalls) -> None:
    deep = "d/" * 60
    few = calls_before_first_move(site, kernel, with_names(site, "one.jpg"), "op-1")
    site.path("a.jpg").unlink(missing_ok=True)
    many = with_names(site, *(f"{deep}{number}.jpg" for number in range(MOVED - 1)))
    assert calls_before_first_move(site, kernel, many, "op-2") == few
    assert not site.path(f"{deep}7.jpg").exists()


def test_deep_name_is_looked_at_step_by_step(
    site: Docroot, monkeypatch: pytest.MonkeyPatch, kernel: KernelCalls
) -> None:
    """Each folder above a name is opened from the one above it: a path from the root costs as much as it is deep."""
    ref = site.put("d/" * 500 + "a.jpg")
    paths: list[bytes] = []
    real = syscalls.openat2

    def opening(dir_fd: int, path: bytes, flags: int, resolve: int) -> int:
        paths.append(path)
        return real(dir_fd, path, flags, resolve)

    seen = site.adapter.observe(ref)
    with kernel.during(openat2=opening), monkeypatch.context() as patch:
        patch.setattr(walk, "_link_at", lambda *args: None)
        site.adapter.block(ref, seen, "op-1")
    assert sum(path.count(b"/") for path in paths) < 500 * 20


# --- a crash around closing


def test_file_closed_before_a_crash_is_told(site: Docroot, kernel: KernelCalls) -> None:
    """The customer makes a name at each move, so the file is closed; after the crash all names can be moved."""
    ref = site.put()
    before, real_move, real_close = facts(site.path("a.jpg"))[:4], syscalls.rename_no_replace, syscalls.close_to_all
    made: list[Path] = []

    def then_link(*args: Any) -> None:
        real_move(*args)
        made.append(site.path(f"l{len(made)}.jpg"))
        os.link(site.held / "op-1" / "0", made[-1])

    def then_die(fd: int) -> bool:
        real_close(fd)
        raise Died

    seen = site.adapter.observe(ref)
    with kernel.during(rename_no_replace=then_link, close_to_all=then_die), pytest.raises(Died):
        site.adapter.block(ref, seen, "op-1")
    site.again()
    receipt = site.adapter.block(ref, seen, "op-1")
    assert receipt.residual == ()
    assert any("closed to everybody" in door for door in receipt.doors)
    assert not any(path.exists() for path in made)
    assert site.adapter.unblock(ref, receipt).losses == ()
    assert facts(site.path("a.jpg"))[:4] == before
