"""What the web side counts. Each process counts for itself; `share` hands each count on to where they are added up."""

from __future__ import annotations

import threading
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter

Share = Callable[[str, dict[str, str]], None]


class WebMetrics:
    def __init__(self, registry: CollectorRegistry | None = None, share: Share = lambda _name, _labels: None) -> None:
        self._share, self._lock = share, threading.Lock()
        self.registry = registry or CollectorRegistry()
        self.taken = Counter(
            "takedown_requests_taken",
            "Signed requests that were answered as asked.",
            ("what", "repeated"),
            registry=self.registry,
        )
        self.refused = Counter(
            "takedown_requests_refused",
            "Requests that were turned away, by reason.",
            ("what", "status", "reason"),
            registry=self.registry,
        )

    def count_taken(self, what: str, *, repeated: bool = False) -> None:
        self._count(self.taken, "requests_taken", {"what": what, "repeated": str(repeated).lower()})

    def count_refused(self, what: str, status: int, reason: str) -> None:
        self._count(self.refused, "requests_refused", {"what": what, "status": str(status), "reason": reason})

    def _count(self, counter: Counter, name: str, labels: dict[str, str]) -> None:
        counter.labels(**labels).inc()
        with self._lock:
            self._share(name, labels)
