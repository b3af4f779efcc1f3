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
    rounds = options.count(2, 20)
    large = options.count(2 * SMALL, 10 * SMALL)
    gates = {size: _grown(options.folder / f"gate-{size}", size) for size in (SMALL, large)}
    took: dict[int, list[float]] = {size: [] for size in gates}
    for number in range(rounds):
        # Turn and turn about, so that a slow minute of the disk falls on both.
        for size, gate in gates.items():
            begun = time.perf_counter()
            gate.deny([_target(size + 1 + number)], f"new-{number}")
            took[size].append(1000.0 * (time.perf_counter() - begun))
    for gate in gates.values():
        gate.close()
    found = {size: median(values) for size, values in took.items()}
    ratio = median([grown / small for grown, small in zip(took[large], took[SMALL], strict=True)])
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
        notes=(
            "beside a million cases the gate holds a URL of each that is still watched",
            "most of it is waiting for fsync; nginx's own reload grows, see adapters/nginx/README.md",
        ),
    )


def _grown(folder: Path, denied: int) -> NginxGate:
    """A gate with so many operations of one URL each, all of them in its map files."""
    folder.mkdir()
    nothing = shutil.which("true")
    if nothing is None:
        raise BenchError("the program `true` is not installed")
    gate = NginxGate("bench", str(folder / "deny.conf"), [nothing])
    with gate._denials.changing() as change:
        for number in range(denied):
            change.deny(f"old-{number}", rules_for(_target(number)))
    gate.deny([_target(denied)], "first")
    return gate


def _target(number: int) -> DenyTarget:
    path = f"/gallery/{number:032d}.png"
    return DenyTarget(url=f"http://pictures.demo.example{path}", host="pictures.demo.example", path=path.encode())
