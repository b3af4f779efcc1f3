"""What the web side counts. Each process counts for itself, unless PROMETHEUS_MULTIPROC_DIR was set when it began."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class WebMetrics:
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
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
        self.taken.labels(what, str(repeated).lower()).inc()

    def count_refused(self, what: str, status: int, reason: str) -> None:
        self.refused.labels(what, str(status), reason).inc()
