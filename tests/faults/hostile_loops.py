"""A customer's loops, for processes of their own: swapping, linking, replacing for ever."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import random
from pathlib import Path
from typing import Any

EXCHANGE = 2
AT_FDCWD, AT_EMPTY_PATH, AT_SYMLINK_FOLLOW = -100, 0x1000, 0x400
_LIBC = ctypes.CDLL(None, use_errno=True)


def exchange(one: Path, other: Path) -> None:
    failed = _LIBC.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE)
    if failed:
        raise OSError(ctypes.get_errno(), "exchange")


def swap_for_ever(turns: Any, pairs: list[tuple[Path, Path]], seed: int) -> None:
    """There and back, so that the file stands at its name half of the time."""
    dice = random.Random(seed)
    while True:
        one, other = dice.choice(pairs)
        for _ in range(2):
            with contextlib.suppress(OSError):
                exchange(one, other)
        turns.value += 1


def link_for_ever(turns: Any, path: Path, folder: Path, most: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    source = f"/proc/self/fd/{fd}".encode()
    for number in itertools.count():
        name = os.fsencode(folder / f"l{number % most}")
        if _LIBC.linkat(AT_FDCWD, source, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0:
            turns.value += 1
        else:
            turns.value += turns.value == 0


def replace_for_ever(turns: Any, path: Path) -> None:
    """Delete and make again, so that the inode number is used anew."""
    for number in itertools.count():
        with contextlib.suppress(OSError):
            path.unlink()
        with contextlib.suppress(OSError):
            path.write_bytes(b"version %06d" % number)
        turns.value += 1
