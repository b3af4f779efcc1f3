"""The store behind the memory adapter: what the customer and the public can do with it."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, replace

from adapters.contract import BlockReceipt, Pin, RemoveReceipt, Version


@dataclass(kw_only=True)
class StoredObject:
    """Some bytes, whatever names they have. Each write gives a new pin; the newest version comes first."""

    number: int
    versions: list[tuple[Version, bytes]] = field(default_factory=list)
    digests: dict[Pin, str] = field(default_factory=dict)
    """SHA-256 of each version, taken when it was written, so that a reader can tell damaged bytes."""
    frozen: bool = False

    @property
    def pins(self) -> tuple[Pin, ...]:
        return tuple(version.pin for version, _ in self.versions)

    def body(self, pin: Pin) -> bytes | None:
        return next((body for version, body in self.versions if version.pin == pin), None)


@dataclass(kw_only=True)
class Block:
    """One block of ours: the object taken away, and the names it had."""

    receipt: BlockReceipt
    taken: StoredObject
    names: tuple[bytes, ...]


class MemoryStore:
    """The store itself, with the customer's and the public's doors. One lock guards all of it."""

    def __init__(self, *, keeps_versions: bool = False) -> None:
        self.lock = threading.RLock()
        self.keeps_versions = keeps_versions
        self.names: MutableMapping[bytes, StoredObject] = {}
        self.blocks: MutableMapping[str, Block] = {}
        self.removed: MutableMapping[str, RemoveReceipt] = {}
        self.undone: set[str] = set()
        """Operations that were taken back; none of them blocks again."""
        self.derived: dict[bytes, tuple[bytes, ...]] = {}
        self.body_bytes_read = 0
        """By the adapters; the doors below do not count."""
        self._numbers = itertools.count(1)

    def fetch_as_public(self, locator: bytes, pin: Pin | None = None) -> bytes | None:
        """What a stranger gets; None stands for 404. With a pin: the door to one stored version."""
        with self.lock:
            found = self.names.get(locator)
            if found is None:
                return None
            return found.versions[0][1] if pin is None else found.body(pin)

    def write_as_customer(self, locator: bytes, body: bytes) -> None:
        """Upload under this name; every name of the same object shows the new bytes."""
        with self.lock:
            self._write(self.names.setdefault(locator, StoredObject(number=next(self._numbers))), body)

    def delete_as_customer(self, locator: bytes) -> None:
        with self.lock:
            self.names.pop(locator, None)

    def link_as_customer(self, locator: bytes, other: bytes) -> None:
        """Give the object a second name. KeyError when there is none."""
        with self.lock:
            self.names[other] = self.names[locator]

    def open_writer_as_customer(self, locator: bytes) -> Callable[[bytes], None]:
        """A descriptor that outlives a block. Writing through it to a frozen object raises PermissionError."""
        with self.lock:
            held = self.names[locator]

        def write(body: bytes) -> None:
            with self.lock:
                self._write(held, body)

        return write

    def _write(self, target: StoredObject, body: bytes) -> None:
        if target.frozen:
            raise PermissionError("the object is frozen")
        number = next(self._numbers)
        pin = Pin(f"{target.number}.{number}")
        target.digests[pin] = hashlib.sha256(body).hexdigest()
        version = Version(pin=pin, size_bytes=len(body), modified_at=time.time_ns() // 1000)
        older = target.versions if self.keeps_versions else []
        kept = [(replace(old, current=False), old_body) for old, old_body in older]
        target.versions = [(version, body), *kept]
