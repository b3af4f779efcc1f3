"""What stands before a store: gates that refuse URLs, caches that hold copies.

Part of `adapters.contract`, which is where to import it from. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from adapters.errors import Denied, checked_op_id, family, within
from adapters.values import (
    CacheHints,
    CacheKey,
    Capabilities,
    DenyTarget,
    GateReceipt,
    GateStatus,
    PurgeStatus,
    PurgeTicket,
)

MAX_URLS = 10_000
MAX_KEYS = 10_000


class GateAdapter(ABC):
    """A rule at a server or edge that refuses exact URLs in all their spellings."""

    name: str = ""

    def probe(self) -> Capabilities:
        with family("probe"):
            return self._probe()

    def deny(self, targets: Sequence[DenyTarget], op_id: str) -> GateReceipt:
        """Refuse these URLs from the moment this returns. Idempotent by `op_id`."""
        checked_op_id(op_id)
        within("URLs", len(targets), MAX_URLS)
        for target in targets:
            if not target.path.startswith(b"/") or b"\0" in target.path:
                raise Denied("a URL path must start with / and hold no NUL")
        with family("deny"):
            return self._deny(targets, op_id)

    def allow(self, receipt: GateReceipt) -> None:
        """Take back what that `deny` added, and only that; what another operation denies stays denied."""
        with family("allow"):
            self._allow(receipt)

    def state(self, receipt: GateReceipt) -> GateStatus:
        with family("state"):
            return self._state(receipt)

    def close(self) -> None:
        """Give back connections."""

    @abstractmethod
    def _probe(self) -> Capabilities: ...
    @abstractmethod
    def _deny(self, targets: Sequence[DenyTarget], op_id: str) -> GateReceipt: ...
    @abstractmethod
    def _allow(self, receipt: GateReceipt) -> None: ...
    @abstractmethod
    def _state(self, receipt: GateReceipt) -> GateStatus: ...


class CacheAdapter(ABC):
    """A cache in front of the origin."""

    name: str = ""

    def probe(self) -> Capabilities:
        with family("probe"):
            return self._probe()

    def variants(self, url: str, hints: CacheHints) -> tuple[CacheKey, ...]:
        """Every key under which this cache may hold the URL. Needs no I/O."""
        with family("variants"):
            keys = self._variants(url, hints)
        within("cache keys", len(keys), MAX_KEYS)
        return keys

    def purge(self, keys: Sequence[CacheKey], op_id: str) -> PurgeTicket:
        """Drop the keys. Safe to repeat; what is not stored counts as purged."""
        checked_op_id(op_id)
        within("cache keys", len(keys), MAX_KEYS)
        with family("purge"):
            return self._purge(keys, op_id)

    def status(self, ticket: PurgeTicket) -> PurgeStatus:
        with family("status"):
            return self._status(ticket)

    def close(self) -> None:
        """Give back connections."""

    @abstractmethod
    def _probe(self) -> Capabilities: ...
    @abstractmethod
    def _variants(self, url: str, hints: CacheHints) -> tuple[CacheKey, ...]: ...
    @abstractmethod
    def _purge(self, keys: Sequence[CacheKey], op_id: str) -> PurgeTicket: ...

    def _status(self, ticket: PurgeTicket) -> PurgeStatus:
        return ticket.status
