"""What the kit needs around an adapter: the customer's hands and the public's eyes, never the adapter's own."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from adapters.contract import BlockReceipt, Ref, SealProof, StorageAdapter

Writer = Callable[[bytes], None]
LEFT_OUT: Any = None
"""Stands in the place of a case that this store cannot meet; say why beside it."""


class FixturesToGive:
    """What each class of the kit asks of the test that inherits it."""

    @pytest.fixture
    def environment(self) -> Any:
        raise NotImplementedError(
            "override the fixture `environment` with your StorageEnvironment, GateEnvironment or CacheEnvironment"
        )

    @pytest.fixture
    def adapter(self, environment: Any) -> Any:
        raise NotImplementedError("override the fixture `adapter` with your adapter over that environment")


class StorageEnvironment(ABC):
    """One store with a customer in it. The first four are needed; each other one makes the kit try one thing more."""

    @abstractmethod
    def put(self, name: bytes, body: bytes) -> Ref:
        """Store an object as the customer would, publicly readable. The ref's scope is this customer's own part."""

    @abstractmethod
    def public_get(self, ref: Ref) -> tuple[int, bytes | None]:
        """Status and body a stranger gets; the body is None unless the status is 200."""

    @abstractmethod
    def customer_write(self, ref: Ref, body: bytes) -> None:
        """Write other bytes under the same name, as the customer. PermissionError where the store refuses."""

    @abstractmethod
    def customer_delete(self, ref: Ref) -> None:
        """Delete what stands under the name, as the customer."""

    def customer_get(self, ref: Ref) -> tuple[int, bytes | None]:
        """Status and body the signed-in customer gets."""
        return self.public_get(ref)

    def add_other_name(self, ref: Ref, in_scope: bool) -> Ref | None:
        """Give the same bytes another name, inside or outside the customer's part. None: this store has no such."""
        del ref, in_scope
        return None

    def put_not_plain(self, name: bytes) -> Ref | None:
        """Store something an adapter must refuse: a pipe, a link that leads out of the customer's part."""
        del name
        return None

    def open_writer(self, ref: Ref) -> Writer | None:
        """Open for writing now, write later: a descriptor or an upload that outlives the block.

        The function returned raises an OSError when the store refuses the late write.
        """
        del ref
        return None

    def reopen_door(self, ref: Ref, receipt: BlockReceipt) -> bool:
        """Make the blocked bytes reachable again behind the adapter's back. False: no way to do it here."""
        del ref, receipt
        return False

    def restart(self, adapter: StorageAdapter) -> StorageAdapter:
        """A new adapter over the same store, as after a crash of our process."""
        return adapter

    def body_bytes_read(self) -> int | None:
        """How many bytes of bodies the adapter read so far, where that can be counted."""
        return None


@dataclass(frozen=True, kw_only=True)
class Setting:
    """An adapter, its environment and one stored object: what most cases start from."""

    adapter: StorageAdapter
    environment: StorageEnvironment
    ref: Ref
    body: bytes

    def block(self, op_id: str = "op-1") -> BlockReceipt:
        return self.adapter.block(self.ref, self.adapter.observe(self.ref), op_id)

    def restarted(self) -> Setting:
        return replace(self, adapter=self.environment.restart(self.adapter))


def digest(body: bytes) -> str:
    """Stands for a body where two are compared: a failing case shows this, not megabytes of difference."""
    return f"{len(body)} bytes, SHA-256 {hashlib.sha256(body).hexdigest()}"


def read_all(adapter: StorageAdapter, ref: Ref, receipt: BlockReceipt, *, chunk_bytes: int = 64 * 1024) -> bytes:
    """The current version's blocked bytes, as the sealing step reads them."""
    with adapter.open(ref, receipt.pins[0]) as reader:
        return b"".join(iter(lambda: reader.read(chunk_bytes), b""))


def proof_for(receipt: BlockReceipt, size_bytes: int) -> SealProof:
    """What the vault hands over once it has read back its own seal."""
    return SealProof(
        seal_id="seal-1",
        pins=receipt.pins,
        sha256_sealed="0" * 64,
        size_bytes=size_bytes,
        checked_at=1_700_000_000_000_000,
    )
