"""P4: sealing against the sum of its parts, each alone, in the same process; its memory; what is counted apart."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from receiver.demo.commands import SOURCE, environment
from tests.bench.figures import BenchError, Breakdown, Figure, Measured, Options, median

MIB = 1024 * 1024
WANTED = 0.9
WANTED_GROWTH_KIB = 64 * 1024
LARGE_BYTES = 8 * 1024 * MIB
PARTS = ("sha256 of the plain bytes", "ChaCha20-Poly1305", "sha256 of the sealed bytes", "write and fsync")


def measure(options: Options) -> Measured:
    measured = Measured()
    for size_bytes in (options.count(8 * MIB, 256 * MIB), *([LARGE_BYTES] if options.large else [])):
        runs = options.count(1, 5) if size_bytes < LARGE_BYTES else 1
        _add(measured, size_bytes, [_run(options, size_bytes) for _ in range(runs)])
    return measured


def _run(options: Options, size_bytes: int) -> dict[str, Any]:
    """In a process of its own, whose memory nothing else has raised before."""
    words = [sys.executable, "-m", "tests.bench.seal_process", str(options.folder), str(size_bytes)]
    ended = subprocess.run(words, env=environment(), cwd=SOURCE, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise BenchError(f"sealing failed: {ended.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def _add(measured: Measured, size_bytes: int, runs: list[dict[str, Any]]) -> None:
    size = f"{size_bytes // MIB} MiB"
    ratio = median([sum(run["parts"].values()) / run["seal_seconds"] for run in runs])
    seconds = median([run["seal_seconds"] for run in runs])
    whole = median([run["whole_seconds"] for run in runs])
    growth = max(run["growth_kib"] for run in runs)
    measured.add(
        Figure(
            goal="P4",
            name=f"seal {size}, without read-back and extra hashes",
            value=size_bytes / MIB / seconds,
            unit="MiB/s",
            wanted=f"≥ {WANTED:g} of the sum of its parts",
            beside="the parts one after the other (MiB/s)",
            beside_value=size_bytes / MIB / median([sum(run["parts"].values()) for run in runs]),
            ratio=ratio,
            reached=ratio >= WANTED,
            notes=(f"{len(runs)} runs", f"whole, with md5, sha1 and read-back: {whole:.3g} s"),
        ),
        Figure(
            goal="P4",
            name=f"memory above idle, {size}",
            value=growth / 1024,
            unit="MiB",
            wanted=f"≤ {WANTED_GROWTH_KIB // 1024} MiB",
            beside="idle process (MiB)",
            beside_value=runs[0]["idle_kib"] / 1024,
            reached=growth <= WANTED_GROWTH_KIB,
        ),
    )
    table = Breakdown(goal="P4", title=f"seconds for {size}", columns=("part", "s"))
    table.rows = [(name, median([run["parts"][name] for run in runs])) for name in PARTS]
    table.rows += [
        ("sealed (hash, encrypt, hash, write, headers)", seconds),
        ("apart: read back, decrypt, compare", median([run["read_back_seconds"] for run in runs])),
        ("apart: md5 and sha1", median([run["extra_seconds"] for run in runs])),
    ]
    measured.breakdowns.append(table)
