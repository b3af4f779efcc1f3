"""Part of P5: one more denial at the nginx gate, where many URLs are denied already. nginx itself is left out."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from adapters.contract import DenyTarget
from adapters.nginx.gate import NginxGate
from adapters.nginx.rules import rules_for
from tests.bench.figures import BenchError, Figure, Options, median

WANTED = 1.2
SMALL = 1_000


def measure(options: Options) -> Figure:
    """Ten times as many, not a thousand: what grows shows at that already."""
    rounds = options.count(2, 10)
    large = options.count(2 * SMALL, 10 * SMALL)
    found = {size: _one(options.folder / f"gate-{size}", size, rounds) for size in (SMALL, large)}
    ratio = found[large] / found[SMALL]
    return Figure(
        goal="P5",
        name=f"denial at the nginx gate without nginx, {large:,} denied before",
        value=found[large],
        unit="ms",
        wanted=f"≤ {WANTED:g} times",
        beside=f"the same with {SMALL:,} (ms)",
        beside_value=found[SMALL],
        ratio=ratio,
        reached=ratio <= WANTED,
        notes=("beside a million cases the gate holds a URL of each that is still watched",),
    )


def _one(folder: Path, denied: int, rounds: int) -> float:
    """Milliseconds of one denial."""
    folder.mkdir()
    nothing = shutil.which("true")
    if nothing is None:
        raise BenchError("the program `true` is not installed")
    gate = NginxGate("bench", str(folder / "deny.conf"), [nothing])
    with gate._book.changing() as state:
        state.ops.update({f"old-{number}": list(rules_for(_target(number))) for number in range(denied)})
    gate.deny([_target(denied)], "first")
    took = []
    for number in range(rounds):
        begun = time.perf_counter()
        gate.deny([_target(denied + 1 + number)], f"new-{number}")
        took.append(1000.0 * (time.perf_counter() - begun))
    return median(took)


def _target(number: int) -> DenyTarget:
    path = f"/gallery/{number:032d}.png"
    return DenyTarget(url=f"http://pictures.demo.example{path}", host="pictures.demo.example", path=path.encode())
