"""A process dies at a sync of a folder. The next one, which finds the work half done or done, must sync that folder.

What it finds may be in the kernel's memory alone: it would go on upon it, tell others, and a power cut would take it
away. Each sync of a folder in an undisturbed run is a point.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.contract import BlockReceipt, Ref
from adapters.filesystem.adapter import FilesystemAdapter
from receiver.ledger.copies import DirectoryCopy
from receiver.vault.directory import DirectoryStore
from tests.doubles.disk_calls import disk_calls, is_folder, path_of
from tests.faults.strace_attach import clear
from tests.support import need_root

REF = Ref(locator=b"acme/a/pic.jpg", scope=b"acme")
Act = Callable[[Path], object]


class Dead(BaseException):
    """The process is gone."""


class Watch:
    """Notes which folders are synced; dies at the one chosen, and then nothing can be tidied up any more."""

    def __init__(self, root: Path, dies_at: int | None) -> None:
        self.synced: list[str] = []
        self._root, self._dies_at, self._dead = root, dies_at, False

    def __call__(self, name: str, call: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        if self._dead:
            raise Dead
        if name == "fsync" and is_folder(args[0]):
            if len(self.synced) == self._dies_at:
                self._dead = True
                raise Dead
            self.synced.append(os.path.relpath(path_of(args[0]), self._root))
        call(*args, **kwargs)


def synced(act: Act, root: Path, dies_at: int | None = None) -> list[str]:
    watch = Watch(root, dies_at)
    with disk_calls(watch, "fsync", "unlink", "rmdir", "rename"):
        if dies_at is None:
            act(root)
        else:
            with pytest.raises(Dead):
                act(root)
    return watch.synced


def forgotten(act: Act, prepare: Act, tmp_path: Path) -> list[str]:
    """Folders that a dead process left unsynced and the next one did not sync either."""

    def fresh(name: str) -> Path:
        root = tmp_path / name
        root.mkdir()
        prepare(root)
        return root

    whole = synced(act, fresh("whole"))
    assert whole
    found = []
    for number, folder in enumerate(whole):
        root = fresh(str(number))
        synced(act, root, number)
        if folder not in synced(act, root):
            found.append(f"{folder} at sync {number}")
    clear(tmp_path)
    tmp_path.mkdir()
    return found


def docroot(root: Path) -> None:
    (root / "www/acme/a").mkdir(parents=True)
    (root / "www/acme/a/pic.jpg").write_bytes(b"noise")
    os.link(root / "www/acme/a/pic.jpg", root / "www/acme/second.jpg")


def adapter(root: Path) -> FilesystemAdapter:
    return FilesystemAdapter("www", str(root / "www"), str(root / "quarantine"))


def block(root: Path) -> BlockReceipt:
    store = adapter(root)
    return store.block(REF, store.observe(REF), "op-1")


def blocked(root: Path) -> None:
    docroot(root)
    block(root)


def unblock(root: Path) -> None:
    receipt = BlockReceipt(op_id="op-1", ref=REF, pins=(), undo={"op_id": "op-1"}, doors=(), residual=())
    adapter(root).unblock(REF, receipt)


def put(root: Path) -> None:
    with DirectoryStore(str(root / "vault" / "payloads")).put("ab/seal.age") as out:
        out.write(b"sealed")


def copy(root: Path) -> None:
    DirectoryCopy(str(root)).append("host.example/ledger\n1\nAA==\n\n\N{EM DASH} host.example/ledger AA==\n")


def nothing(root: Path) -> None:
    del root


def test_blocked_files_stay_moved(tmp_path: Path) -> None:
    need_root()
    assert forgotten(block, docroot, tmp_path) == []


def test_files_given_back_stay_there(tmp_path: Path) -> None:
    need_root()
    assert forgotten(unblock, blocked, tmp_path) == []


def test_folders_of_seals_stay(tmp_path: Path) -> None:
    assert forgotten(put, nothing, tmp_path) == []


def test_ledger_copies_keep_their_name(tmp_path: Path) -> None:
    assert forgotten(copy, nothing, tmp_path) == []
