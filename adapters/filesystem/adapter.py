"""`FilesystemAdapter`: a docroot on a local disk. It runs in the agent, never in the worker."""

from __future__ import annotations

import os
from typing import Optional

from adapters.contract import (
    BlockReceipt,
    Capabilities,
    Changed,
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
    SealProof,
    StorageAdapter,
    UnblockReceipt,
)
from adapters.filesystem import facts, syscalls
from adapters.filesystem.blocking import block
from adapters.filesystem.probe import measure, probe
from adapters.filesystem.reading import FileReader
from adapters.filesystem.record import Operation, Record, operation, operations_on
from adapters.filesystem.releasing import freeze_again, load, still_pinned, unblock
from adapters.filesystem.removing import remove
from adapters.filesystem.sharing import alone, held_by, links_of, sharers
from adapters.filesystem.store import Directories, check_directories, directories
from adapters.filesystem.walk import OtherNames, Place, open_file, open_parent, opened, resolve


class FilesystemAdapter(StorageAdapter):
    """Locators are paths below `root`; a ref's scope is the customer's folder below `root`.

    `quarantine_dir` belongs to the agent's user alone, lies on the same mount as `root` and not below it. Raises
    ValueError, with words for the operator, where that is not so.
    """

    def __init__(self, name: str, root: str, quarantine_dir: str) -> None:
        self.name = name
        self._root = os.fsencode(root.rstrip("/") or "/")
        self._quarantine = os.fsencode(quarantine_dir)
        check_directories(self._root, self._quarantine)
        self._freezes: Optional[bool] = None

    def __repr__(self) -> str:
        return f"FilesystemAdapter(name={self.name!r})"

    def _probe(self) -> Capabilities:
        with directories(self._root, self._quarantine) as where:
            return probe(self.name, where)

    # --- looking

    def _observe(self, ref: Ref) -> Observation:
        with directories(self._root, self._quarantine) as where:
            try:
                place = resolve(where.root_fd, where.root, ref)
                with opened(open_parent(where.root_fd, place.path)) as parent_fd:
                    fd = open_file(parent_fd, place.name)
                    with opened(fd):
                        return self._seen(where, ref, place, fd, os.fstat(parent_fd))
            except NotFound:
                return self._held_or_absent(where, ref)

    def _seen(self, where: Directories, ref: Ref, place: Place, fd: int, parent: os.stat_result) -> Observation:
        found = os.fstat(fd)
        facts.require_plain(found)
        attributes = facts.attributes_of(fd, found)
        attributes["parent_mtime_ns"] = str(parent.st_mtime_ns)
        attributes["links"] = [{"at": facts.as_json(at), "to": facts.as_json(to)} for at, to in place.links]
        others: list[OtherName] = []
        notes: list[str] = []
        if found.st_nlink > 1:
            search = OtherNames()
            names = search.find(where.root_fd, ref, found, found.st_nlink)
            others = sorted((n for n in names if n.locator != place.path), key=lambda n: n.locator)
            if search.seen < found.st_nlink:
                notes.append(_unfound(found.st_nlink - search.seen, complete=search.complete))
            if search.seen > len(names):
                notes.append(f"{search.seen - len(names)} further name(s) of the same file are not listed")
        return Observation(
            ref=ref,
            presence=Presence.PRESENT,
            versions=(facts.version_of(found, attributes, facts.pin_of(found)),),
            other_names=tuple(others),
            resolved=b"" if place.path == ref.locator else place.path,
            notes=tuple(notes),
        )

    def _held_or_absent(self, where: Directories, ref: Ref) -> Observation:
        """What an empty name hides: an earlier block of ours, or nothing."""
        for op_id in operations_on(where.quarantine_fd, ref.locator):
            with operation(where.quarantine_fd, op_id) as op:
                record = op.load() if op is not None else None
                if op is None or record is None or record.scope != ref.scope:
                    continue
                if record.state not in ("intent", "blocked", "unblocking"):
                    continue
                found = _held_stat(op, record)
                if found is not None:
                    return _as_blocked(ref, record, found)
        return Observation(ref=ref, presence=Presence.ABSENT)

    # --- acting

    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        with directories(self._root, self._quarantine) as where:
            return block(where, ref, observation, op_id)

    def _freeze(self, ref: Ref, receipt: BlockReceipt) -> FreezeReceipt:
        with directories(self._root, self._quarantine) as where:
            if self._freezes is None:
                seen = measure(where)
                self._freezes = seen.immutable and seen.stops_open_writers
            with operation(where.quarantine_fd, receipt.op_id) as op_or_none:
                op, record = load(op_or_none, ref)
                links = links_of(op, record)
                with alone(where.quarantine_fd, record.inode, links), opened(_open_slot(op, record)) as fd:
                    known = list(record.pins)
                    frozen = freeze_again(fd, record)
                    if record.pins != known:
                        op.save(record)
                    writers = syscalls.nobody_writes(fd) is False
        return _freeze_receipt(promised=frozen and self._freezes, frozen=frozen, writers=writers)

    def _remove(self, ref: Ref, proof: SealProof, receipt: BlockReceipt, op_id: str) -> RemoveReceipt:
        with directories(self._root, self._quarantine) as where:
            return remove(where, ref, proof, receipt, op_id)

    def _unblock(self, ref: Ref, receipt: BlockReceipt) -> UnblockReceipt:
        with directories(self._root, self._quarantine) as where:
            return unblock(where, ref, receipt)

    # --- reading

    def _open(self, ref: Ref, pin: Pin, offset: int) -> Reader:
        with directories(self._root, self._quarantine) as where:
            op_id = facts.op_id_of(pin)
            fd = self._open_blocked(where, ref, pin, op_id) if op_id else self._open_in_place(where, ref, pin)
            return FileReader(fd, os.fstat(fd), offset)

    def _open_in_place(self, where: Directories, ref: Ref, pin: Pin) -> int:
        place = resolve(where.root_fd, where.root, ref)
        with opened(open_parent(where.root_fd, place.path)) as parent_fd:
            fd = open_file(parent_fd, place.name)
        found = os.fstat(fd)
        if not facts.holds(pin, found):
            os.close(fd)
            raise Changed("the file was changed since it was looked at; look again")
        return fd

    def _open_blocked(self, where: Directories, ref: Ref, pin: Pin, op_id: str) -> int:
        with operation(where.quarantine_fd, op_id) as op_or_none:
            op = op_or_none
            record = op.load() if op is not None else None
            if op is None or record is None:
                raise NotFound("nothing is held under this operation")
            if ref.scope != record.scope or ref.locator not in (record.locator, *(h.path for h in record.names)):
                raise Denied("this operation is about another object")
            fd = _open_slot(op, record)
            if not still_pinned(record, (pin,), os.fstat(fd)):
                os.close(fd)
                raise Changed("the held bytes were changed; look again")
            return fd

    # --- is it still down?

    def _origin_state(self, ref: Ref, receipt: BlockReceipt) -> OriginState:
        with directories(self._root, self._quarantine) as where:
            with operation(where.quarantine_fd, receipt.op_id) as op:
                record = op.load() if op is not None else None
                held = _held_stat(op, record) if op is not None and record is not None else None
                others = 0
                if op is not None and record is not None and held is not None:
                    others = _standing(op, record, held)
            doors = [ref.locator] if record is None else [ref.locator, *(h.path for h in record.names)]
            closed = held is not None and facts.closed_to_all(held)
            leaks: list[str] = []
            for locator in dict.fromkeys(doors):
                now, ours, words = _stands_at(where, Ref(locator=locator, scope=ref.scope), record)
                if words:
                    leaks.append(words)
                elif ours:
                    leaks += [] if closed else ["the same file stands at one of its names again"]
                elif now is not None:
                    return OriginState(origin=Origin.REPLACED, pin=facts.pin_of(now))
            if not closed:
                leaks += [f"{others} other name(s) of the same file outside quarantine"] if others > 0 else []
        if leaks:
            return OriginState(origin=Origin.LEAKING, doors=tuple(dict.fromkeys(leaks)))
        return OriginState(origin=Origin.GONE if held is None else Origin.BLOCKED)


def _stands_at(where: Directories, ref: Ref, record: Optional[Record]) -> tuple[Optional[os.stat_result], bool, str]:
    """What the name leads to now and whether that is the blocked file; or words where it leads out of reach."""
    try:
        place = resolve(where.root_fd, where.root, ref)
        with opened(open_parent(where.root_fd, place.path)) as parent_fd:
            found = syscalls.stat_or_none(parent_fd, place.name)
            return found, found is not None and _is_blocked_file(where, parent_fd, place.name, found, record), ""
    except (NotFound, Changed):
        return None, False, ""
    except Denied:
        return None, False, "the name now leads out of the customer's folder"


def _is_blocked_file(
    where: Directories, parent_fd: int, name: bytes, found: os.stat_result, record: Optional[Record]
) -> bool:
    """By number, and by birth too: once the file is removed, the next upload often gets its number."""
    if record is None or (found.st_dev, found.st_ino) != (os.fstat(where.quarantine_fd).st_dev, record.inode):
        return False
    try:
        with opened(os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)) as fd:
            return facts.born_as(fd, record.attributes)
    except FileNotFoundError:
        return False


def _held_stat(op: Operation, record: Record) -> Optional[os.stat_result]:
    found = syscalls.stat_or_none(op.fd, os.fsencode(record.names[0].slot)) if record.names else None
    return found if found is not None and record.is_inode(found) else None


def _standing(op: Operation, record: Record, found: os.stat_result) -> int:
    """Names of the held file that no block holds."""
    others = found.st_nlink - op.count_held(record)
    if others <= 0:
        return 0
    with opened(_open_slot(op, record)) as fd:
        return others - held_by(sharers(op.quarantine_fd, record.op_id, fd))


def _open_slot(op: Operation, record: Record) -> int:
    if _held_stat(op, record) is None:
        raise NotFound("the bytes are not held any more")
    return open_file(op.fd, os.fsencode(record.names[0].slot))


def _as_blocked(ref: Ref, record: Record, found: os.stat_result) -> Observation:
    others = tuple(OtherName(held.path, in_scope=True) for held in record.names if held.path != ref.locator)
    notes = ("a block of it was begun and not finished",) if record.state == "intent" else ()
    return Observation(
        ref=ref,
        presence=Presence.BLOCKED,
        versions=(facts.version_of(found, record.attributes, facts.pin_of(found, record.op_id)),),
        other_names=others,
        notes=notes,
    )


def _unfound(missing: int, *, complete: bool) -> str:
    where = "outside the root" if complete else "not searched, since the search was stopped at its limit"
    return f"{missing} other name(s) of the same file: {where}"


def _freeze_receipt(*, promised: bool, frozen: bool, writers: bool) -> FreezeReceipt:
    residual = ("a program has the file open for writing",) if writers else ()
    if promised:
        return FreezeReceipt(promised=True, how="immutable flag; writes to it are refused", residual=residual)
    if frozen:
        return FreezeReceipt(promised=False, how="immutable flag, which here does not stop writers", residual=residual)
    how = "no immutable flag here; the file lies where only the host can open it"
    return FreezeReceipt(
        promised=False, how=how, residual=(*residual, "a program that had it open can still change it")
    )
