"""Links are followed inside the scope only, and a file goes and comes back under all its names there."""

from __future__ import annotations

import os
from typing import Any

import pytest

from adapters.contract import Changed, Conflict, Origin, Presence
from adapters.filesystem import syscalls
from adapters.filesystem.walk import OtherNames
from tests.doubles.kernel_calls import KernelCalls
from tests.unit.adapters.docroot import Docroot, facts, is_immutable


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


def test_name_added_during_block_is_taken(site: Docroot, kernel: KernelCalls) -> None:
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

    kernel.replace(rename_no_replace=then_link)
    receipt = site.adapter.block(ref, seen, "op-1")
    assert not site.path("deep/extra.jpg").exists()
    assert receipt.residual == ()
    assert site.adapter.origin_state(ref, receipt).origin is Origin.BLOCKED
    site.again()
    site.adapter.unblock(ref, receipt)
    assert site.path("deep/extra.jpg").samefile(site.path("a.jpg"))


def test_stray_in_the_way_is_kept(site: Docroot, kernel: KernelCalls) -> None:
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

    kernel.replace(rename_no_replace=swapped)
    with pytest.raises(Changed):
        site.adapter.block(ref, seen, "op-1")
    assert site.path("a.jpg").read_bytes() == b"newer still"
    assert site.path("moved.jpg").read_bytes() == b"a colour field"
    assert (site.held / "op-1" / "stray-1").read_bytes() == b"swapped in"


def test_remade_folder_gives_nothing_away(site: Docroot, kernel: KernelCalls) -> None:
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

    kernel.replace(make_directory=swapped)
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
