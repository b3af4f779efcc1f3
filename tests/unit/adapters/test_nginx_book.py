"""The nginx gate's book and its map files: carried over, lost, damaged, edited. No nginx is needed for that."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.contract import AdapterError, Denied, DenyTarget, GateReceipt, GateStatus, Retryable
from adapters.nginx.gate import NginxGate
from adapters.nginx.places import node_of
from adapters.nginx.rules import Rule, rules_for
from tests.doubles.nginx_map import render
from tests.unit.adapters.nginx_maps import denied_in, lines_in

HOST = "img.example"


def target(path: bytes) -> DenyTarget:
    return DenyTarget(url="https://x/", host=HOST, path=path, any_query=True)


def gate(folder: Path, test_command: str = "/bin/true") -> NginxGate:
    return NginxGate("web", str(folder / "deny.conf"), ("/bin/true",), (test_command,))


def receipt(number: int) -> GateReceipt:
    return GateReceipt(op_id=f"op-{number}")


def folder_files(folder: Path) -> set[str]:
    return set(os.listdir(folder / "deny.conf.d"))


def in_one_place(count: int) -> list[bytes]:
    """Paths that share one place of the maps."""
    paths = (b"/%d.jpg" % number for number in itertools.count())
    first = node_of("file", HOST.encode() + b" /0.jpg")
    found = (path for path in paths if node_of("file", HOST.encode() + b" " + path) == first)
    return list(itertools.islice(found, count))


# --- a book in the first form


def old_book(folder: Path, *, leaving: bool = False) -> bytes:
    """As the gate once kept it: op-1 and op-2 denied, op-3 taken back."""
    rules = {f"op-{number}": list(rules_for(target(b"/%d.jpg" % number))) for number in (1, 2)}
    text = render(itertools.chain.from_iterable(rules.values()), "7")
    told = {op_id: [_old_rule(rule) for rule in those] for op_id, those in rules.items()}
    away = {"op-2": told.pop("op-2")} if leaving else {}
    book = {"v": 1, "ops": told, "leaving": away, "spent": ["op-3"], "applied": ["op-1", "op-2"], "generation": 7}
    (folder / "deny.conf").write_bytes(text)
    (folder / "deny.conf.json").write_text(json.dumps({**book, "sha256": hashlib.sha256(text).hexdigest()}))
    return text


def _old_rule(rule: Rule) -> list[object]:
    path, query = (base64.b64encode(data).decode() for data in (rule.path, rule.query))
    return [rule.host, path, query, rule.any_query]


def test_old_book_is_carried_over(tmp_path: Path) -> None:
    text = old_book(tmp_path)
    new = gate(tmp_path)
    assert [new.state(receipt(number)) for number in (1, 2)] == [GateStatus.DENYING] * 2
    # nginx goes on with the file it has until something changes.
    assert (tmp_path / "deny.conf").read_bytes() == text
    assert not (tmp_path / "deny.conf.json").exists()
    new.deny([target(b"/4.jpg")], "op-4")
    assert denied_in(tmp_path / "deny.conf") == {b"/1.jpg", b"/2.jpg", b"/4.jpg"}
    assert [gate(tmp_path).state(receipt(number)) for number in (1, 2, 4)] == [GateStatus.DENYING] * 3
    new.allow(receipt(1))
    assert denied_in(tmp_path / "deny.conf") == {b"/2.jpg", b"/4.jpg"}
    for late in ("op-3", "op-1"):
        with pytest.raises(Denied):
            new.deny([target(b"/3.jpg")], late)


def test_carried_change_still_reaches_nginx(tmp_path: Path) -> None:
    old_book(tmp_path, leaving=True)
    new = gate(tmp_path)
    assert new.state(receipt(2)) is GateStatus.UNKNOWN
    new.allow(receipt(2))
    assert new.state(receipt(2)) is GateStatus.OPEN
    assert denied_in(tmp_path / "deny.conf") == {b"/1.jpg"}


def test_refused_new_form_keeps_old(tmp_path: Path) -> None:
    """An nginx that cannot read the folder refuses the file; then it is as before the change of form."""
    text = old_book(tmp_path)
    with pytest.raises(Retryable):
        gate(tmp_path, "/bin/false").deny([target(b"/4.jpg")], "op-4")
    assert (tmp_path / "deny.conf").read_bytes() == text
    assert gate(tmp_path).state(receipt(1)) is GateStatus.DENYING
    gate(tmp_path).deny([target(b"/4.jpg")], "op-4")
    assert denied_in(tmp_path / "deny.conf") == {b"/1.jpg", b"/2.jpg", b"/4.jpg"}


def test_lost_old_map_is_made_again(tmp_path: Path) -> None:
    old_book(tmp_path)
    (tmp_path / "deny.conf").unlink()
    gate(tmp_path)
    assert denied_in(tmp_path / "deny.conf") == {b"/1.jpg", b"/2.jpg"}


def test_stale_old_book_is_not_read(tmp_path: Path) -> None:
    """The process may end between carrying over and putting the old book aside."""
    old_book(tmp_path)
    aside = (tmp_path / "deny.conf.json").read_bytes()
    gate(tmp_path).allow(receipt(1))
    (tmp_path / "deny.conf.json").write_bytes(aside)
    assert gate(tmp_path).state(receipt(1)) is GateStatus.OPEN
    assert not (tmp_path / "deny.conf.json").exists()


# --- what is lost or damaged


def test_lost_book_is_not_forgotten(tmp_path: Path) -> None:
    """Without it the next deny would let up all that is denied."""
    old = gate(tmp_path)
    old.deny([target(b"/1.jpg")], "op-1")
    old.close()
    for file in tmp_path.glob("deny.conf.sqlite*"):
        file.unlink()
    for one in (old, gate(tmp_path)):
        with pytest.raises(AdapterError, match="backup"):
            one.deny([target(b"/2.jpg")], "op-2")
    assert denied_in(tmp_path / "deny.conf") == {b"/1.jpg"}


def test_damaged_book_is_told(tmp_path: Path) -> None:
    gate(tmp_path).deny([target(b"/1.jpg")], "op-1")
    for file in tmp_path.glob("deny.conf.sqlite*"):
        file.unlink()
    (tmp_path / "deny.conf.sqlite").write_bytes(b"not what SQLite writes, and long enough to be seen as that" * 20)
    with pytest.raises(AdapterError, match="backup"):
        gate(tmp_path).state(receipt(1))


def test_later_book_is_left_alone(tmp_path: Path) -> None:
    gate(tmp_path).close()
    link = sqlite3.connect(tmp_path / "deny.conf.sqlite")
    link.execute("PRAGMA user_version = 9")
    link.close()
    with pytest.raises(AdapterError, match="later version"):
        gate(tmp_path).deny([target(b"/1.jpg")], "op-1")


@pytest.mark.parametrize("what", ["file-0", "file-group"])
def test_edited_file_behind_is_mended(tmp_path: Path, what: str) -> None:
    asked = gate(tmp_path)
    asked.deny([target(b"/1.jpg")], "op-1")
    (edited,) = (tmp_path / "deny.conf.d").glob(f"{what}*")
    edited.write_bytes(b"")
    assert asked.state(receipt(1)) is GateStatus.UNKNOWN
    asked.deny([target(b"/1.jpg")], "op-1")
    assert asked.state(receipt(1)) is GateStatus.DENYING
    assert denied_in(tmp_path / "deny.conf") == {b"/1.jpg"}


def test_edited_map_mends_all_behind(tmp_path: Path) -> None:
    """Where one file was edited, none is trusted, whoever asks first."""
    asked = gate(tmp_path)
    for number in (1, 2, 3):
        asked.deny([target(b"/%d.jpg" % number)], f"op-{number}")
    for file in (tmp_path / "deny.conf.d").iterdir():
        file.write_bytes(b"")
    (tmp_path / "deny.conf").write_bytes(render([], "0"))
    asked.deny([target(b"/1.jpg")], "op-1")
    assert denied_in(tmp_path / "deny.conf") == {b"/1.jpg", b"/2.jpg", b"/3.jpg"}
    assert [asked.state(receipt(number)) for number in (1, 2, 3)] == [GateStatus.DENYING] * 3


@pytest.mark.parametrize("lost", ["deny.conf", "deny.conf.d/*", "deny.conf.d/file-group*", "deny.conf.d/file-0*"])
def test_lost_files_are_made_at_start(tmp_path: Path, lost: str) -> None:
    for number in (1, 2, 3):
        gate(tmp_path).deny([target(b"/%d.jpg" % number)], f"op-{number}")
    before = lines_in(tmp_path / "deny.conf")
    found = list(tmp_path.glob(lost))
    assert found
    for file in found:
        file.unlink()
    again = gate(tmp_path)
    assert lines_in(tmp_path / "deny.conf") == before
    assert [again.state(receipt(number)) for number in (1, 2, 3)] == [GateStatus.DENYING] * 3


def test_files_of_the_past_go(tmp_path: Path) -> None:
    asked = gate(tmp_path)
    for number in range(20):
        asked.deny([target(b"/%d.jpg" % number)], f"op-{number}")
    for number in range(20):
        asked.allow(receipt(number))
    (tmp_path / "deny.conf.d" / "file-0001-left-by-a-crash.conf").write_bytes(b"x")
    gate(tmp_path).deny([target(b"/a.jpg")], "op-a")
    # Its own place and group, and those of the change before, which nginx might still be reading.
    assert len(folder_files(tmp_path)) <= 4
    assert "file-0001-left-by-a-crash.conf" not in folder_files(tmp_path)


def test_files_keep_the_maps_mode(tmp_path: Path) -> None:
    """An nginx whose master is not root reads them by the group that the operator gave the map file."""
    (tmp_path / "deny.conf").touch(mode=0o640)
    (tmp_path / "deny.conf").chmod(0o640)
    gate(tmp_path).deny([target(b"/1.jpg")], "op-1")
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "deny.conf.d").iterdir()} == {0o640}
    assert (tmp_path / "deny.conf.d").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "deny.conf.sqlite").stat().st_mode & 0o777 == 0o600


def test_line_twice_leaves_no_files(tmp_path: Path) -> None:
    """A second operation for the same URL changes no file, and the past is still removed."""
    asked = gate(tmp_path)
    for number, path in enumerate(in_one_place(3)):
        asked.deny([target(path)], f"op-{number}")
        asked.deny([target(path)], f"again-{number}")
    with asked._denials.reading() as view:
        assert folder_files(tmp_path) == view.dropped().union(view.all_names().values())


# --- many


def test_one_place_holds_many_keys(tmp_path: Path) -> None:
    """Places are few; what shares one is neither lost nor let up with its neighbour."""
    same = in_one_place(3)
    asked = gate(tmp_path)
    for number, path in enumerate(same):
        asked.deny([target(path)], f"op-{number}")
    assert denied_in(tmp_path / "deny.conf") == set(same)
    asked.allow(receipt(1))
    assert denied_in(tmp_path / "deny.conf") == {same[0], same[2]}


def test_one_change_writes_few_files(tmp_path: Path) -> None:
    asked = gate(tmp_path)
    asked.deny([target(b"/%d.jpg" % number) for number in range(300)], "op-many")
    before = {file.name: file.stat().st_ino for file in (tmp_path / "deny.conf.d").iterdir()}
    asked.deny([target(b"/new.jpg")], "op-new")
    after = {file.name: file.stat().st_ino for file in (tmp_path / "deny.conf.d").iterdir()}
    assert len(set(after.items()) - set(before.items())) == 2


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    words = (
        "import sys; from tests.unit.adapters.test_nginx_book import *\n"
        "asked = gate(Path(sys.argv[1]))\n"
        "for n in range(8): asked.deny([target(b'/%s-%d.jpg' % (sys.argv[2].encode(), n))], f'op-{sys.argv[2]}-{n}')\n"
    )
    argv = [sys.executable, "-c", words, str(tmp_path)]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda who: subprocess.run([*argv, who], check=False, cwd=Path.cwd()), ("a", "b")))
    assert [one.returncode for one in done] == [0, 0]
    assert denied_in(tmp_path / "deny.conf") == {b"/%s-%d.jpg" % (who, n) for who in (b"a", b"b") for n in range(8)}
    asked = gate(tmp_path)
    states = {asked.state(GateReceipt(op_id=f"op-{who}-{n}")) for who in "ab" for n in range(8)}
    assert states == {GateStatus.DENYING}


@pytest.mark.parametrize("folder", ["a*", "a?", "a[b]"])
def test_map_file_is_no_pattern(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    with pytest.raises(ValueError, match="pattern"):
        gate(tmp_path / folder)
