"""What docs/evidence.md tells a custodian to type opens a seal, and says so when it was damaged."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from tests.doubles.documents import ROOT, blocks
from tests.doubles.vaults import Custodian, make_vault, reading
from tests.support import need_program

PICTURE = b"noise " * 50_000


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A custodian's own machine: a seal's two files, and the identity."""
    custodians = [Custodian(), Custodian()]
    made = make_vault(tmp_path, custodians).seal("01SEAL", reading(PICTURE))
    desk = tmp_path / "desk"
    desk.mkdir()
    (desk / "SEAL.header").write_bytes((tmp_path / "second" / made.header_ref).read_bytes())
    (desk / "SEAL.age").write_bytes((tmp_path / "vault/payloads" / made.payload_ref).read_bytes())
    (desk / "custodian.key").write_text(custodians[0].text, encoding="ascii")
    return desk


def typed_at(desk: Path) -> subprocess.CompletedProcess[str]:
    for name in ("age", "sha256sum"):
        need_program(name)
    (block,) = [block for block in blocks(ROOT / "docs" / "evidence.md") if block.is_typed]
    return subprocess.run(["sh", "-c", block.text], cwd=desk, capture_output=True, text=True, check=False)


def test_shown_commands_open_a_seal(desk: Path) -> None:
    done = typed_at(desk)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["whole", f"{hashlib.sha256(PICTURE).hexdigest()}  OUTPUT"]


def test_shown_commands_tell_of_damage(desk: Path) -> None:
    sealed = bytearray((desk / "SEAL.age").read_bytes())
    sealed[-1] ^= 1
    (desk / "SEAL.age").write_bytes(sealed)
    done = typed_at(desk)
    assert not re.search("^whole$", done.stdout, re.MULTILINE)
