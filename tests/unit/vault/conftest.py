from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.vault.vault import DirectoryVault
from tests.doubles.vaults import Custodian, make_vault, need


@pytest.fixture
def custodians() -> list[Custodian]:
    return [Custodian(), Custodian()]


@pytest.fixture
def vault(tmp_path: Path, custodians: list[Custodian]) -> DirectoryVault:
    return make_vault(tmp_path, custodians)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and shutil.which("mount")
        and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True)
    )
    need(mounted and mounted.returncode == 0, "mounting a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)
