"""The adapter contract: what a store, a gate, a cache and a directory promise the receiver. Import all of it from here.

A plug-in fills in the ``_names``; the public methods in the bases enforce limits and turn every exception into the
family of `errors`, so that callers meet no foreign exception and no secret. The rest of the contract stands in `values`
(what passes), `json_form`, `errors` (what may go wrong) and `edges` (gates and caches). Standard library only, Python
3.9 and later: the agent ships these files to file servers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from adapters.edges import MAX_KEYS, MAX_URLS, CacheAdapter, GateAdapter
from adapters.errors import (
    ERRORS,
    RETRY_AFTER_SECONDS,
    AdapterError,
    Changed,
    Conflict,
    Denied,
    NotFound,
    Partial,
    Retryable,
    Unsupported,
    checked_op_id,
    family,
    within,
)
from adapters.json_form import from_json, to_json
from adapters.values import (
    BlockReceipt,
    CacheHints,
    CacheKey,
    Capabilities,
    DenyTarget,
    DirectoryHit,
    FreezeReceipt,
    GateReceipt,
    GateStatus,
    Json,
    Observation,
    Origin,
    OriginState,
    OtherName,
    Pin,
    Presence,
    PurgeStatus,
    PurgeTicket,
    Ref,
    RemoveReceipt,
    SealProof,
    UnblockReceipt,
    Version,
)

__all__ = [
    "CONTRACT_VERSION",
    "ERRORS",
    "MAX_KEYS",
    "MAX_OTHER_NAMES",
    "MAX_READ_BYTES",
    "MAX_URLS",
    "MAX_VERSIONS",
    "RETRY_AFTER_SECONDS",
    "AdapterError",
    "BlockReceipt",
    "CacheAdapter",
    "CacheHints",
    "CacheKey",
    "Capabilities",
    "Changed",
    "Conflict",
    "Denied",
    "DenyTarget",
    "DirectoryAdapter",
    "DirectoryHit",
    "FreezeReceipt",
    "GateAdapter",
    "GateReceipt",
    "GateStatus",
    "Json",
    "NotFound",
    "Observation",
    "Origin",
    "OriginState",
    "OtherName",
    "Partial",
    "Pin",
    "Plugin",
    "Presence",
    "PurgeStatus",
    "PurgeTicket",
    "Reader",
    "Ref",
    "RemoveReceipt",
    "Retryable",
    "SealProof",
    "StorageAdapter",
    "UnblockReceipt",
    "Unsupported",
    "Version",
    "family",
    "from_json",
    "to_json",
]

CONTRACT_VERSION = 1
MAX_VERSIONS = 10_000
MAX_OTHER_NAMES = 10_000
MAX_READ_BYTES = 16 * 1024 * 1024


class Reader(ABC):
    """A body as a stream. `read` returns b"" once, at the end, and only if the pin still held then."""

    def read(self, size: int = 1024 * 1024) -> bytes:
        """Return up to `size` bytes (at most 16 MiB). Raises Changed when the bytes changed on the way."""
        if not 0 < size <= MAX_READ_BYTES:
            raise ValueError("size is out of range")
        with family("read"):
            return self._read(size)

    def close(self) -> None:
        with family("close"):
            self._close()

    @abstractmethod
    def _read(self, size: int) -> bytes: ...

    @abstractmethod
    def _close(self) -> None: ...

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class StorageAdapter(ABC):
    """A store of customers' objects.

    Order of use: observe, block, origin_state, freeze, open, then either remove or unblock. Every method may be called
    again with the same arguments after a crash and must then give the same result; `block` and `remove` are idempotent
    by `op_id`.
    """

    name: str = ""

    def probe(self) -> Capabilities:
        """Measure on a scratch object what this store can do. Leaves nothing behind."""
        with family("probe"):
            return self._probe()

    def observe(self, ref: Ref) -> Observation:
        """Everything about the object but its bytes. Absent is a value; Denied for what is not a plain object."""
        with family("observe"):
            seen = self._observe(ref)
        within("versions", len(seen.versions), MAX_VERSIONS)
        within("other names", len(seen.other_names), MAX_OTHER_NAMES)
        return seen

    def block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        """Make it unreachable by all doors, reversibly, without reading its body.

        Raises NotFound when nothing is there, Changed when it is not what was observed.
        """
        checked_op_id(op_id)
        with family("block"):
            return self._block(ref, observation, op_id)

    def freeze(self, ref: Ref, receipt: BlockReceipt) -> FreezeReceipt:
        """Keep the customer from changing or deleting the blocked bytes, or say that this is not promised."""
        with family("freeze"):
            return self._freeze(ref, receipt)

    def open(self, ref: Ref, pin: Pin, offset: int = 0) -> Reader:
        """Stream the bytes of one pin. Raises Changed when they are not those bytes any more."""
        if offset < 0:
            raise ValueError("offset is negative")
        with family("open"):
            return self._open(ref, pin, offset)

    def origin_state(self, ref: Ref, receipt: BlockReceipt) -> OriginState:
        """Ask as customer and public, read as host: is the block whole?"""
        with family("origin_state"):
            return self._origin_state(ref, receipt)

    def remove(self, ref: Ref, proof: SealProof, receipt: BlockReceipt, op_id: str) -> RemoveReceipt:
        """Delete the customer's copy, pin by pin; only what the proof covers. Observes again afterwards."""
        checked_op_id(op_id)
        if set(proof.pins) != set(receipt.pins):
            raise Denied("the seal does not cover exactly the blocked bytes")
        with family("remove"):
            return self._remove(ref, proof, receipt, op_id)

    def unblock(self, ref: Ref, receipt: BlockReceipt) -> UnblockReceipt:
        """Undo the block exactly. Raises Conflict rather than overwrite anything."""
        with family("unblock"):
            return self._unblock(ref, receipt)

    def derivatives(self, ref: Ref) -> tuple[Ref, ...]:
        """Thumbnails, transcodes and siblings made from this object, where the store knows."""
        with family("derivatives"):
            found = self._derivatives(ref)
        within("derivatives", len(found), MAX_OTHER_NAMES)
        return found

    def context(self, customer: str, ref: Ref, window_seconds: int) -> Json:
        """Who put it there: account, uploads, log-ins, access-log lines. Missing sources are listed by name."""
        with family("context"):
            return self._context(customer, ref, window_seconds)

    def close(self) -> None:
        """Give back connections. The adapter is not used afterwards."""

    @abstractmethod
    def _probe(self) -> Capabilities: ...
    @abstractmethod
    def _observe(self, ref: Ref) -> Observation: ...
    @abstractmethod
    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt: ...
    @abstractmethod
    def _freeze(self, ref: Ref, receipt: BlockReceipt) -> FreezeReceipt: ...
    @abstractmethod
    def _open(self, ref: Ref, pin: Pin, offset: int) -> Reader: ...
    @abstractmethod
    def _origin_state(self, ref: Ref, receipt: BlockReceipt) -> OriginState: ...
    @abstractmethod
    def _remove(self, ref: Ref, proof: SealProof, receipt: BlockReceipt, op_id: str) -> RemoveReceipt: ...
    @abstractmethod
    def _unblock(self, ref: Ref, receipt: BlockReceipt) -> UnblockReceipt: ...

    def _derivatives(self, ref: Ref) -> tuple[Ref, ...]:
        del ref
        return ()

    def _context(self, customer: str, ref: Ref, window_seconds: int) -> Json:
        del customer, ref, window_seconds
        return {"missing": ["account", "uploads", "logins", "access_log"]}


class DirectoryAdapter(ABC):
    """Host and path to customer and resource. Reload is atomic; `generation` grows by one with each."""

    @property
    @abstractmethod
    def generation(self) -> int: ...

    @abstractmethod
    def lookup(self, host: str, path: bytes) -> Optional[DirectoryHit]:
        """Longest match, or None. `host` is an A-label; `path` is percent-decoded once."""


@dataclass(frozen=True)
class Plugin:
    """What an entry point names. `build` takes the operator's checked table and returns the adapter."""

    type_name: str
    contract_version: int
    settings: Callable[..., Any]
    """A class whose constructor takes the table's members as keywords and raises ValueError with words for the
    operator; unknown members are refused by the registry."""
    build: Callable[[str, Any, Mapping[str, Any]], Any]
    """`build(name, settings, tools)`: tools holds what the process lends (`data_dir`, `http`)."""
