"""Small files of ours that a power cut leaves whole, old or new, and under their name."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def replace_durably(path: Path, content: bytes, *, mode: int) -> None:
    """Write beside it, sync, rename, sync the folder: readers see the old file or the new one. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
        sync_folder(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def make_folder(path: Path, *, mode: int) -> None:
    """Make it and whatever is missing above it, each under its parent for good. Raises OSError."""
    missing = [path, *path.parents]
    for folder in reversed(missing[: next(n for n, found in enumerate(missing) if found.exists())]):
        folder.mkdir(mode=mode, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Names in a folder last once the folder itself is synced. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
