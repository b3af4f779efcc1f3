"""A crash at one certain moment, and what others did before the next try: nobody's file is left other than it was."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import BlockReceipt, Changed, NotFound, Observation, Presence, Ref, RemoveReceipt
from adapters.filesystem import blocking, syscalls
from adapters.filesystem.record import Operation, Record
from adapters.filesystem.store import take
from tests.doubles.kernel_calls import KernelCalls
from tests.unit.adapters.docroot import MOVED
from tests.unit.adapters.test_filesystem_shared import AS_PUT, CLOSED, OWNER, Shared

Patch = pytest.MonkeyPatch


class Died(BaseException):
    """The process is gone."""


@pytest.fixture
def shared(tmp_path: Path, few_moved: None) -> Iterator[Shared]:
    made = Shared(tmp_path)
    yield made
    made.clear()


# --- a removal that died with the flag off


def removed_after_crash(shared: Shared, kernel: KernelCalls, receipt: BlockReceipt, names: int = 1) -> RemoveReceipt:
    """It dies right after the last of its names went."""
    sealed = replace(receipt, pins=shared.adapter.observe(receipt.ref).pins or receipt.pins)
    real, went = syscalls.unlink, []

    def dying(fd: int, name: bytes) -> None:
        real(fd, name)
        went.append(name)
        if len(went) == names:
            raise Died

    with kernel.during(unlink=dying), pytest.raises(Died):
        shared.adapter.remove(receipt.ref, shared.proof(sealed), sealed, "op-rm")
    shared.again()
    return shared.adapter.remove(receipt.ref, shared.proof(sealed), sealed, "op-rm")


def test_bytes_held_by_another_freeze_again(shared: Shared, kernel: KernelCalls) -> None:
    """The customer kept a descriptor open for writing since before the block."""
    ref = shared.make("acme/x", "other/y")
    writer = os.open(shared.root / "acme/x", os.O_WRONLY)
    one, _ = shared.block(ref), shared.block(shared.of("other/y"), "op-2")
    assert removed_after_crash(shared, kernel, one).outcome == "unreachable_retained"
    with pytest.raises(PermissionError):
        os.write(writer, b"other bytes!")
    os.close(writer)
    assert shared.looks("../held/op-2/0") == (OWNER, 0o644, True)


def test_closed_names_freeze_again(shared: Shared, kernel: KernelCalls) -> None:
    names = shared.many()
    one = shared.block(shared.of(names[0]))
    assert "nobody can read" in (removed_after_crash(shared, kernel, one, MOVED).reason or "")
    assert {shared.looks(f"acme/{left}") for left in os.listdir(shared.root / "acme")} == {CLOSED}


def test_neighbours_own_flag_comes_back(shared: Shared, kernel: KernelCalls) -> None:
    ref = shared.make("acme/x", "other/y")
    subprocess.run(["chattr", "+i", shared.root / "other/y"], check=True)
    removed_after_crash(shared, kernel, shared.block(ref))
    assert shared.looks("other/y") == (OWNER, 0o644, True)


def test_new_file_of_that_number_stays(shared: Shared, kernel: KernelCalls) -> None:
    """What was closed went meanwhile; the number is a neighbour's now, who alone may close or freeze his file."""
    names = shared.many()
    one = shared.block(shared.of(names[0]))
    real = syscalls.unlink

    def reused(fd: int, name: bytes) -> None:
        real(fd, name)
        for left in os.listdir(shared.root / "acme"):
            held = shared.root / "acme" / left
            held.chmod(0o600)
            os.chown(held, OWNER, OWNER)

    kernel.replace(unlink=reused)
    removed_after_crash(shared, kernel, one, MOVED)
    assert {shared.looks(f"acme/{left}") for left in os.listdir(shared.root / "acme")} == {(OWNER, 0o600, False)}


# --- a block that died with the flag on


def test_name_made_before_the_freeze_is_known(shared: Shared, monkeypatch: Patch, kernel: KernelCalls) -> None:
    """A second name comes from an open descriptor, and the next block comes upon the file by that one."""
    ref, real = shared.make("acme/x"), take

    def linked_after(*args: Any) -> Any:
        held = real(*args)
        os.link(shared.held / "op-1/0", shared.root / "other/y")
        return held

    def dying(fd: int, **changes: int) -> bool:
        frozen = change(fd, **changes)
        if changes == {"add": syscalls.IMMUTABLE}:
            raise Died
        return frozen

    seen, change = shared.adapter.observe(ref), syscalls.change_flags
    with kernel.during(change_flags=dying), monkeypatch.context() as patch:
        patch.setattr(blocking, "take", linked_after)
        with pytest.raises(Died):
            shared.adapter.block(ref, seen, "op-1")
    shared.again()
    two = shared.block(shared.of("other/y"), "op-2")
    one = shared.adapter.block(ref, Observation(ref=ref, presence=Presence.PRESENT, versions=()), "op-1")
    shared.adapter.unblock(one.ref, one)
    shared.adapter.unblock(two.ref, two)
    assert (shared.looks("acme/x"), shared.looks("other/y")) == (AS_PUT, AS_PUT)


def test_intents_taken_back_leave_no_mark(shared: Shared, monkeypatch: Patch) -> None:
    def swapped(*args: Any) -> Any:
        raise Changed("swapped")

    ref = shared.make("acme/x", "other/y")
    for step in ("take", "note_name"):
        with monkeypatch.context() as patch:
            patch.setattr(blocking, step, swapped)
            with pytest.raises(Changed):
                shared.block(ref)
        assert os.listdir(shared.held / ".inodes") == []


# --- an undo that died when all names were back


def unblock_dies_at_the_end(shared: Shared, monkeypatch: Patch, receipt: BlockReceipt) -> None:
    real = Operation.save

    def dying(op: Operation, record: Record) -> None:
        if record.state == "unblocked":
            raise Died
        real(op, record)

    with monkeypatch.context() as patch:
        patch.setattr(Operation, "save", dying)
        with pytest.raises(Died):
            shared.adapter.unblock(receipt.ref, receipt)
    shared.again()


@pytest.mark.parametrize("replaced", [False, True])
def test_undo_ends_though_the_file_went(shared: Shared, monkeypatch: Patch, replaced: bool) -> None:
    one = shared.block(shared.make("acme/x"))
    unblock_dies_at_the_end(shared, monkeypatch, one)
    (shared.root / "acme/x").rename(shared.root / "acme/kept")  # so that its number is not given out anew
    if replaced:
        shared.make("acme/x", mode=0o600)
    done = shared.adapter.unblock(one.ref, one)
    assert any("deleted or moved since" in words for words in done.losses)
    assert shared.adapter.unblock(one.ref, one) == done
    if replaced:
        assert shared.looks("acme/x") == (OWNER, 0o600, False)


def test_undo_of_lost_bytes_is_refused_before(shared: Shared) -> None:
    """Nothing had gone back yet, so these bytes are not the customer's doing."""
    one = shared.block(shared.make("acme/x"))
    subprocess.run(["chattr", "-i", shared.held / "op-1/0"], check=True)
    (shared.held / "op-1/0").unlink()
    with pytest.raises(NotFound):
        shared.adapter.unblock(one.ref, one)


def test_undo_of_a_gone_file_freezes_the_others(shared: Shared, kernel: KernelCalls) -> None:
    one, _ = shared.two_blocks()
    real = syscalls.rename_no_replace

    def dying(*args: Any) -> None:
        real(*args)
        raise Died

    with kernel.during(rename_no_replace=dying), pytest.raises(Died):
        shared.adapter.unblock(one.ref, one)
    (shared.root / "acme/x").unlink()
    shared.again()
    shared.adapter.unblock(one.ref, one)
    assert shared.looks("../held/op-2/0") == (OWNER, 0o644, True)


# --- a number given out anew, where the filesystem keeps no birth times


def stale_record(shared: Shared, monkeypatch: Patch, kernel: KernelCalls) -> tuple[list[str], Path]:
    """An undo of a closed file died at its end. Its names, and the file, which stands elsewhere with another owner."""
    kernel.replace(birth_ns=lambda fd: None)
    names = shared.many()
    unblock_dies_at_the_end(shared, monkeypatch, shared.block(shared.of(names[0])))
    for name in names[1:]:
        (shared.root / name).unlink()
    now = shared.root / "other/n"
    (shared.root / names[0]).rename(now)
    os.link(now, shared.root / "other/z")
    os.chown(now, 77, 77)
    now.chmod(0)
    os.chown(now, 0, 0)  # closed to all by its own owner, which is what a block that closes leaves too
    return names, now


def test_stale_record_dresses_no_strangers_file(shared: Shared, monkeypatch: Patch, kernel: KernelCalls) -> None:
    stale_record(shared, monkeypatch, kernel)
    two = shared.block(shared.of("other/n"), "op-9")
    shared.adapter.unblock(two.ref, two)
    assert shared.looks("other/n") == (0, 0, False)


def test_unfinished_undo_counts_at_its_name(shared: Shared, monkeypatch: Patch, kernel: KernelCalls) -> None:
    names, now = stale_record(shared, monkeypatch, kernel)
    os.link(now, shared.root / names[0])
    two = shared.block(Ref(locator=b"other/n", scope=b"other"), "op-9")
    shared.adapter.unblock(two.ref, two)
    assert shared.looks("other/n") == AS_PUT
