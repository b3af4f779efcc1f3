"""A file that goes down by a notice and comes back by a withdrawal: what changed in between is told, never mixed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from receiver.domain.seals import SealedTogether, SealResult, ToSeal
from tests.doubles.world_parts import MemoryVault
from tests.faults.hostile_customers import BODY, hostile_site, whole
from tests.faults.hostile_customers_chain import Chain

NEW = b"uploaded while the first was being sealed"


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with hostile_site() as site:
        made = Chain(tmp_path, site)
        yield made
        made.close()


def dress(path: Path) -> None:
    os.chown(path, 1999, 1998)
    path.chmod(0o4751)
    os.setxattr(path, "user.note", b"mine")
    os.utime(path, ns=(1_000_000_001, 2_000_000_003))


def dressed(path: Path) -> tuple[object, ...]:
    """Inode, mode, owner, links, size, write time, attributes, flags and bytes: all that no visitor's read changes."""
    return whole(path)[:-2]


def released(chain: Chain, notice: str) -> None:
    chain.world.direct(notice, "withdraw")
    chain.world.run()
    chain.world.decide("release", case=chain.world.case_of(notice).case.id)
    chain.world.run()


def test_withdrawn_file_is_what_it_was(chain: Chain) -> None:
    chain.site.mine()
    path = chain.site.path("a.jpg")
    dress(path)
    before = dressed(path)
    _, notice = chain.notified()
    chain.world.run()
    assert not path.exists()
    assert chain.world.case_of(notice).evidence.state == "sealed"
    chain.look_again(days=2)
    released(chain, notice)
    assert (chain.world.statuses(notice), dressed(path)) == (["restored"], before)


class LateVault(MemoryVault):
    """The customer acts once, between the block and the first byte that is read for the seal."""

    def __init__(self, first: Callable[[], object]) -> None:
        super().__init__()
        self._first = [first]

    def seal_all(
        self, objects: Sequence[ToSeal], name: str, manifest: Callable[[Sequence[SealResult]], bytes]
    ) -> SealedTogether:
        if self._first:
            self._first.pop()()
        return super().seal_all(objects, name, manifest)


def test_upload_before_the_seal_is_sealed_beside_it(chain: Chain) -> None:
    """The notified bytes are the evidence; what came in their place goes down as well, with evidence of its own."""
    chain.site.mine()
    chain.world.vault = LateVault(lambda: chain.site.mine("a.jpg", NEW))
    chain.world.rebuild()
    url, notice = chain.notified()
    chain.world.run()
    for _ in range(4):
        chain.look_again(hours=2)
    assert chain.world.public_get(url) is None
    assert chain.world.statuses(notice) == ["disabled"]
    sealed = list(chain.world.vault.sealed.values())
    assert (sealed.count(BODY), sealed.count(NEW)) == (1, 1)
    case = chain.world.case_of(notice)
    assert len({seal.pin for seal in case.seals}) == 2
    assert {seal.round for seal in case.seals} <= {1, 2}


def test_undo_writes_over_no_upload(chain: Chain) -> None:
    """Released while a later upload stands there: the later one is not lost, and a person hears of it."""
    _, notice = chain.down()
    chain.world.direct(notice, "withdraw")
    chain.world.run()
    chain.site.mine("a.jpg", NEW)
    chain.world.decide("release", case=chain.world.case_of(notice).case.id)
    chain.world.run()
    assert chain.site.path("a.jpg").read_bytes() == NEW
    assert chain.world.statuses(notice) != ["restored"]
    assert "exposure.stuck" in chain.pages()
