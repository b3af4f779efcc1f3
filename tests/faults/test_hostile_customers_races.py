"""The customer swaps things in a tight loop, in a process of their own, while we look, block, read and give back."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import AdapterError, Changed, Conflict, Denied, NotFound, Origin, Pin, Presence, Ref, Retryable
from adapters.filesystem import blocking, walk
from tests.faults.hostile_customers import BODY, CUSTOMER_ID, HostileSite, facts_of, hostile_site, tries
from tests.faults.hostile_loops import exchange, link_for_ever, replace_for_ever, swap_for_ever
from tests.faults.scale import SEED, TORTURE

SECONDS = 60.0 if TORTURE else 1.0
ENOUGH = 2_000 if TORTURE else 10
MOST_LINKS = [20, 60_000 if TORTURE else 600]
"""Fewer than are moved, so that names come up anew as fast as they go; and more than are moved."""


@pytest.fixture
def site() -> Iterator[HostileSite]:
    with hostile_site() as made:
        yield made


# --- what we do meanwhile


def rounds(site: HostileSite, ref: Ref, good: set[bytes]) -> int:
    """Block, read, and give back as often as it goes. Every byte that is held or read is one of `good`."""
    blocked = 0
    for number, over in tries(SECONDS):
        if blocked >= ENOUGH or (over and blocked):
            break
        try:
            seen = site.adapter.observe(ref)
            if seen.presence is not Presence.PRESENT:
                continue
            receipt = site.adapter.block(ref, seen, f"op-{number}")
        except (NotFound, Changed, Denied, Retryable):
            continue
        blocked += 1
        assert site.read(ref, receipt) in good
        assert site.adapter.freeze(ref, receipt).promised
        give_back(site, ref, receipt)
    return blocked


def give_back(site: HostileSite, ref: Ref, receipt: Any) -> None:
    """As often as it takes: what stands in the way at this moment is the customer's own swap."""
    for _ in tries(0.0):
        with contextlib.suppress(Conflict, Retryable):
            site.adapter.unblock(ref, receipt)
            return
    raise AssertionError("it never went back")


# --- the cases


def test_folder_link_swaps_lead_nowhere(site: HostileSite) -> None:
    """Every part of the path is swapped for a link to the neighbour's, at any moment."""
    ref = site.mine("d/e/a.jpg")
    site.path("l1").symlink_to("../other")
    site.path("d/l2").symlink_to("../../other/d")
    site.path("l3").symlink_to(site.root / "other")
    pairs = [(site.path(one), site.path(two)) for one, two in (("d", "l1"), ("d/e", "d/l2"), ("d", "l3"))]
    with site.customer_does(swap_for_ever, pairs, SEED) as turns:
        blocked = rounds(site, ref, {BODY})
    assert turns.value > 100
    assert blocked > 0


def test_last_part_swaps_lead_nowhere(site: HostileSite) -> None:
    """The file itself is swapped for a link, a pipe, a folder and another file of the customer's."""
    ref = site.mine()
    site.path("link").symlink_to("../other/a.jpg")
    site.path("folder").mkdir()
    os.mkfifo(site.path("pipe"))
    site.mine("b.jpg", b"another one of theirs")
    pairs = [(site.path("a.jpg"), site.path(name)) for name in ("link", "folder", "pipe", "b.jpg")]
    with site.customer_does(swap_for_ever, pairs, SEED) as turns:
        blocked = rounds(site, ref, {BODY, b"another one of theirs"})
    assert turns.value > 100
    assert blocked > 0


def test_neighbours_folder_is_not_taken(site: HostileSite) -> None:
    """Whoever may move both folders swaps the customer's for the neighbour's between our look and the block."""
    ref = site.mine("d/a.jpg")
    seen = site.adapter.observe(ref)
    exchange(site.path("d"), site.root / "other" / "d")
    with pytest.raises(Changed):
        site.adapter.block(ref, seen, "op-1")
    exchange(site.path("d"), site.root / "other" / "d")
    # The host's own renames moved the neighbour's change times; the rest is compared as always.
    site.before |= {str(p): facts for p, facts in _renamed(site).items()}


def _renamed(site: HostileSite) -> dict[Path, tuple[object, ...]]:
    found = {}
    for path in (site.root / "other", site.root / "other" / "d"):
        now, known = facts_of(path), site.before[str(path)]
        assert (now[:6], now[8:]) == (known[:6], known[8:])
        found[path] = now
    return found


def test_swap_after_resolving_is_refused(site: HostileSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path was followed to its end, and is a way to the neighbour's a moment later: the kernel must refuse it."""
    ref = site.mine("d/a.jpg")
    site.path("evil").symlink_to("../other")
    seen = site.adapter.observe(ref)
    real = walk.resolve

    def then_swap(*args: Any) -> Any:
        place = real(*args)
        exchange(site.path("d"), site.path("evil"))
        return place

    monkeypatch.setattr(blocking, "resolve", then_swap)
    with pytest.raises(Changed, match="swapped for a link"):
        site.adapter.block(ref, seen, "op-1")
    assert not list(site.held.glob("op-*"))


@pytest.mark.parametrize("step", ["block", "freeze", "open", "unblock", "remove"])
def test_folder_swapped_between_steps(site: HostileSite, step: str) -> None:
    """The folder is exchanged for a link to the neighbour's right before one step."""
    ref = site.mine("d/a.jpg")
    site.path("evil").symlink_to("../other/d")
    seen = site.adapter.observe(ref)
    if step == "block":
        exchange(site.path("d"), site.path("evil"))
        with pytest.raises((Changed, Denied)):
            site.adapter.block(ref, seen, "op-1")
        return
    receipt = site.adapter.block(ref, seen, "op-1")
    if step == "remove":
        proof = site.proof(receipt)
    exchange(site.path("d"), site.path("evil"))
    assert site.adapter.origin_state(ref, receipt).origin is Origin.LEAKING
    if step == "freeze":
        assert site.adapter.freeze(ref, receipt).promised
    elif step == "open":
        assert site.read(ref, receipt) == BODY
    elif step == "unblock":
        with pytest.raises(Conflict):
            site.adapter.unblock(ref, receipt)
        assert site.read(ref, receipt) == BODY
    else:
        assert site.adapter.remove(ref, proof, receipt, "op-2").outcome == "removed"


@pytest.mark.parametrize("most", MOST_LINKS)
def test_link_storm_leaves_nothing_readable(site: HostileSite, most: int) -> None:
    """From an open descriptor the customer makes new names faster than names can be moved."""
    ref = site.mine("d/a.jpg")
    site.path("links").mkdir()
    os.chown(site.path("links"), CUSTOMER_ID, CUSTOMER_ID)
    before = site.path("d/a.jpg").stat()
    with site.customer_does(link_for_ever, site.path("d/a.jpg"), site.path("links"), most) as turns:
        receipt = block_in_the_storm(site, ref)
        assert turns.value > 0
        assert site.adapter.origin_state(ref, receipt).origin is Origin.BLOCKED
        assert site.read(ref, receipt) == BODY
        assert site.as_customer(_read_each, site.path("links")) == 0
    site.adapter.unblock(ref, receipt)
    after = site.path("d/a.jpg").stat()
    assert (after.st_ino, after.st_mode, after.st_uid, after.st_mtime_ns) == (
        before.st_ino, before.st_mode, before.st_uid, before.st_mtime_ns,
    )  # fmt: skip


def block_in_the_storm(site: HostileSite, ref: Ref) -> Any:
    """It may have ended between our look and the block; then it is looked at again, as after any change."""
    for number, _ in tries(0.0):
        with contextlib.suppress(Changed):
            return site.block(ref, f"op-{number}")
    raise AssertionError("it was never blocked")


def _read_each(folder: Path) -> None:
    for path in folder.iterdir():
        try:
            path.read_bytes()
        except PermissionError:
            continue
        os._exit(77)


def test_reused_inode_is_another_file(site: HostileSite) -> None:
    """The number of the deleted file is given out again at once; a pin must not take the new one for the old."""
    ref = site.mine()
    seen = site.adapter.observe(ref)
    number = site.path("a.jpg").stat().st_ino
    for _ in range(50):
        site.path("a.jpg").unlink()
        site.mine()
        if site.path("a.jpg").stat().st_ino == number:
            break
    with pytest.raises(Changed):
        site.adapter.block(ref, seen, "op-1")
    with pytest.raises(Changed):
        site.adapter.open(ref, Pin(seen.pins[0].value))


def test_reused_inode_after_removal_is_replaced(site: HostileSite) -> None:
    ref = site.mine()
    receipt = site.block(ref)
    site.adapter.remove(ref, site.proof(receipt), receipt, "op-2")
    site.mine()
    # Which number the kernel gives out is its affair; so the record is made to say that it was this one.
    record = site.held / "op-1" / "record.json"
    said = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps({**said, "inode": site.path("a.jpg").stat().st_ino}), encoding="utf-8")
    state = site.adapter.origin_state(ref, receipt)
    assert state.origin is Origin.REPLACED
    assert state.pin is not None


def test_replacing_loop_never_mixes_versions(site: HostileSite) -> None:
    ref = site.mine()
    with site.customer_does(replace_for_ever, site.path("a.jpg")) as turns:
        held = 0
        for number, over in tries(SECONDS):
            if held >= ENOUGH or (over and held):
                break
            with contextlib.suppress(NotFound, Changed, Denied, Retryable):
                seen = site.adapter.observe(ref)
                receipt = site.adapter.block(ref, seen, f"op-{number}")
                held += 1
                body = site.read(ref, receipt)
                assert body == site.read(ref, receipt)
                assert body in {b"", BODY} or (body.startswith(b"version ") and len(body) == 14)
    assert turns.value > 100
    assert held > 0
    assert site.adapter.observe(ref).presence in (Presence.PRESENT, Presence.BLOCKED)


def test_storm_brings_out_only_the_family(site: HostileSite) -> None:
    """Under the same storm nothing but the family comes out, and never a word of a path."""
    ref = site.mine("d/a.jpg")
    site.path("l1").symlink_to("../other")
    words: set[str] = set()
    with site.customer_does(swap_for_ever, [(site.path("d"), site.path("l1"))], SEED):
        for number, over in tries(SECONDS / 2):
            if over and words:
                break
            try:
                site.adapter.unblock(ref, site.adapter.block(ref, site.adapter.observe(ref), f"op-{number}"))
            except AdapterError as exc:
                words.add(str(exc))
    assert words
    assert not [word for word in words if "a.jpg" in word or "acme" in word or "/" in word]
