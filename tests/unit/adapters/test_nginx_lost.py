"""The nginx gate without its book: it refuses to begin anew while anything may still be denied. No nginx is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.contract import AdapterError
from tests.doubles.nginx_map import render
from tests.unit.adapters.nginx_maps import denied_in, lines_in
from tests.unit.adapters.test_nginx_book import folder_files, gate, old_book, target


def test_empty_old_book_is_refused(tmp_path: Path) -> None:
    """A disk that was full left it so; what it held is denied by nothing but the map file."""
    text = old_book(tmp_path)
    (tmp_path / "deny.conf.json").write_bytes(b"")
    with pytest.raises(AdapterError, match="backup"):
        gate(tmp_path).deny([target(b"/4.jpg")], "op-4")
    assert (tmp_path / "deny.conf").read_bytes() == text


def test_empty_map_of_before_denies_nothing(tmp_path: Path) -> None:
    """One line of it was another; a gate that never denied anything has no book to lose."""
    empty = render([], "0")
    (tmp_path / "deny.conf").write_bytes(empty.replace(b"[%+$]", b"[%+]"))
    assert (tmp_path / "deny.conf").read_bytes() != empty
    gate(tmp_path).deny([target(b"/1.jpg")], "op-1")
    assert denied_in(tmp_path / "deny.conf") == {b"/1.jpg"}


@pytest.mark.parametrize("emptied", [False, True])
def test_lost_book_and_map_are_told(tmp_path: Path, emptied: bool) -> None:
    old = gate(tmp_path)
    old.deny([target(b"/1.jpg")], "op-1")
    old.close()
    for file in tmp_path.glob("deny.conf*"):
        if file.is_file():
            file.unlink()
    if emptied:
        (tmp_path / "deny.conf").touch()
    before = folder_files(tmp_path)
    with pytest.raises(AdapterError, match="backup"):
        gate(tmp_path).deny([target(b"/2.jpg")], "op-2")
    assert folder_files(tmp_path) == before
    assert not (tmp_path / "deny.conf").exists() or not lines_in(tmp_path / "deny.conf")[0]
