"""Typed offline: identities and headers, against the stock `age`."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from receiver.cli import main
from receiver.vault import age
from receiver.vault.errors import AgeNoMatchError
from tests.support import need_program


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["custodian", *words])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


def test_identity_is_for_its_owner_alone(tmp_path: Path) -> None:
    recipient = run("new", str(tmp_path / "id")).strip()
    assert recipient.startswith("age1")
    assert stat.S_IMODE((tmp_path / "id").stat().st_mode) == 0o600
    assert "AGE-SECRET-KEY-1" in (tmp_path / "id").read_text()


def test_identity_is_never_written_over(tmp_path: Path) -> None:
    run("new", str(tmp_path / "id"))
    before = (tmp_path / "id").read_text()
    assert "never written over" in run("new", str(tmp_path / "id"), code=1)
    assert (tmp_path / "id").read_text() == before


def test_unwrapped_header_opens_for_the_officer_alone(tmp_path: Path) -> None:
    tool = need_program("age")
    mine, theirs = (run("new", str(tmp_path / name)).strip() for name in ("mine", "theirs"))
    sealed = subprocess.run([tool, "-r", mine], input=b"noise " * 50_000, capture_output=True, check=True).stdout
    cut = sealed.index(b"\n", sealed.index(b"\n---") + 1) + 1
    (tmp_path / "header").write_bytes(sealed[:cut])
    words = ("unwrap", str(tmp_path / "header"), "--identity", str(tmp_path / "mine"))
    run(*words, "--to", theirs, "--out", str(tmp_path / "new"))
    (tmp_path / "whole").write_bytes((tmp_path / "new").read_bytes() + sealed[cut:])
    opened = subprocess.run(
        [tool, "-d", "-i", str(tmp_path / "theirs"), str(tmp_path / "whole")], capture_output=True, check=True
    )
    assert opened.stdout == b"noise " * 50_000
    with pytest.raises(AgeNoMatchError):
        age.unwrap((tmp_path / "new").read_bytes(), age.parse_identity((tmp_path / "mine").read_text().split()[-1]))


def test_wrong_identity_is_said_without_showing_it(tmp_path: Path) -> None:
    for name in ("mine", "other"):
        run("new", str(tmp_path / name))
    recipient = age.parse_recipient((tmp_path / "mine").read_text().split()[3])
    (tmp_path / "header").write_bytes(age.make_header(bytes(16), [recipient]))
    words = ("unwrap", str(tmp_path / "header"), "--identity", str(tmp_path / "other"), "--to", recipient.text)
    shown = run(*words, code=1)
    assert "none of the recipients" in shown
    assert "AGE-SECRET" not in shown
