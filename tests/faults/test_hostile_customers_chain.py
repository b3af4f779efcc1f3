"""The whole chain over a real folder: what a customer does leads to the right telling, and the evidence is safe."""

from __future__ import annotations

import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.filesystem import syscalls
from receiver.domain.outcome import Outcome, Wake
from receiver.domain.seals import SealResult
from receiver.domain.status import Track
from tests.doubles.kernel_calls import KernelCalls
from tests.doubles.world_parts import MemoryVault
from tests.faults.hostile_customers import BODY, HostileSite, hostile_site
from tests.faults.hostile_customers_chain import Chain
from tests.faults.scale import TORTURE

AGAIN = 30 if TORTURE else 4


@pytest.fixture
def site() -> Iterator[HostileSite]:
    with hostile_site() as made:
        yield made


@pytest.fixture
def chain(tmp_path: Path, site: HostileSite) -> Iterator[Chain]:
    made = Chain(tmp_path, site)
    yield made
    made.close()


@pytest.fixture
def agent_chain(tmp_path: Path, site: HostileSite) -> Iterator[Chain]:
    made = Chain(tmp_path, site, through_agent=True)
    yield made
    made.close()


def sealed(chain: Chain) -> list[bytes]:
    return list(chain.world.vault.sealed.values())


def test_reupload_is_told_and_disabled_again(agent_chain: Chain) -> None:
    chain = agent_chain
    url, notice = chain.down()
    chain.site.mine(body=b"uploaded again")
    chain.look_again()
    assert chain.world.public_get(url) is None
    assert chain.told(notice) == ["disabled", "reappeared", "disabled"]
    assert {BODY, b"uploaded again"} <= set(sealed(chain))


def test_every_reupload_goes_down_too(chain: Chain) -> None:
    """However often: each is denied, blocked under an operation of its own, and sealed."""
    url, notice = chain.down()
    for number in range(AGAIN):
        chain.site.mine(body=b"again %d" % number)
        chain.look_again(hours=1)
        assert chain.world.public_get(url) is None
    assert chain.told(notice).count("disabled") == AGAIN + 1
    assert {b"again %d" % number for number in range(AGAIN)} <= set(sealed(chain))


def test_deleting_all_after_the_block_loses_nothing(chain: Chain) -> None:
    """The customer deletes every file and folder of their own: sealed bytes and held bytes are both there."""
    url, notice = chain.down("d/a.jpg")
    shutil.rmtree(chain.site.path("d"))
    chain.look_again()
    assert chain.world.statuses(notice) == ["disabled"]
    assert BODY in sealed(chain)
    case = chain.world.case_of(notice)
    assert (case.exposure.state, case.evidence.state) == ("watch", "sealed")
    chain.world.decide("release", case=case.case.id)
    chain.world.run()
    assert chain.world.origin(url) == BODY


def test_deleted_before_the_block_is_unavailable(chain: Chain) -> None:
    chain.site.mine()
    _, notice = chain.notified()
    chain.site.path("a.jpg").unlink()
    chain.world.run()
    assert chain.world.statuses(notice) == ["unavailable"]


TRICKS: dict[str, Callable[[Path], Any]] = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "link out": lambda path: path.symlink_to("../other/a.jpg"),
}


@pytest.mark.parametrize("trick", ["pipe", "folder", "link out"])
def test_denied_thing_calls_a_person(chain: Chain, trick: str) -> None:
    """What we may not act on goes to a person; it is never told as disabled."""
    TRICKS[trick](chain.site.path("x.jpg"))
    _, notice = chain.notified("x.jpg")
    chain.world.run()
    assert (chain.world.statuses(notice), chain.world.reasons(notice)) == (["review"], ["not_a_plain_object"])


@pytest.mark.parametrize("trick", ["pipe", "folder", "link out"])
def test_thing_swapped_in_calls_a_person(chain: Chain, monkeypatch: pytest.MonkeyPatch, trick: str) -> None:
    """The file was plain when the notice came, and is another thing from the first block on: told as failed."""
    chain.site.mine()

    def swap(number: int) -> None:
        if number == 1:
            chain.site.path("a.jpg").rename(chain.site.path("b.jpg"))
            TRICKS[trick](chain.site.path("a.jpg"))

    _before_each_block(chain, monkeypatch, swap, times=1)
    _, notice = chain.notified()
    chain.world.run()
    assert chain.world.statuses(notice) == ["failed"]
    assert "exposure.stuck" in chain.pages()


def test_link_put_at_blocked_name_is_told(chain: Chain) -> None:
    """The blocked name is made a link to the neighbour's file: it is up again, told so, and the neighbour untouched."""
    _, notice = chain.down()
    chain.site.path("a.jpg").symlink_to("../other/d/a.jpg")
    chain.look_again()
    assert "reappeared" in chain.told(notice)
    assert chain.world.statuses(notice) != ["disabled"]
    assert chain.pages() & {"exposure.stuck", "exposure.waiting", "place.failing"}


def test_swap_at_every_block_is_retried(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between our look and the block the file is another one, four times in a row; then it goes down."""
    url, notice = chain.notified()
    chain.site.mine()
    _before_each_block(chain, monkeypatch, lambda number: chain.site.mine(body=b"version %d" % number), times=4)
    for _ in range(20):
        chain.world.run()
        chain.world.later(minutes=1)
    assert chain.world.statuses(notice) == ["disabled"]
    assert chain.world.public_get(url) is None


def _before_each_block(chain: Chain, monkeypatch: pytest.MonkeyPatch, act: Callable[[int], Any], times: int) -> None:
    real = chain.world.store.block
    done: list[int] = []

    def block(*args: Any) -> Any:
        if len(done) < times:
            done.append(1)
            act(len(done))
        return real(*args)

    monkeypatch.setattr(chain.world.store, "block", block)


def test_growing_file_is_sealed_once_frozen(agent_chain: Chain) -> None:
    """An upload that never ends: the block cuts it, so that one seal holds what was there then."""
    site = agent_chain.site
    site.mine()
    with site.path("a.jpg").open("ab", buffering=0) as file:
        for _ in range(3):
            file.write(b" and more")
        _, notice = agent_chain.notified()
        agent_chain.world.run()
        with pytest.raises(PermissionError) as caught:
            file.write(b" and still more")
    assert caught.value.errno == errno.EPERM
    assert agent_chain.world.statuses(notice) == ["disabled"]
    assert BODY + b" and more" * 3 in sealed(agent_chain)


class TornVault(MemoryVault):
    """Somebody writes to the file before every piece that is read of it."""

    def __init__(self, late: io.FileIO) -> None:
        super().__init__()
        self._late, self._writes = late, 0
        self.is_torn = True

    def seal(self, seal_id: str, read: Callable[[int], bytes], *, digests: tuple[str, ...] = ()) -> SealResult:
        def torn(size: int) -> bytes:
            self._late.write(b"%06d" % self._writes)
            self._writes += 1
            return read(size)

        del digests
        return super().seal(seal_id, torn if self.is_torn else read)


def test_rewritten_while_sealed_pages_unstable(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be frozen and a descriptor was open before: no torn seal is ever made, and a person is told."""

    def refuse(fd: int, flags: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    KernelCalls(monkeypatch).replace(set_flags=refuse)
    chain.site.again()
    chain.world.store = chain.site.adapter
    chain.world.rebuild()
    chain.site.mine(body=bytes(200_000))
    with chain.site.path("a.jpg").open("r+b", buffering=0) as late:
        _, notice = chain.notified()
        chain.world.vault = vault = TornVault(late)
        chain.world.rebuild()
        for _ in range(8):
            chain.world.run()
            chain.world.later(minutes=15)
        assert "evidence.unstable" in chain.pages()
        assert chain.world.statuses(notice) == ["disabled"]
        assert not [body for body in sealed(chain) if len(body) == 200_000]
        vault.is_torn = False
        chain.look_again(minutes=30)
    held = (chain.site.held / _op(chain) / "0").read_bytes()
    assert held in sealed(chain)


def _op(chain: Chain) -> str:
    return next(path.name for path in chain.site.held.iterdir() if not path.name.startswith("."))


def test_tidied_quarantine_is_noticed(chain: Chain) -> None:
    """Somebody with root's rights empties the quarantine after the seal: nothing is told as removed by us."""
    _, notice = chain.down()
    for path in chain.site.held.rglob("0"):
        fd = os.open(path, os.O_RDONLY)
        syscalls.change_flags(fd, drop=syscalls.IMMUTABLE)
        os.close(fd)
        path.unlink()
    for days in (15, 10, 10):
        chain.look_again(days=days)
    assert chain.world.statuses(notice) == ["disabled"]
    assert "evidence.stuck" in chain.pages()
    assert BODY in sealed(chain)


def test_thousand_names_go_to_a_person(chain: Chain) -> None:
    """A file of so many names may be anybody's; once a person agreed, all of them are closed."""
    site = chain.site
    site.mine()
    names = [site.path(f"n{number}.jpg") for number in range(150)]
    for name in names:
        name.hardlink_to(site.path("a.jpg"))
    _, notice = chain.notified()
    chain.world.run()
    assert chain.world.statuses(notice) == ["review"]
    chain.world.decide("approve", item=chain.world.notice(notice).items[0].id)
    chain.world.run()
    assert chain.world.statuses(notice) == ["disabled"]
    left = [name for name in names if name.exists()]
    assert {site.as_customer(lambda path: path.read_bytes(), name) for name in left[:3]} == {errno.EACCES}
    assert any("nobody can read" in words for words in chain.world.case_of(notice).case.residual)


def test_wake_without_news_changes_nothing(chain: Chain) -> None:
    """A customer who makes us look again and again wins nothing by it."""
    _, notice = chain.down()
    before = chain.told(notice)
    case = chain.world.case_of(notice).case.id
    for _ in range(5):
        chain.world.commit(Outcome(wakes=(Wake(track=Track.EXPOSURE, subject=case),)))
        chain.world.run()
    assert chain.told(notice) == before
