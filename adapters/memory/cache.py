"""A cache in memory: every URL, as written, is an entry of its own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from adapters.contract import CacheAdapter, CacheHints, CacheKey, Capabilities, PurgeStatus, PurgeTicket

Fetch = Callable[[str], bytes | None]


class MemoryCache(CacheAdapter):
    """`fetch` is the public's side: from memory, else from the origin. None stands for 404 and is not kept."""

    def __init__(self, origin: Fetch | None = None) -> None:
        self._origin = origin or _nothing
        self._lock = threading.RLock()
        self._kept: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"MemoryCache({self.name!r})"

    def fetch(self, url: str) -> bytes | None:
        with self._lock:
            found = self._kept[url] if url in self._kept else self._origin(url)
            if found is not None:
                self._kept[url] = found
            return found

    def _probe(self) -> Capabilities:
        return Capabilities(name="memory", version="1", can=("purge",))

    def _variants(self, url: str, hints: CacheHints) -> tuple[CacheKey, ...]:
        keys: dict[str, None] = {}
        for spelled in (url, *hints.raw_urls):
            keys[spelled] = None
            parts = urlsplit(spelled)
            hosts = (parts.netloc, *hints.aliases)
            queries = (parts.query, "", *hints.queries)
            for scheme, host, query in itertools.product(("http", "https"), hosts, queries):
                keys[parts._replace(scheme=scheme, netloc=host, query=query, fragment="").geturl()] = None
        return tuple(CacheKey(value=key) for key in keys)

    def _purge(self, keys: Sequence[CacheKey], op_id: str) -> PurgeTicket:
        with self._lock:
            for key in keys:
                self._kept.pop(key.value, None)
        return PurgeTicket(op_id=op_id, status=PurgeStatus.DONE)


def _nothing(url: str) -> bytes | None:
    del url
    return None
