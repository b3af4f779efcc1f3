"""The gate's process dies between any two changes to the disk, or the disk fills up: nginx reads old or new, whole."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import AdapterError, GateStatus
from adapters.nginx.files import write_durably
from adapters.nginx.gate import NginxGate
from tests.doubles.disk_calls import disk_calls
from tests.unit.adapters.nginx_maps import denied_in
from tests.unit.adapters.test_nginx_book import gate, old_book, receipt, target

CHANGES = ("open", "mkdir", "fsync", "rename", "unlink", "fchmod")
MOST_STEPS = 120
TWO, THREE = {b"/1.jpg", b"/2.jpg"}, {b"/1.jpg", b"/2.jpg", b"/3.jpg"}

Act = Callable[[NginxGate], object]


class Died(BaseException):
    """The process is gone: nothing it does later, in a `finally` either, reaches the disk."""


@contextmanager
def failing_after(steps: int, fail: Callable[[], BaseException], *, for_ever: bool) -> Iterator[list[int]]:
    """So many changes of the disk are made, then they fail: from then on, or this once."""
    left = [steps]

    def watched(name: str, call: Callable[..., object], *args: Any, **kwargs: Any) -> object:
        if name == "open" and not args[1] & os.O_CREAT:
            return call(*args, **kwargs)
        left[0] -= 1
        if left[0] == -1 or (left[0] < 0 and for_ever):
            raise fail()
        return call(*args, **kwargs)

    with disk_calls(watched, *CHANGES):
        yield left


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: hundreds of gates, and what fsync really does is not asked here."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else tmp_path) as folder:
        yield Path(folder)


def deny_one(asked: NginxGate) -> None:
    asked.deny([target(b"/3.jpg")], "op-3")


def allow_one(asked: NginxGate) -> None:
    asked.allow(receipt(3))


def with_two(folder: Path) -> None:
    asked = gate(folder)
    for number in (1, 2):
        asked.deny([target(b"/%d.jpg" % number)], f"op-{number}")
    asked.close()


def with_three(folder: Path) -> None:
    with_two(folder)
    deny_one(gate(folder))


def with_old_book(folder: Path) -> None:
    old_book(folder)
    book = folder / "deny.conf.json"
    book.write_text(book.read_text().replace('"op-3"', '"op-9"'))


def each_point(base: Path, prepare: Callable[[Path], None], run: Callable[[Path, int], bool]) -> int:
    """Call `run` for every number of steps, until it says that it got to its end."""
    for steps in range(MOST_STEPS):
        folder = base / str(steps)
        folder.mkdir()
        prepare(folder)
        if run(folder, steps):
            return steps
    raise AssertionError("it never got to its end")


@pytest.mark.parametrize(
    ("prepare", "act", "wanted"),
    [(with_two, deny_one, THREE), (with_three, allow_one, TWO), (with_old_book, deny_one, THREE)],
    ids=["deny", "allow", "carry over"],
)
def test_death_leaves_old_or_new(quick: Path, prepare: Callable[[Path], None], act: Act, wanted: set[bytes]) -> None:
    def run(folder: Path, steps: int) -> bool:
        try:
            with failing_after(steps, Died, for_ever=True) as left:
                act(gate(folder))
        except Died:
            pass
        assert denied_in(folder / "deny.conf") in (TWO, THREE)
        again = gate(folder)
        assert denied_in(folder / "deny.conf") in (TWO, THREE)
        act(again)
        assert denied_in(folder / "deny.conf") == wanted
        assert again.state(receipt(1)) is again.state(receipt(2)) is GateStatus.DENYING
        assert (again.state(receipt(3)) is GateStatus.DENYING) == (wanted == THREE)
        return left[0] >= 0

    assert each_point(quick, prepare, run) > 8


def test_death_while_mending_is_mended(quick: Path) -> None:
    def lost(folder: Path) -> None:
        with_two(folder)
        (folder / "deny.conf").unlink()
        for file in (folder / "deny.conf.d").iterdir():
            file.unlink()

    def run(folder: Path, steps: int) -> bool:
        try:
            with failing_after(steps, Died, for_ever=True) as left:
                gate(folder)
        except Died:
            # What names the files comes last: nginx does not start, rather than start without them.
            assert not (folder / "deny.conf").exists() or denied_in(folder / "deny.conf") == TWO
        again = gate(folder)
        assert denied_in(folder / "deny.conf") == TWO
        assert again.state(receipt(1)) is again.state(receipt(2)) is GateStatus.DENYING
        return left[0] >= 0

    assert each_point(quick, lost, run) > 8


@pytest.mark.parametrize("prepare", [with_two, with_old_book], ids=["new form", "old form"])
def test_files_lost_in_mid_switch_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Path], None]
) -> None:
    """The map file names files that the book does not know yet; without them nginx does not start."""

    def die(*_: object) -> None:
        raise Died

    prepare(tmp_path)
    dying = gate(tmp_path)
    monkeypatch.setattr(dying._reloader, "reload", die)
    with pytest.raises(Died):
        deny_one(dying)
    for file in (tmp_path / "deny.conf.d").iterdir():
        file.unlink()
    again = gate(tmp_path)
    assert denied_in(tmp_path / "deny.conf") == THREE
    deny_one(again)
    assert all(again.state(receipt(one)) is GateStatus.DENYING for one in (1, 2, 3))


def test_full_disk_at_start_is_no_end(quick: Path) -> None:
    """One process serves all adapters; what was lost is made once there is room."""

    def lost(folder: Path) -> None:
        with_two(folder)
        for file in (folder / "deny.conf.d").iterdir():
            file.unlink()

    def run(folder: Path, steps: int) -> bool:
        with failing_after(steps, lambda: OSError(errno.ENOSPC, "planted"), for_ever=True) as left:
            asked = gate(folder)
        deny_one(asked)
        assert denied_in(folder / "deny.conf") == THREE
        return left[0] >= 0

    assert each_point(quick, lost, run) > 8


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
def test_full_disk_is_told_and_forgotten(quick: Path, for_ever: bool) -> None:
    def run(folder: Path, steps: int) -> bool:
        asked = gate(folder)
        failed = False
        with failing_after(steps, lambda: OSError(errno.ENOSPC, "planted"), for_ever=for_ever) as left:
            try:
                deny_one(asked)
            except AdapterError:
                failed = True
        assert denied_in(folder / "deny.conf") in (TWO, THREE)
        assert failed or asked.state(receipt(3)) is GateStatus.DENYING
        deny_one(asked)
        assert denied_in(folder / "deny.conf") == THREE
        assert all(asked.state(receipt(one)) is GateStatus.DENYING for one in (1, 2, 3))
        return left[0] >= 0

    assert each_point(quick, with_two, run) > 8


def test_unfinished_file_frees_its_space(tmp_path: Path) -> None:
    (tmp_path / "deny.conf").write_bytes(b"old")
    full = OSError(errno.ENOSPC, "planted")
    with failing_after(2, lambda: full, for_ever=False), pytest.raises(OSError, match="planted"):
        write_durably(str(tmp_path / "deny.conf"), b"new")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("deny.conf", b"old")]
