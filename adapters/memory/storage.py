"""The host's hands on a `MemoryStore`: the reference for authors of storage adapters."""

from __future__ import annotations

import hashlib

from adapters.contract import (
    AdapterError,
    BlockReceipt,
    Capabilities,
    Changed,
    Conflict,
    Denied,
    FreezeReceipt,
    NotFound,
    Observation,
    Origin,
    OriginState,
    OtherName,
    Pin,
    Presence,
    Reader,
    Ref,
    RemoveReceipt,
    Retryable,
    SealProof,
    StorageAdapter,
    UnblockReceipt,
)
from adapters.memory.store import Block, MemoryStore, StoredObject

CAN = ("block", "freeze", "exact_unblock", "strong_pin", "other_names", "remove")
UNWRITTEN = "the store did not keep what was written"


class MemoryReader(Reader):
    """Reads one pin, and notices when its bytes are rewritten or come damaged."""

    def __init__(self, store: MemoryStore, source: StoredObject, pin: Pin, offset: int) -> None:
        self._store, self._source, self._pin, self._offset = store, source, pin, offset
        self._hash = None if offset else hashlib.sha256()

    def _read(self, size: int) -> bytes:
        with self._store.lock:
            body = self._source.body(self._pin)
            if body is None:
                raise Changed("the bytes were rewritten while they were read")
            chunk = body[self._offset : self._offset + size]
            self._offset += len(chunk)
            self._store.body_bytes_read += len(chunk)
            if self._hash is not None:
                self._hash.update(chunk)
                if not chunk and self._hash.hexdigest() != self._source.digests[self._pin]:
                    raise Retryable("the store gave other bytes than were written")
            return chunk

    def _close(self) -> None:
        """Nothing is held."""


class MemoryStorage(StorageAdapter):
    """The host's hands on a `MemoryStore`. Several adapters may work on one store, as several workers would."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()

    def __repr__(self) -> str:
        return f"MemoryStorage({self.name!r})"

    def _probe(self) -> Capabilities:
        lost = ("It is all in memory: nothing survives the end of the process.",)
        return Capabilities(name="memory", version="1", can=CAN, lost=lost)

    def _observe(self, ref: Ref) -> Observation:
        self._check_scope(ref)
        with self.store.lock:
            found, presence = self.store.names.get(ref.locator), Presence.PRESENT
            if found is None:
                found, presence = self._taken_from(ref.locator), Presence.BLOCKED
            if found is None:
                return Observation(ref=ref, presence=Presence.ABSENT, public=False)
            return Observation(
                ref=ref,
                presence=presence,
                versions=tuple(version for version, _ in found.versions),
                other_names=tuple(
                    OtherName(locator=name, in_scope=within(ref.scope, name))
                    for name in self._names_of(found)
                    if name != ref.locator
                ),
                public=presence is Presence.PRESENT,
            )

    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        self._check_scope(ref)
        with self.store.lock:
            if op_id in self.store.undone:
                # It was on its way when somebody took it back.
                raise Denied("this operation was taken back; whoever sends it now comes too late")
            if op_id not in self.store.blocks:
                # Written down before anything is taken, so that a crash in between is finished by calling again.
                self.store.blocks[op_id] = self._plan(ref, observation, op_id)
                if op_id not in self.store.blocks:
                    raise Retryable(UNWRITTEN)
            block = self._blocked_by(op_id)
            if block.receipt.ref != ref:
                raise AdapterError("this op_id blocked another object; every operation needs its own")
            for name in self._standing(block):
                del self.store.names[name]
            if self._standing(block):
                raise Retryable("the store did not take the names away")
            return block.receipt

    def _plan(self, ref: Ref, observation: Observation, op_id: str) -> Block:
        found = self.store.names.get(ref.locator)
        if found is None:
            raise NotFound("nothing is there to block")
        if found.pins != observation.pins:
            raise Changed("it is not what was observed")
        names = self._names_of(found)
        ours = tuple(name for name in names if within(ref.scope, name))
        if ref.locator not in ours:
            raise Retryable("the store's listing does not show what it holds")
        strange = len(names) - len(ours)
        receipt = BlockReceipt(
            op_id=op_id,
            ref=ref,
            pins=found.pins,
            undo={"object": found.number},
            doors=(f"{len(ours)} name(s)",),
            residual=(f"{strange} name(s) outside the customer's part still lead to it",) if strange else (),
        )
        return Block(receipt=receipt, taken=found, names=ours)

    def _freeze(self, ref: Ref, receipt: BlockReceipt) -> FreezeReceipt:
        del ref
        with self.store.lock:
            self._blocked_by(receipt.op_id).taken.frozen = True
        return FreezeReceipt(promised=True, how="writes to it are refused")

    def _open(self, ref: Ref, pin: Pin, offset: int) -> Reader:
        self._check_scope(ref)
        with self.store.lock:
            there = [self.store.names[ref.locator]] if ref.locator in self.store.names else []
            there += [block.taken for block in self.store.blocks.values() if ref.locator in block.names]
            if not there:
                raise NotFound("nothing is there to read")
            for found in there:
                if found.body(pin) is not None:
                    return MemoryReader(self.store, found, pin, offset)
            raise Changed("no stored version has this pin")

    def _origin_state(self, ref: Ref, receipt: BlockReceipt) -> OriginState:
        with self.store.lock:
            block = self.store.blocks.get(receipt.op_id)
            number = receipt.undo["object"]
            open_doors = [
                name for name, found in self.store.names.items()
                if found.number == number and within(ref.scope, name)
            ]  # fmt: skip
            if open_doors:
                return OriginState(origin=Origin.LEAKING, doors=(f"{len(open_doors)} name(s)",))
            names = block.names if block else (ref.locator,)
            new = next((self.store.names[name] for name in names if name in self.store.names), None)
            if new is not None:
                return OriginState(origin=Origin.REPLACED, pin=new.pins[0])
            return OriginState(origin=Origin.BLOCKED if block else Origin.GONE)

    def _remove(self, ref: Ref, proof: SealProof, receipt: BlockReceipt, op_id: str) -> RemoveReceipt:
        with self.store.lock:
            if receipt.op_id not in self.store.blocks:
                return self._removed(ref, receipt, op_id)
            block = self._blocked_by(receipt.op_id)
            if set(block.taken.pins) != set(proof.pins):
                raise Changed("the blocked bytes are not those that were sealed")
            left = len(self._names_of(block.taken))
            residual = (f"{left} name(s) outside the customer's part still lead to it",) if left else ()
            # First what will be said of it, then the bytes: a crash in between is finished by calling again.
            self.store.removed[op_id] = RemoveReceipt(outcome="removed", residual=residual)
            if op_id not in self.store.removed:
                raise Retryable(UNWRITTEN)
            del self.store.blocks[receipt.op_id]
            if receipt.op_id in self.store.blocks:
                raise Retryable("the store did not delete the bytes")
            return self._removed(ref, receipt, op_id)

    def _removed(self, ref: Ref, receipt: BlockReceipt, op_id: str) -> RemoveReceipt:
        if self._is_back(ref, receipt):
            raise Changed("it is not blocked any more")
        if op_id not in self.store.removed:
            raise NotFound("the block is not there any more")
        return self.store.removed[op_id]

    def _unblock(self, ref: Ref, receipt: BlockReceipt) -> UnblockReceipt:
        with self.store.lock:
            if self._is_back(ref, receipt):
                return UnblockReceipt()
            block = self._blocked_by(receipt.op_id)
            new = [self.store.names.get(name) for name in block.names]
            if any(found is not None and found is not block.taken for found in new):
                raise Conflict("something new stands at a name of the blocked object")
            for name in block.names:
                self.store.names[name] = block.taken
            if len(self._standing(block)) < len(block.names):
                raise Retryable("the store did not put the names back")
            self.store.undone.add(receipt.op_id)
            del self.store.blocks[receipt.op_id]
            if receipt.op_id in self.store.blocks:
                raise Retryable("the store did not let go of the block")
            block.taken.frozen = False
            return UnblockReceipt()

    def _derivatives(self, ref: Ref) -> tuple[Ref, ...]:
        with self.store.lock:
            return tuple(Ref(locator=name, scope=ref.scope) for name in self.store.derived.get(ref.locator, ()))

    # --- the caller of these holds the store's lock

    def _check_scope(self, ref: Ref) -> None:
        if not within(ref.scope, ref.locator):
            raise Denied("the object is outside the customer's part of the store")

    def _names_of(self, wanted: StoredObject) -> list[bytes]:
        return [name for name, found in self.store.names.items() if found is wanted]

    def _taken_from(self, locator: bytes) -> StoredObject | None:
        """The newest block that took something from this name."""
        blocks = reversed(list(self.store.blocks.values()))
        return next((block.taken for block in blocks if locator in block.names), None)

    def _blocked_by(self, op_id: str) -> Block:
        block = self.store.blocks.get(op_id)
        if block is None:
            raise NotFound("the block is not there any more")
        return block

    def _standing(self, block: Block) -> list[bytes]:
        """Names that lead to the object still, or again."""
        return [name for name in block.names if self.store.names.get(name) is block.taken]

    def _is_back(self, ref: Ref, receipt: BlockReceipt) -> bool:
        here = self.store.names.get(ref.locator)
        return receipt.op_id not in self.store.blocks and here is not None and here.number == receipt.undo["object"]


def within(scope: bytes, locator: bytes) -> bool:
    """A scope is a folder: ``acme`` holds ``acme/a.jpg`` but not ``acme-two/a.jpg``. An empty one holds everything."""
    return not scope or locator.startswith(scope.rstrip(b"/") + b"/")
