"""A folder as a store of sealed bytes: a name is either not there or whole and durable, never half written.

Another store (a bucket) fills in the same `BlobStore`. Files are 0600 and folders 0700; nothing plain is ever here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from receiver.vault.errors import VaultUnavailableError

_REF = re.compile(r"[0-9a-f]{2}/[A-Za-z0-9_-]{1,100}\.(age|header)")
_PART = re.compile(r"[0-9a-f]{2}/\.[A-Za-z0-9_.-]+\.part")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A file of the store. `ref` is None for what a crash left half written."""

    ref: str | None
    name: str
    modified_seconds: float


class BlobWriter(Protocol):
    def write(self, data: bytes | memoryview) -> None: ...


class BlobStore(Protocol):
    """Every method raises VaultUnavailableError, and nothing else, when the store fails."""

    def put(self, ref: str, *, settled: bool = True) -> AbstractContextManager[BlobWriter]:
        """Durable under `ref` when the block ends well; gone without trace when it raises.

        With `settled` False the bytes are durable, and the name is once `settle` has been told of it.
        """

    def settle(self, refs: Collection[str]) -> None:
        """Make these names durable, which were put unsettled. A store whose names need nothing does nothing."""

    def open(self, ref: str) -> BinaryIO:
        """From the store itself, not from what this machine remembers of it. Raises FileNotFoundError."""

    def delete(self, name: str) -> None:
        """Gone for good; that it was gone already is no error."""

    def list(self) -> Iterator[Blob]: ...


class store_errors:  # noqa: N801 - a block's opening word, like contextlib.suppress
    """Turn what the operating system says into our words; the file's path stays out of them.

    A class, for forty of them stand around the calls of one small seal.
    """

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise _unavailable(self._doing, error) from error


def _unavailable(doing: str, error: OSError) -> VaultUnavailableError:
    if error.errno in _FULL:
        return VaultUnavailableError(f"the vault is full while {doing}; free space or raise the quota")
    reason = error.strerror or type(error).__name__
    return VaultUnavailableError(f"the vault failed while {doing}: {reason}; look at its disk")


class DirectoryStore:
    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self._durable: set[str] = set()
        """Folders in the root that this process synced: whoever made one before may not have lived to."""

    @contextmanager
    def put(self, ref: str, *, settled: bool = True) -> Iterator[_FileWriter]:
        path = self._path(ref)
        folder, name = os.path.split(path)
        part = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.part")
        with store_errors("making a file"):
            descriptor = self._new_file(folder, part)
        try:
            try:
                yield _FileWriter(descriptor)
                with store_errors("writing to the disk"):
                    os.fsync(descriptor)
            finally:
                with store_errors("closing a file"):
                    os.close(descriptor)
            with store_errors("naming a file"):
                os.rename(part, path)
            if settled:
                self.settle((ref,))
        except BaseException:
            with contextlib.suppress(FileNotFoundError), store_errors("clearing up"):
                _unlink(part)
            raise

    def settle(self, refs: Collection[str]) -> None:
        folders = dict.fromkeys(os.path.dirname(self._path(ref)) for ref in refs)
        with store_errors("naming a file"):
            for folder in folders:
                _sync_folder(folder)

    def open(self, ref: str) -> BinaryIO:
        try:
            descriptor = os.open(self._path(ref), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _unavailable("opening a seal", error) from error
        # A page still in memory would say nothing about the disk.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        return os.fdopen(descriptor, "rb", buffering=0)

    def delete(self, name: str) -> None:
        if not _REF.fullmatch(name) and not _PART.fullmatch(name):
            raise ValueError("not a name of this store")
        path = os.path.join(self.root, name)
        with store_errors("deleting a file"):
            if _unlink(path):
                _sync_folder(os.path.dirname(path))

    def list(self) -> Iterator[Blob]:
        for shard in _names(self.root):
            for name in _names(os.path.join(self.root, shard)):
                ref = f"{shard}/{name}"
                known = _REF.fullmatch(ref) is not None
                if not known and not _PART.fullmatch(ref):
                    continue
                with store_errors("listing"):
                    try:
                        modified = os.stat(os.path.join(self.root, ref), follow_symlinks=False).st_mtime
                    except FileNotFoundError:
                        continue
                yield Blob(ref=ref if known else None, name=ref, modified_seconds=modified)

    def _new_file(self, folder: str, path: str) -> int:
        if os.path.basename(folder) in self._durable:
            # Somebody may have taken the folder away since; then it is made again.
            with contextlib.suppress(FileNotFoundError):
                return os.open(path, _NEW_FILE, 0o600)
        self._make_folder(folder)
        return os.open(path, _NEW_FILE, 0o600)

    def _make_folder(self, folder: str) -> None:
        if not self._durable or not os.path.isdir(self.root):
            _make_folder(self.root)
            self._durable = set()
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        # One sync covers every folder that is there by then, so a vault in use costs one after a start, not 256.
        there = os.listdir(self.root)
        _sync_folder(self.root)
        self._durable.update(there)

    def _path(self, ref: str) -> str:
        if not _REF.fullmatch(ref):
            raise ValueError("not a name of this store")
        return os.path.join(self.root, ref)


class _FileWriter:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        with store_errors("writing"):
            while view:
                view = view[os.write(self._descriptor, view) :]


def _make_folder(path: str) -> None:
    """Make it and what leads to it where they are missing, each durable before anything is put in."""
    parent = os.path.dirname(path)
    if not os.path.isdir(path):
        _make_folder(parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
    _sync_folder(parent)


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def _names(path: str) -> list[str]:
    with store_errors("listing"):
        try:
            return sorted(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            return []
