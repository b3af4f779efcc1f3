"""Figures for Prometheus, asked of the database when somebody asks for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_NAME = re.compile(r"(\w+)(?:\{(\w+)\})?")
_WORDS = {
    "backlog": "Rows of a track that are due now.",
    "oldest_due_seconds": "How long the oldest due row of a track has been waiting.",
    "stuck": "Tracks that wait for a person.",
    "dead_letters": "Callbacks that were given up.",
    "unsequenced_entries": "Ledger entries that have no number yet.",
    "open_pages": "Calls to people that nobody acknowledged.",
    "sweep_age_seconds": "Seconds since a sweep last succeeded.",
}
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Figures(Collector):
    """`gauges` names its figures `backlog{track}`; `sweeps` names seconds by sweep."""

    def __init__(self, *, gauges: Callable[[], Mapping[str, float]], sweeps: Callable[[], Mapping[str, int]]) -> None:
        self._gauges, self._sweeps = gauges, sweeps

    def collect(self) -> Iterable[Metric]:
        found = {**self._gauges(), **{f"sweep_age_seconds{{{n}}}": float(v) for n, v in self._sweeps().items()}}
        families: dict[str, GaugeMetricFamily] = {}
        for key, value in sorted(found.items()):
            parsed = _NAME.fullmatch(key.replace("-", "_").replace(".", "_"))
            if parsed is None:
                continue
            name, label = parsed[1], parsed[2]
            if name not in families:
                of = "sweep" if name.startswith("sweep") else "track"
                words = _WORDS.get(name, name.replace("_", " "))
                families[name] = GaugeMetricFamily(f"takedown_{name}", words, labels=[of] if label else [])
            families[name].add_metric([label] if label else [], value)
        return families.values()

    def text(self) -> bytes:
        """In Prometheus' own text form."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)
