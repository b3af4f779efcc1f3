"""P2: the whole chain, item after item, to the signed callback delivered and the seal recorded."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench import peer_synapse
from tests.bench.figures import BenchError, Breakdown, Figure, Measured, Options
from tests.bench.issuer import send_all, verify_receipts
from tests.bench.machine import fsyncs_per_second
from tests.bench.processes import Counted, cpu_ms, family, parts_of
from tests.bench.site import FILE_BYTES, ITEMS, BenchStand, bench_stand

WANTED_PER_SECOND = 100.0
WANTED_RATIO = 1.0
LINES = 2
PATIENCE_SECONDS = 120.0
PATIENCE_SECONDS_PER_ITEM = 1.0
TRACED_SECONDS_PER_ITEM = 10.0
"""strace stops every system call of every part, also of nginx and Varnish."""
EDGE = 0.1
"""Share of the items at each end that the sustained rate leaves out: there the chain is not full."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One load of notices, from the first byte to the last callback and the last seal."""

    items: int
    told_seconds: float
    whole_seconds: float
    sustained_per_second: float
    cpu_ms: Mapping[str, float]

    @property
    def per_second(self) -> float:
        return self.items / self.whole_seconds


def measure(options: Options) -> Measured:
    measured = Measured()
    with bench_stand(options.folder) as stand:
        run_load(stand, ITEMS)
        fsyncs = fsyncs_per_second(options.folder, options.pick(0.2, 2.0))
        passed = run_load(stand, options.count(2 * ITEMS, 80 * ITEMS))
        peer = peer_synapse.measure(options) if options.peers else None
        measured.add(*_figures(passed, peer, fsyncs))
        measured.breakdowns.append(_cpu(passed))
        measured.breakdowns.append(_counted(stand, options))
    _measure_more_workers(options, fsyncs, measured)
    return measured


def _measure_more_workers(options: Options, fsyncs: float, measured: Measured) -> None:
    """The same with a worker process for each core, where one worker keeps one of them busy."""
    cores = len(os.sched_getaffinity(0))
    with bench_stand(options.folder, workers=cores) as stand:
        run_load(stand, ITEMS)
        passed = run_load(stand, options.count(2 * ITEMS, 80 * ITEMS))
    measured.add(_rate(f"whole chain, {cores} worker processes", passed, fsyncs))
    measured.breakdowns.append(_cpu(passed, f"processor time by part, {cores} worker processes"))


def run_load(stand: BenchStand, count: int, seconds_per_item: float = PATIENCE_SECONDS_PER_ITEM) -> Pass:
    """Notices go in as fast as they are answered; everything about all of them must come out."""
    posts = stand.posts(stand.put_files(count), ITEMS)
    seals, told = stand.seals(), stand.ear.count("disabled")
    parts = parts_of(stand.pid)
    before = {name: cpu_ms(pids) for name, pids in parts.items()}
    begun = time.monotonic()
    answers = send_all(stand.facts.public_port, posts, lines=LINES)
    patience = PATIENCE_SECONDS + count * seconds_per_item
    if not stand.ear.wait_for("disabled", told + count, patience):
        raise BenchError(f"{stand.ear.count('disabled') - told} of {count} items were told as disabled")
    told_seconds = max(stand.ear.heard.values()) - begun
    whole_seconds = stand.wait_for_seals(seals + count, patience) - begun
    spent = {name: cpu_ms(pids) - before[name] for name, pids in parts.items()}
    verify_receipts(answers, stand.jwks)
    if stand.ear.verify() < 1:
        raise BenchError("no callback came")
    moments = sorted(at for (_, _, status), at in stand.ear.heard.items() if status == "disabled" and at >= begun)
    return Pass(
        items=count,
        told_seconds=told_seconds,
        whole_seconds=max(told_seconds, whole_seconds),
        sustained_per_second=_sustained(moments, begun),
        cpu_ms=spent,
    )


def _sustained(moments: Sequence[float], begun: float) -> float:
    """Callbacks in the middle of the load, by their times."""
    first, last = int(len(moments) * EDGE), int(len(moments) * (1 - EDGE)) - 1
    if last <= first or moments[last] <= moments[first]:
        return len(moments) / (moments[-1] - begun)
    return (last - first) / (moments[last] - moments[first])


def _figures(passed: Pass, peer: peer_synapse.Peer | None, fsyncs: float) -> list[Figure]:
    cpu_ms_each = sum(passed.cpu_ms.values()) / passed.items
    rate = _rate("whole chain, seal and callback", passed, fsyncs)
    cpu = Figure(
        goal="P2",
        name="processor time, all parts",
        value=cpu_ms_each,
        unit="ms/item",
        beside="Synapse's flag (ms)" if peer else "",
        beside_value=peer.cpu_ms if peer else None,
        ratio=cpu_ms_each / peer.cpu_ms if peer else None,
    )
    return [rate, cpu] if peer is None else [rate, cpu, _against(passed, peer)]


def _rate(name: str, passed: Pass, fsyncs: float) -> Figure:
    return Figure(
        goal="P2",
        name=name,
        value=passed.per_second,
        unit="items/s",
        wanted=f"≥ {WANTED_PER_SECOND:g}/s",
        beside="fsync/s",
        beside_value=fsyncs,
        ratio=passed.per_second / fsyncs,
        reached=passed.per_second >= WANTED_PER_SECOND,
        notes=(
            f"{passed.items} items of {FILE_BYTES // 1000} kB, {ITEMS} a notice; {fsyncs:,.0f} fsync/s just before",
            f"to the last callback {passed.items / passed.told_seconds:.3g}/s",
            f"in the middle {passed.sustained_per_second:.3g}/s",
        ),
    )


def _against(passed: Pass, peer: peer_synapse.Peer) -> Figure:
    return Figure(
        goal="P2",
        name="whole chain against Synapse's flag",
        value=passed.per_second,
        unit="items/s",
        wanted=f"≥ {WANTED_RATIO:g} of it",
        beside=f"Synapse {peer.version} quarantines media (1/s)",
        beside_value=peer.per_second,
        ratio=passed.per_second / peer.per_second,
        reached=passed.per_second >= WANTED_RATIO * peer.per_second,
        notes=(f"{peer.calls} calls, {peer.lines} connections, {peer.database}",),
    )


def _cpu(passed: Pass, title: str = "processor time by part") -> Breakdown:
    table = Breakdown(goal="P2", title=title, columns=("part", "ms an item"))
    table.rows = [(name, ms / passed.items) for name, ms in sorted(passed.cpu_ms.items(), key=lambda pair: -pair[1])]
    return table


def _counted(stand: BenchStand, options: Options) -> Breakdown:
    """A pass of its own, since tracing slows it."""
    items = options.count(ITEMS, 4 * ITEMS)
    with Counted(family(stand.pid), options.folder / "strace") as counted:
        run_load(stand, items, TRACED_SECONDS_PER_ITEM)
    columns = ("what", "in all", "per item", "per notice")
    table = Breakdown(goal="P2", title=f"counted by strace over {items} items, {ITEMS} a notice", columns=columns)
    counts = [("SQLite write transactions", counted.transactions), ("fsync, all", sum(counted.syncs.values()))]
    counts += [(f"fsync of {kind}", count) for kind, count in counted.syncs.most_common(12)]
    table.rows = [(name, count, count / items, count * ITEMS / items) for name, count in counts]
    return table
