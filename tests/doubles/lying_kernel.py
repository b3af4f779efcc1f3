"""A kernel that lies to the filesystem adapter: every system call it makes goes past the lie of the moment.

The adapter's modules get these instead of `os`, `fcntl` and the C library; the test's own hands keep the real ones.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from adapters.filesystem import (
    adapter,
    blocking,
    closing,
    dressing,
    facts,
    probe,
    reading,
    record,
    releasing,
    removing,
    sharing,
    store,
    syscalls,
    walk,
)
from tests.doubles.kernel_lies import CHANGES, LIES, OPENS, READS, Call, Lie

SEEN = READS | OPENS | CHANGES | {"close"}
MOST_CALLS = 20_000
MODULES = (
    adapter, blocking, closing, dressing, facts, probe, reading, record, releasing, removing, sharing, store, syscalls,
    walk,
)  # fmt: skip


class LyingKernel:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.lie: Lie | None = None
        self._told = 0
        for module in MODULES:
            if getattr(module, "os", None) is os:
                patch.setattr(module, "os", _Os(self))
        patch.setattr(syscalls, "fcntl", _Fcntl(self))
        patch.setattr(syscalls, "libc", _Libc(self))

    def tell(self, name: str, real: Call, *args: Any) -> Any:
        if self.lie is None:
            return real(*args)
        self._told += 1
        if self._told > MOST_CALLS:
            pytest.fail("the adapter does not end under this lie")
        return self.lie(name, real, args)

    @contextmanager
    def lying(self, name: str) -> Iterator[None]:
        self.lie, self._told = LIES[name](), 0
        try:
            yield
        finally:
            self.lie = None


class _Os:
    """The module `os`, with the calls that reach the disk led past the lie."""

    def __init__(self, kernel: LyingKernel) -> None:
        self._kernel = kernel

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in SEEN:
            return real
        return lambda *args, **kwargs: self._kernel.tell(name, lambda *given: real(*given, **kwargs), *args)


class _Fcntl:
    def __init__(self, kernel: LyingKernel) -> None:
        self._kernel = kernel

    def __getattr__(self, name: str) -> Any:
        return getattr(fcntl, name)

    def ioctl(self, fd: int, request: int, data: Any) -> Any:
        name = "setflags" if request == syscalls.FS_IOC_SETFLAGS else "getflags"
        return self._kernel.tell(name, fcntl.ioctl, fd, request, data)


class _Libc:
    """The C library: what Python has no name for. An error comes as -1 and a number, as from the real one."""

    def __init__(self, kernel: LyingKernel) -> None:
        self._kernel, self._real = kernel, ctypes.CDLL(None, use_errno=True)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name not in ("syscall", "renameat2"):
            return real
        told = "renameat2" if name == "renameat2" else "openat2"

        def call(*args: Any) -> Any:
            try:
                return self._kernel.tell(told, real, *args)
            except OSError as exc:
                ctypes.set_errno(exc.errno or errno.EIO)
                return -1

        return call
