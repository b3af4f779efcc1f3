"""Figures for Prometheus, asked of the database when somebody asks for them. docs/metrics.md lists them all."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from receiver.domain.figures import Count, Sealed, Told
from receiver.domain.status import ItemStatus

_NAME = re.compile(r"(\w+)(?:\{([^{}]*)\})?")
R = TypeVar("R")
GAUGES: Mapping[str, tuple[str, str | None]] = {
    "backlog": ("Rows of a track that are due now.", "track"),
    "oldest_due_seconds": ("How long the oldest due row of a track has been waiting.", "track"),
    "retrying": ("Rows of a track that failed and are tried again.", "track"),
    "attempts": ("Most tries that any row of a track has needed, of those tried again.", "track"),
    "stuck": ("Tracks that wait for a person.", None),
    "dead_letters": ("Callbacks that were given up.", None),
    "unsequenced_entries": ("Ledger entries that have no number yet.", None),
    "pages_open": ("Calls to people that nobody acknowledged, by kind; docs/operating.md says what to do.", "kind"),
    "sweep_age_seconds": ("Seconds since a sweep last succeeded.", "sweep"),
    "processes_alive": ("Processes that gave a sign of life in the last ten seconds.", "part"),
    "pauses": ("What is paused: everything, an issuer or an adapter each count one.", None),
    "ledger_entries": ("Numbered entries of the ledger.", None),
    "ledger_checkpoint_age_seconds": ("Seconds since the last checkpoint was signed.", None),
}
"""Name without `takedown_`, what it says, and its label."""
COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "requests_taken": ("Signed requests that were answered as asked.", ("what", "repeated")),
    "requests_refused": ("Requests that were turned away, by reason.", ("what", "status", "reason")),
    "items_told": ("Changes of an item that its issuer is told of.", ("issuer", "status")),
    "seals": ("Pieces of evidence that were sealed and read back.", ("adapter",)),
    "sealed_bytes": ("Bytes in them.", ("adapter",)),
}
"""Name without `takedown_` and `_total`."""
TIME_TO_DISABLED = "time_to_disabled_seconds"
REMOVAL_LABELS = ("issuer", "category", "adapter")
BUCKETS_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800, 3600, 21600, 86400)
OVERLAP_SECONDS = 120.0
"""An id is made a moment before its row is committed, maybe on a machine whose clock is a little behind."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class FigureReads(Protocol):
    """What the database is asked."""

    def now(self) -> int: ...
    def gauges(self) -> Mapping[str, float]: ...
    def standing(self) -> Mapping[str, float]: ...
    def sweep_ages(self) -> Mapping[str, int]: ...
    def told_since(self, since_at: int) -> Iterable[Told]: ...
    def sealed_since(self, since_at: int) -> Iterable[Sealed]: ...


class Figures(Collector):
    """Counters begin at zero with this process and go on from what the database says happened since.

    `shared` tells what the public side's processes counted.
    """

    def __init__(self, *, reads: FigureReads, shared: Callable[[], Sequence[Count]] = tuple) -> None:
        self._reads, self._shared = reads, shared
        self._lock = threading.Lock()
        self._begun_at = self._asked_at = time.time_ns() // 1000
        self._seen: dict[str, int] = {}
        self._counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._times: dict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0] * (len(BUCKETS_SECONDS) + 2))

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            self._catch_up()
            yield from self._gauge_families()
            yield from self._counter_families()
            yield self._histogram()

    def text(self) -> bytes:
        """In Prometheus' own text form."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def _catch_up(self) -> None:
        since = max(self._begun_at, self._asked_at - int(OVERLAP_SECONDS * 1e6))
        now = self._reads.now()
        for told in self._new(self._reads.told_since(since), lambda row: row.event, now):
            self._counts["items_told", (told.issuer, told.status)] += 1
            if told.first and told.status == ItemStatus.DISABLED:
                self._observe((told.issuer, told.category, told.adapter), told.after_seconds)
        for sealed in self._new(self._reads.sealed_since(since), lambda row: row.entry, now):
            self._counts["seals", (sealed.adapter,)] += 1
            self._counts["sealed_bytes", (sealed.adapter,)] += sealed.size_bytes
        self._asked_at = now
        self._seen = {key: at for key, at in self._seen.items() if at > now - int(3 * OVERLAP_SECONDS * 1e6)}

    def _new(self, rows: Iterable[R], key_of: Callable[[R], str], now: int) -> Iterator[R]:
        for row in rows:
            if key_of(row) not in self._seen:
                yield row
            self._seen[key_of(row)] = now

    def _observe(self, labels: tuple[str, ...], seconds: float) -> None:
        counts = self._times[labels]
        counts[next((n for n, edge in enumerate(BUCKETS_SECONDS) if seconds <= edge), len(BUCKETS_SECONDS))] += 1
        counts[-1] += seconds

    def _gauge_families(self) -> Iterator[Metric]:
        found = {**self._reads.gauges(), **self._reads.standing()}
        found |= {f"sweep_age_seconds{{{name}}}": float(age) for name, age in self._reads.sweep_ages().items()}
        families: dict[str, GaugeMetricFamily] = {}
        for key, value in sorted(found.items()):
            parsed = _NAME.fullmatch(key)
            if parsed is None or parsed[1] not in GAUGES:
                continue
            words, label = GAUGES[parsed[1]]
            if parsed[1] not in families:
                families[parsed[1]] = GaugeMetricFamily(f"takedown_{parsed[1]}", words, labels=[label] if label else [])
            families[parsed[1]].add_metric([parsed[2]] if label else [], value)
        yield from families.values()

    def _counter_families(self) -> Iterator[Metric]:
        values: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in COUNTERS}
        for (name, labels), counted in self._counts.items():
            values[name][labels] = float(counted)
        for count in self._shared():
            if count.name in COUNTERS and set(count.labels) == set(COUNTERS[count.name][1]):
                given = tuple(count.labels[label] for label in COUNTERS[count.name][1])
                values[count.name][given] = values[count.name].get(given, 0.0) + count.value
        for name, (words, labels) in COUNTERS.items():
            family = CounterMetricFamily(f"takedown_{name}", words, labels=labels)
            for given, value in sorted(values[name].items()):
                family.add_metric(given, value)
            yield family

    def _histogram(self) -> Metric:
        words = "From the notice's record to the first time its issuer is told that an item is disabled."
        family = HistogramMetricFamily(f"takedown_{TIME_TO_DISABLED}", words, labels=REMOVAL_LABELS)
        edges = [*(str(float(edge)) for edge in BUCKETS_SECONDS), "+Inf"]
        for labels, counts in sorted(self._times.items()):
            rising = [sum(counts[: place + 1]) for place in range(len(edges))]
            family.add_metric(labels, list(zip(edges, rising, strict=True)), sum_value=counts[-1])
        return family
