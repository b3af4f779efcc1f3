"""Folders of seals are durable before anything is put in, and no folder is synced for nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from receiver.vault.directory import DirectoryStore
from receiver.vault.sealing import refs_of
from tests.doubles.disk_calls import disk_calls, is_folder, path_of
from tests.doubles.vaults import Custodian, make_vault, reading

SEALS = tuple(f"01SEAL{n}" for n in range(12))
ROOTS = ("vault/payloads", "vault/headers", "second")


class Acts:
    """What was made, named and synced below a folder, in order."""

    def __init__(self, root: Path) -> None:
        self.seen: list[tuple[str, str]] = []
        self._root = root

    def __call__(self, name: str, call: Callable[..., None], *args: Any) -> None:
        call(*args)
        if name == "mkdir":
            self._saw("make", args[0])
        elif name == "rename":
            self._saw("name", args[1])
        elif is_folder(args[0]):
            self._saw("sync", path_of(args[0]))

    def _saw(self, act: str, path: str) -> None:
        self.seen.append((act, os.path.relpath(path, self._root)))

    def count(self, act: str, name: str) -> int:
        return self.seen.count((act, name))


@pytest.fixture
def acts(tmp_path: Path) -> Iterator[Acts]:
    seen = Acts(tmp_path)
    with disk_calls(seen, "fsync", "rename", "mkdir"):
        yield seen


def shards() -> set[str]:
    return {refs_of(seal)[0].partition("/")[0] for seal in SEALS}


def test_new_folders_are_durable_first(tmp_path: Path, custodians: list[Custodian], acts: Acts) -> None:
    make_vault(tmp_path, custodians).seal("01SEAL", reading(b"x"))
    payload, header = refs_of("01SEAL")
    for root, ref in zip(ROOTS, (payload, header, header), strict=True):
        made, synced, named = (
            acts.seen.index(act) for act in (("make", f"{root}/{ref[:2]}"), ("sync", root), ("name", f"{root}/{ref}"))
        )
        assert made < synced < named


def test_each_new_folder_costs_one_sync(tmp_path: Path, custodians: list[Custodian], acts: Acts) -> None:
    vault = make_vault(tmp_path, custodians)
    for seal in SEALS:
        vault.seal(seal, reading(b"x"))
    assert [acts.count("sync", root) for root in ROOTS] == [len(shards())] * 3
    assert acts.count("sync", "vault") == 2


def test_folders_in_use_cost_one_sync(tmp_path: Path, custodians: list[Custodian], acts: Acts) -> None:
    before = make_vault(tmp_path, custodians)
    for seal in SEALS:
        before.seal(seal, reading(b"x"))
    acts.seen.clear()
    started_again = make_vault(tmp_path, custodians)
    for seal in SEALS:
        started_again.seal(seal, reading(b"x"))
    assert [acts.count("sync", root) for root in ROOTS] == [1, 1, 1]


def test_lost_folders_are_made_again(tmp_path: Path, acts: Acts) -> None:
    store = DirectoryStore(str(tmp_path / "payloads"))
    for lost in ("payloads/ab", "payloads"):
        with store.put("ab/seal.age") as out:
            out.write(b"sealed")
        shutil.rmtree(tmp_path / lost)
        acts.seen.clear()
        with store.put("ab/seal.age") as out:
            out.write(b"sealed")
        assert acts.seen[-4:-1] == [
            ("make", "payloads/ab"),
            ("sync", "payloads"),
            ("name", "payloads/ab/seal.age"),
        ]
