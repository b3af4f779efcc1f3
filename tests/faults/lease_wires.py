"""A worker's ports, each call of which goes to the outside in another process, under the lease of its step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from adapters.contract import CacheAdapter, Capabilities, GateAdapter, Pin, Reader, Ref, StorageAdapter
from adapters.memory.cache import MemoryCache
from receiver.domain.ports import SentResponse
from receiver.domain.rows import WorkRow
from receiver.domain.seals import SealResult
from receiver.domain.web import Look, LookTarget, Seen
from receiver.pipeline import Step, Tools
from tests.doubles.world_parts import MemoryVault
from tests.faults.outside_server import Lease, ask, connect


class Wire:
    """One connection for each thread; says under which lease the thread works."""

    def __init__(self, path: str, worker: str) -> None:
        self._path, self._worker = path, worker
        self._mine = threading.local()

    def step(self, advance: Callable[[WorkRow, Tools], Step]) -> Callable[[WorkRow, Tools], Step]:
        def under_lease(row: WorkRow, tools: Tools) -> Step:
            self._mine.row = row
            self("step")
            return advance(row, tools)

        return under_lease

    def executor(self, threads: int) -> ThreadPoolExecutor:
        """For acts that a step does beside its own: they are made under the step's lease."""
        return LeaseExecutor(self._mine, threads)

    def __call__(self, what: str, *args: Any) -> Any:
        if not hasattr(self._mine, "link"):
            self._mine.link = connect(self._path)
        row: WorkRow | None = getattr(self._mine, "row", None)
        lease = Lease(worker=self._worker)
        if row is not None:
            lease = Lease(worker=self._worker, track=row.track.value, subject=row.subject, epoch=row.epoch)
        return ask(self._mine.link, "worker", lease, what, args)


class LeaseExecutor(ThreadPoolExecutor):
    def __init__(self, mine: threading.local, threads: int) -> None:
        super().__init__(max_workers=threads)
        self._mine = mine

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        row = getattr(self._mine, "row", None)

        def under_lease() -> Any:
            self._mine.row = row
            return fn(*args, **kwargs)

        return super().submit(under_lease)


class WiredReader(Reader):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def _read(self, size: int) -> bytes:
        chunk, self._body = self._body[:size], self._body[size:]
        return chunk

    def _close(self) -> None:
        """Nothing is held."""


class WiredStore(StorageAdapter):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def _probe(self) -> Capabilities:
        return Capabilities(name="wired")

    def _observe(self, ref: Ref) -> Any:
        return self._wire("observe", ref)

    def _block(self, ref: Ref, observation: Any, op_id: str) -> Any:
        return self._wire("block", ref, observation, op_id)

    def _freeze(self, ref: Ref, receipt: Any) -> Any:
        return self._wire("freeze", ref, receipt)

    def _open(self, ref: Ref, pin: Pin, offset: int) -> Reader:
        return WiredReader(self._wire("read", ref, pin, offset))

    def _origin_state(self, ref: Ref, receipt: Any) -> Any:
        return self._wire("origin_state", ref, receipt)

    def _remove(self, ref: Ref, proof: Any, receipt: Any, op_id: str) -> Any:
        raise NotImplementedError

    def _unblock(self, ref: Ref, receipt: Any) -> Any:
        return self._wire("unblock", ref, receipt)

    def _context(self, customer: str, ref: Ref, window_seconds: int) -> Any:
        return self._wire("context", customer, ref, window_seconds)


class WiredGate(GateAdapter):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def _probe(self) -> Capabilities:
        return Capabilities(name="wired")

    def _deny(self, targets: Sequence[Any], op_id: str) -> Any:
        return self._wire("deny", tuple(targets), op_id)

    def _allow(self, receipt: Any) -> None:
        self._wire("allow", receipt)

    def _state(self, receipt: Any) -> Any:
        raise NotImplementedError


class WiredCache(CacheAdapter):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._names = MemoryCache()

    def _probe(self) -> Capabilities:
        return Capabilities(name="wired")

    def _variants(self, url: str, hints: Any) -> Any:
        return self._names.variants(url, hints)

    def _purge(self, keys: Sequence[Any], op_id: str) -> Any:
        return self._wire("purge", tuple(keys), op_id)


class WiredVault(MemoryVault):
    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def seal(self, seal_id: str, read: Callable[[int], bytes], *, digests: tuple[str, ...] = ()) -> SealResult:
        result = super().seal(seal_id, read)
        self._wire("keep", seal_id, self.sealed.pop(seal_id))
        return result


class WiredEyes:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def look(self, target: LookTarget) -> tuple[Look, ...]:
        up = self._wire("look", target.url)
        verdict, status = (Seen.UP, 200) if up else (Seen.GONE, 404)
        at = time.time_ns() // 1000
        return (Look(address="127.0.0.1:80", status=status, at=at, vantage="here", verdict=verdict),)


class WiredSender:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, allow_private: bool = False) -> SentResponse:
        del url, headers, allow_private
        status = self._wire("post", body)
        return SentResponse(status=status, headers={}, body=b"", address="127.0.0.1")
