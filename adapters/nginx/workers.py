"""Which processes of an nginx take connections, by what the kernel shows of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Optional

MAX_LISTINGS = 8
PIECE_BYTES = 1 << 16


def workers_of(master: int) -> set[int]:
    """Workers that take connections, none left out; one that is shutting down says so in its title."""
    titles = {pid: title_of(pid) for pid in children_of(master)}
    return {pid for pid, title in titles.items() if b"worker process" in title and b"shutting down" not in title}


def title_of(pid: int) -> bytes:
    """Empty where no such process runs."""
    return _read(f"/proc/{pid}/cmdline") or b""


def listed_children(parent: int) -> Optional[list[int]]:
    """The kernel's own list; None where the kernel was built without it."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in sorted(os.listdir(f"/proc/{parent}/task")):
            text = _read(f"/proc/{parent}/task/{thread}/children")
            if text is None:
                return None
            found += map(int, text.split())
    return found


def children_of(parent: int, listed: Callable[[int], Optional[list[int]]] = listed_children) -> list[int]:
    """By the kernel's own list where two readings of it agree, else from all processes of this machine.

    While the list is read, a child that ends and is gone may hide the one after it. But then it was itself in that
    list, and is not in the next.
    """
    before = listed(parent)
    for _ in range(MAX_LISTINGS):
        if before is None:
            break
        again = listed(parent)
        if again == before:
            return before
        before = again
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == parent]


def _parent(pid: int) -> int:
    fields = (_read(f"/proc/{pid}/stat") or b"").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _read(path: str) -> Optional[bytes]:
    """All of a small file of the kernel's; without Python's files, which ask more of the system than they read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        return b"".join(iter(lambda: os.read(fd, PIECE_BYTES), b""))
    except ProcessLookupError:
        return None
    finally:
        os.close(fd)
