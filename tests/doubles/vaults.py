"""Vaults in a temporary folder, and what tests want to know of them."""

from __future__ import annotations

import datetime as dt
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from receiver.vault import age
from receiver.vault.sealing import refs_of
from receiver.vault.vault import DirectoryVault

NOW = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)


def need(cond: object, what: str) -> None:
    if not cond:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is needed in CI")
        pytest.skip(f"{what} is not to be had here")


class FixedClock:
    def __init__(self) -> None:
        self.moment = NOW
        self.ticks = 0.0

    def now(self) -> dt.datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.ticks


class Custodian:
    def __init__(self) -> None:
        self.text, recipient = age.new_identity()
        self.recipient = age.parse_recipient(recipient)


def make_vault(root: Path, custodians: list[Custodian], clock: FixedClock | None = None) -> DirectoryVault:
    return DirectoryVault(
        str(root / "vault"),
        [custodian.recipient for custodian in custodians],
        second_headers_path=str(root / "second"),
        min_free_bytes=0,
        clock=clock or FixedClock(),
    )


def reading(data: bytes) -> Callable[[int], bytes]:
    return io.BytesIO(data).read


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def places(seal_id: str) -> list[str]:
    payload, header = refs_of(seal_id)
    return sorted([f"vault/payloads/{payload}", f"vault/headers/{header}", f"second/{header}"])
