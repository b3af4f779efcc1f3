"""The quarantine directory is out of reach, cannot be prepared, swapped or led elsewhere."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.contract import Changed, Denied, NotFound, Origin, Pin
from adapters.filesystem.adapter import FilesystemAdapter
from tests.faults.hostile_customers import BODY, CUSTOMER_ID, HostileSite, hostile_site
from tests.faults.scale import TORTURE

LINKS = 10_000 if TORTURE else 600
ENTRIES = 100_000 if TORTURE else 2_000


@pytest.fixture
def site() -> Iterator[HostileSite]:
    with hostile_site() as made:
        yield made


# --- the quarantine


def test_quarantine_is_out_of_reach(site: HostileSite) -> None:
    receipt = site.block(site.mine())
    held = site.held / receipt.op_id
    acts: tuple[Callable[[Path], object], ...] = (
        os.listdir, os.rmdir, lambda path: os.mkdir(path / "x"), lambda path: (path / "0").read_bytes(),
    )  # fmt: skip
    for act in acts:
        assert site.as_customer(act, held) in {errno.EACCES, errno.EPERM}
    assert site.as_customer(os.rename, site.held, site.base / "mine") in {errno.EACCES, errno.EPERM}


def test_prepared_quarantine_is_refused(site: HostileSite) -> None:
    """Where the customer could make the folder first, with names in it that we would use."""
    prepared = site.base / "prepared"
    prepared.mkdir(mode=0o700)
    os.chown(prepared, CUSTOMER_ID, CUSTOMER_ID)
    with pytest.raises(ValueError, match="quarantine_dir"):
        FilesystemAdapter("www", str(site.root), str(prepared))
    (site.base / "linked").symlink_to(site.path(""))
    with pytest.raises(ValueError, match="quarantine_dir"):
        FilesystemAdapter("www", str(site.root), str(site.base / "linked"))


def test_swapped_quarantine_is_refused(site: HostileSite) -> None:
    """Its folder stood in one that a customer may write to, and was changed for one of theirs while we ran."""
    ref = site.mine()
    seen = site.adapter.observe(ref)
    site.held.rename(site.base / "away")
    site.held.mkdir(mode=0o700)
    os.chown(site.held, CUSTOMER_ID, CUSTOMER_ID)
    with pytest.raises(Denied, match="quarantine_dir"):
        site.adapter.block(ref, seen, "op-1")
    assert site.path("a.jpg").read_bytes() == BODY
    assert os.listdir(site.held) == []


@pytest.mark.parametrize("op_id", ["..", "../www/acme/fake", ".names", "op-1/../op-1", "", "/etc"])
def test_made_up_operation_leads_nowhere(site: HostileSite, op_id: str) -> None:
    """A record the customer wrote into their own folder is never taken for one of ours."""
    ref = site.mine()
    receipt = site.block(ref)
    site.path("fake").mkdir()
    (site.path("fake") / "record.json").write_bytes((site.held / "op-1" / "record.json").read_bytes())
    forged = type(receipt)(op_id=op_id, ref=ref, pins=receipt.pins)
    for act in (site.adapter.unblock, site.adapter.freeze):
        with pytest.raises(NotFound):
            act(ref, forged)
    pin = receipt.pins[0].value.rpartition(":")[0] + f":{op_id}"
    with pytest.raises((NotFound, Changed)):
        site.adapter.open(ref, Pin(pin))
    assert site.adapter.origin_state(ref, forged).origin is Origin.GONE
