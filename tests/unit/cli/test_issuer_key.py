"""The issuer's key: made offline, taken by the receiver's own register, signs what `send` signs."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from receiver.cli import main
from receiver.client.send import load_key
from receiver.verification.jwk import load_jwks, thumbprint


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["issuer-key", "new", *words])
    assert result.exit_code == code, result.output
    return result.output


def test_public_half_fits_the_private(tmp_path: Path) -> None:
    shown = run(str(tmp_path / "hotline.pem"), "--key-id", "hotline-1")
    (record,) = load_jwks("hotline", (tmp_path / "hotline.jwks.json").read_bytes())
    private = load_key(tmp_path / "hotline.pem")
    assert (record.key_id, record.thumbprint) == ("hotline-1", thumbprint(private.public_key()))
    assert record.thumbprint in shown


def test_private_half_is_for_its_owner_alone(tmp_path: Path) -> None:
    run(str(tmp_path / "hotline.pem"), "--key-id", "hotline-1")
    assert stat.S_IMODE((tmp_path / "hotline.pem").stat().st_mode) == 0o600
    (jwk,) = json.loads((tmp_path / "hotline.jwks.json").read_text())["keys"]
    assert "d" not in jwk


@pytest.mark.parametrize("name", ["hotline.pem", "hotline.jwks.json"])
def test_key_is_never_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("kept")
    assert "never written over" in run(str(tmp_path / "hotline.pem"), "--key-id", "hotline-1", code=1)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "kept"}


def test_odd_key_id_is_refused(tmp_path: Path) -> None:
    assert "a key id is" in run(str(tmp_path / "hotline.pem"), "--key-id", "two words", code=1)
    assert list(tmp_path.iterdir()) == []
