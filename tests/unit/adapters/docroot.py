"""A docroot with two customers, for the tests of the filesystem adapter."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from adapters.contract import BlockReceipt, Ref, SealProof
from adapters.filesystem import syscalls
from adapters.filesystem.adapter import FilesystemAdapter

SCOPE = b"acme"
MOVED = 10
"""So few names are moved where a test asks for `few_moved`; it need not make hundreds then."""


class Docroot:
    def __init__(self, base: Path) -> None:
        self.root, self.held = base / "www", base / "held"
        (self.root / "acme").mkdir(parents=True)
        (self.root / "other").mkdir()
        self.adapter = FilesystemAdapter("www", str(self.root), str(self.held))

    def path(self, name: str) -> Path:
        return self.root / "acme" / name

    def put(self, name: str = "a.jpg", body: bytes = b"a colour field") -> Ref:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_bytes(body)
        return self.ref(name)

    def ref(self, name: str, scope: bytes = SCOPE) -> Ref:
        return Ref(locator=b"acme/" + os.fsencode(name), scope=scope)

    def block(self, ref: Ref, op_id: str = "op-1") -> BlockReceipt:
        return self.adapter.block(ref, self.adapter.observe(ref), op_id)

    def read(self, ref: Ref, receipt: BlockReceipt) -> bytes:
        with self.adapter.open(ref, receipt.pins[0]) as reader:
            return b"".join(iter(lambda: reader.read(7), b""))

    def proof(self, receipt: BlockReceipt) -> SealProof:
        return SealProof(seal_id="s", pins=receipt.pins, sha256_sealed="0" * 64, size_bytes=1, checked_at=1)

    def again(self) -> None:
        """A new process over the same directories."""
        self.adapter = FilesystemAdapter("www", str(self.root), str(self.held))

    def clear(self) -> None:
        subprocess.run(["chattr", "-R", "-f", "-ia", self.root, self.held], check=False)
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.held, ignore_errors=True)


def facts(path: Path) -> tuple[object, ...]:
    """All that an undo must bring back, as another program sees it."""
    seen = path.lstat()
    shown = subprocess.run(["getfattr", "-d", "-m-", "-e", "hex", path], capture_output=True, check=True).stdout
    access = subprocess.run(["getfacl", "-n", path], capture_output=True, check=True).stdout
    flags = subprocess.run(["lsattr", "-d", path], capture_output=True, check=True, text=True).stdout.split()[0]
    return (
        seen.st_ino, seen.st_mode, seen.st_uid, seen.st_gid, seen.st_nlink, seen.st_size, seen.st_mtime_ns,
        seen.st_atime_ns, shown, access, flags, path.parent.lstat().st_mtime_ns,
    )  # fmt: skip


def is_immutable(path: Path) -> bool:
    fd = os.open(path, os.O_RDONLY)
    try:
        return bool((syscalls.get_flags(fd) or 0) & syscalls.IMMUTABLE)
    finally:
        os.close(fd)
