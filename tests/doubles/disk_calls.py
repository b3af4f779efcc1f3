"""Calls that change the disk, each past a turn of the test's: what was synced, and in which order, has no answer."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

Turn = Callable[..., Any]
"""`turn(name, call, *args, **kwargs)` makes the call, or does not."""


@contextmanager
def disk_calls(turn: Turn, *names: str) -> Iterator[None]:
    """While it lasts, these functions of `os` are the turn's to make."""

    def passed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: turn(name, call, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(os, name, passed(name, getattr(os, name)))
        yield


@contextmanager
def syncs_and_names() -> Iterator[list[str]]:
    """`file`, `folder` and `name` in order: what was synced, and when something got its name."""
    acts: list[str] = []

    def note(name: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        acts.append("name" if name == "rename" else "folder" if is_folder(args[0]) else "file")
        return call(*args, **kwargs)

    with disk_calls(note, "fsync", "rename"):
        yield acts


def is_folder(descriptor: int) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def path_of(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")
