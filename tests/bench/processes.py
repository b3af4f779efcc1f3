"""What processes cost: CPU time, memory at its highest, and by `strace` their write transactions and fsyncs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures import BenchError
from tests.e2e.stand import children_of, command_of

TICKS = os.sysconf("SC_CLK_TCK")
STRACE_SECONDS = 10.0
_CALL = re.compile(r"(fsync|fdatasync|flock)\(\d+<([^>]*)>(?:, ([A-Z_|]+))?")


def cpu_ms(pids: Sequence[int]) -> float:
    """User and system time of these processes so far, with their ended children."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += sum(int(fields[place]) for place in (11, 12, 13, 14))
    return 1000.0 * ticks / TICKS


def peak_kib(pid: int | str = "self") -> int:
    """VmHWM: the most memory this process ever had at once."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise BenchError("this kernel does not tell VmHWM")


def family(pid: int) -> list[int]:
    found = [pid]
    for child in children_of(pid):
        found += family(child)
    return found


def parts_of(pid: int) -> dict[str, list[int]]:
    """The receiver's processes by their part's name; gunicorn's children count to theirs."""
    found = {"serve": [pid]}
    for child in children_of(pid):
        words = command_of(child)
        found[words[-1] if words else "gone"] = family(child)
    return found


class Counted:
    """Counts while the block runs. Tracing slows what it traces, so nothing is timed under it."""

    def __init__(self, pids: Sequence[int], output: Path) -> None:
        self._pids, self._output = pids, output
        self.syncs: Counter[str] = Counter()
        """By what was synced: `database`, `vault`, `quarantine`, and the rest by file name."""
        self.transactions = 0
        """Write transactions of SQLite, each of which frees the writers' lock once."""

    def __enter__(self) -> Counted:
        found = shutil.which("strace")
        if found is None:
            raise BenchError("strace is not installed")
        words = [found, "-f", "-q", "-y", "-e", "trace=fsync,fdatasync,flock", "-o", str(self._output)]
        for pid in self._pids:
            words += ["-p", str(pid)]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait_until_attached()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(STRACE_SECONDS)
        self._read()

    def _wait_until_attached(self) -> None:
        deadline = time.monotonic() + STRACE_SECONDS
        while any(_tracer(pid) != self._process.pid for pid in self._pids):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchError("strace may not trace here")
            time.sleep(0.02)

    def _read(self) -> None:
        for line in self._output.read_text(encoding="utf-8", errors="replace").splitlines():
            found = _CALL.search(line)
            if found is None:
                continue
            call, path, how = found.groups()
            if call != "flock":
                self.syncs[_kind(path)] += 1
            elif path.endswith(".db.lock") and how == "LOCK_UN":
                self.transactions += 1


def _tracer(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(text.partition("TracerPid:")[2].split()[0])


def _kind(path: str) -> str:
    for part, kind in (
        (".db", "database"),
        ("checkpoints", "ledger: copies"),
        ("/vault/headers", "vault: headers"),
        ("/second-disk/headers", "vault: second headers"),
        ("/vault/payloads", "vault: payloads"),
        ("/vault", "vault: new folders"),
        ("/second-disk", "vault: new folders"),
        ("/quarantine", "store: quarantine"),
        ("/www", "store: docroot"),
        ("/gate", "gate: map"),
    ):
        if part in path:
            return kind
    return os.path.basename(path)
