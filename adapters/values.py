"""The contract's values. Part of `adapters.contract`, which is where to import them from.

All are frozen and survive `to_json` and `from_json`, since the journal and the agent carry them. Standard library only,
Python 3.9 and later.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

Json = Mapping[str, Any]
"""Text, whole numbers, true, false, null, lists and maps of them; bytes stand as ``{"b64": "..."}``."""


@dataclass(frozen=True)
class Ref:
    """What an adapter acts on: the store's own name for it, byte for byte, never normalised."""

    locator: bytes
    scope: bytes = b""
    """The part of the store that is the customer's (a folder, a bucket prefix); an adapter refuses to act outside."""

    def __repr__(self) -> str:
        return "Ref(<locator>)"


@dataclass(frozen=True)
class Pin:
    """What identifies the bytes (inode and times, version id, generation). Opaque to callers; equal or not."""

    value: str
    weak: bool = False
    """True where the store has nothing better than size and time."""


@dataclass(frozen=True)
class Version:
    """One stored version of the object, without its body."""

    pin: Pin
    size_bytes: int
    modified_at: Optional[int] = None
    """Microseconds UTC, as the store says."""
    current: bool = True
    attributes: Json = field(default_factory=dict, repr=False)
    """Owner, mode, times, xattrs, headers, tags: evidence, and what an exact undo needs."""


@dataclass(frozen=True)
class OtherName:
    """Another name of the same bytes: a hard link, an alias. Blocking one must not leave the other up."""

    locator: bytes
    in_scope: bool
    """False: it belongs to somebody else, and a person decides."""

    def __repr__(self) -> str:
        return f"OtherName(in_scope={self.in_scope})"


class Presence(str, enum.Enum):
    """What `observe` found."""

    PRESENT = "present"
    ABSENT = "absent"
    BLOCKED = "blocked"
    """By an earlier block of ours."""


@dataclass(frozen=True)
class Observation:
    """Everything about the object but its bytes."""

    ref: Ref
    presence: Presence
    versions: tuple[Version, ...] = ()
    other_names: tuple[OtherName, ...] = ()
    resolved: bytes = field(default=b"", repr=False)
    """The real name behind links; empty where it is the locator."""
    public: Optional[bool] = None
    notes: tuple[str, ...] = ()
    """Words for the operator: holds, unfinished uploads, lifecycle rules, what could not be seen."""

    @property
    def pins(self) -> tuple[Pin, ...]:
        return tuple(version.pin for version in self.versions)


@dataclass(frozen=True)
class BlockReceipt:
    """Proof of a block, and all that `unblock` needs."""

    op_id: str
    ref: Ref
    pins: tuple[Pin, ...]
    """The pins of the blocked bytes, in the order of the observation's versions; `open` takes these from now on."""
    undo: Json = field(default_factory=dict, repr=False)
    doors: tuple[str, ...] = ()
    """What was closed, in words."""
    residual: tuple[str, ...] = ()
    """What this store cannot close or promise, in words the issuer may read."""


@dataclass(frozen=True)
class FreezeReceipt:
    """Whether the customer can still change or delete the blocked bytes."""

    promised: bool
    how: str
    residual: tuple[str, ...] = ()


class Origin(str, enum.Enum):
    """The state of a blocked object at its store."""

    BLOCKED = "blocked"
    LEAKING = "leaking"
    REPLACED = "replaced"
    GONE = "gone"


@dataclass(frozen=True)
class OriginState:
    """`LEAKING` names the doors still open; `REPLACED` gives the pin of what stands there now."""

    origin: Origin
    doors: tuple[str, ...] = ()
    pin: Optional[Pin] = None


@dataclass(frozen=True)
class SealProof:
    """That a checked seal of exactly these pins lies in the vault; without it nothing is removed."""

    seal_id: str
    pins: tuple[Pin, ...]
    sha256_sealed: str
    size_bytes: int
    checked_at: int


@dataclass(frozen=True)
class RemoveReceipt:
    """`removed`, or `unreachable_retained` with the reason and how long."""

    outcome: str
    reason: Optional[str] = None
    until: Optional[int] = None
    residual: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnblockReceipt:
    """What could not be put back exactly, in words; empty when everything was."""

    losses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Capabilities:
    """Measured on a scratch object, never assumed."""

    name: str
    version: str = ""
    can: tuple[str, ...] = ()
    """Words from: block freeze exact_unblock strong_pin other_names conditions copies context remove restore."""
    lost: tuple[str, ...] = ()
    """What is missing and what that costs, one sentence each, for `check`."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DenyTarget:
    """One exact URL to refuse at a gate, whatever lies behind it."""

    url: str
    """The canonical URL, without fragment."""
    host: str
    """A-label, lower case, no port."""
    path: bytes
    """Percent-decoded once, starting with ``/``; no NUL."""
    query: Optional[bytes] = None
    """As written, without ``?``; None where the URL has none."""
    any_query: bool = False
    """True where the query does not choose the content (a stored file): refuse the path with any query."""

    def __repr__(self) -> str:
        return "DenyTarget(<url>)"


class GateStatus(str, enum.Enum):
    DENYING = "denying"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class GateReceipt:
    op_id: str
    undo: Json = field(default_factory=dict, repr=False)
    residual: tuple[str, ...] = ()


@dataclass(frozen=True)
class CacheKey:
    """One thing to purge; `value` is the cache's own form (often a URL)."""

    value: str
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return "CacheKey(<key>)"


class PurgeStatus(str, enum.Enum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PurgeTicket:
    op_id: str
    status: PurgeStatus
    reference: Json = field(default_factory=dict, repr=False)
    promised_at: Optional[int] = None
    """Microseconds UTC by which the vendor promises completion, where it does."""
    residual: tuple[str, ...] = ()


@dataclass(frozen=True)
class CacheHints:
    """What helps to name every stored variant of a URL."""

    aliases: tuple[str, ...] = ()
    """Other hosts under which the same path is served."""
    queries: tuple[str, ...] = ()
    """Query strings seen for this resource."""
    raw_urls: tuple[str, ...] = ()
    """The URL as it was notified, where that differs from the canonical form."""

    def __repr__(self) -> str:
        return "CacheHints(<urls>)"


@dataclass(frozen=True)
class DirectoryHit:
    """Whose a URL is, and what it is in the store."""

    customer: str
    adapter: Optional[str]
    ref: Optional[Ref]
    caches: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    look_at: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    source: str = ""
    """Which rule matched, in words for `explain`."""
