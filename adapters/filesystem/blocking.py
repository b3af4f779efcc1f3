"""Blocking one file: plan, write the plan down, move every name of the customer's, make the bytes immutable."""
from __future__ import annotations

import os

from adapters.contract import (
    BlockReceipt,
    Changed,
    Denied,
    NotFound,
    Observation,
    OtherName,
    Pin,
    Ref,
    Unsupported,
)
from adapters.filesystem import facts, syscalls
from adapters.filesystem.record import Held, Operation, Record, note_name, operation
from adapters.filesystem.store import OTHER_MOUNT, Directories, folders_above, take
from adapters.filesystem.walk import OtherNames, checked_parts, in_scope, open_file, open_parent, opened, resolve

MAX_ROUNDS = 5
MAIN = b"0"


def block(where: Directories, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
    """Idempotent by `op_id`: a crash at any point is finished by calling again."""
    checked_parts(ref.locator)
    with operation(where.quarantine_fd, op_id, create=True) as op:
        assert op is not None
        record = op.load()
        if record is None:
            record = _begin(where, op, ref, observation)
        if record.ref != ref:
            raise Denied("this operation is about another object")
        if record.state == "intent":
            _finish(where, op, record, observation)
        return receipt_of(record)


def receipt_of(record: Record) -> BlockReceipt:
    return BlockReceipt(
        op_id=record.op_id,
        ref=record.ref,
        pins=(Pin(record.pins[0]),),
        undo={"op_id": record.op_id, "flags": record.attributes["flags"]},
        doors=tuple(record.doors),
        residual=tuple(record.residual),
    )


def _begin(where: Directories, op: Operation, ref: Ref, observation: Observation) -> Record:
    try:
        record = _plan(where, ref, observation, op.op_id)
        for path in {ref.locator, *(held.path for held in record.names)}:
            note_name(where.quarantine_fd, path, op.op_id)
        op.save(record)
    except BaseException:
        op.forget()
        raise
    return record


def _plan(where: Directories, ref: Ref, observation: Observation, op_id: str) -> Record:
    place = resolve(where.root_fd, where.root, ref)
    with opened(open_parent(where.root_fd, place.path)) as parent_fd, opened(open_file(parent_fd, place.name)) as fd:
        found = os.fstat(fd)
        facts.require_plain(found)
        _check_observed(fd, found, observation)
        if found.st_dev != os.fstat(where.quarantine_fd).st_dev:
            raise Unsupported(OTHER_MOUNT)
        attributes = facts.attributes_of(fd, found)
    others = [
        other.locator
        for other in observation.other_names
        if in_scope(other.locator, ref.scope) and other.locator != place.path and _stands(where, other, found)
    ]
    return Record(
        op_id=op_id,
        locator=ref.locator,
        scope=ref.scope,
        state="intent",
        device=found.st_dev,
        inode=found.st_ino,
        attributes=attributes,
        links=[{"at": at, "to": to} for at, to in place.links],
        names=[_held(where, path, number) for number, path in enumerate([place.path, *others])],
    )


def _check_observed(fd: int, found: os.stat_result, observation: Observation) -> None:
    """Raise Changed when it is not what was observed.

    While somebody has the file open for writing no observation can stay true, so there the same inode is enough: an
    endless upload must not keep a file up.
    """
    if not observation.pins:
        raise Changed("nothing was observed there; look again")
    pin = observation.pins[0]
    if facts.holds(pin, found):
        return
    if facts.same_file(pin, found) and syscalls.nobody_writes(fd) is False:
        return
    raise Changed("the file was changed since it was looked at; look again")


def _held(where: Directories, path: bytes, number: int) -> Held:
    with opened(open_parent(where.root_fd, path)) as parent_fd:
        parent = os.fstat(parent_fd)
    return Held(
        path=path,
        slot=str(number),
        parent_mtime_ns=str(parent.st_mtime_ns),
        folders=folders_above(where.root_fd, path),
    )


def _stands(where: Directories, other: OtherName, inode: os.stat_result) -> bool:
    try:
        with opened(open_parent(where.root_fd, other.locator)) as parent_fd:
            found = syscalls.stat_or_none(parent_fd, os.path.basename(other.locator))
    except (NotFound, Changed):
        return False
    return found is not None and (found.st_dev, found.st_ino) == (inode.st_dev, inode.st_ino)


def _finish(where: Directories, op: Operation, record: Record, observation: Observation) -> None:
    _take_all(where, op, record)
    with opened(open_file(op.fd, MAIN)) as fd:
        for _ in range(MAX_ROUNDS):
            outside, searched = _take_further(where, op, record, fd, observation)
            frozen = syscalls.change_flags(fd, add=syscalls.IMMUTABLE)
            # Writing back now makes the kernel refuse the next write through memory the customer has mapped.
            syscalls.sync(fd)
            if os.fstat(fd).st_nlink <= len(record.names) + outside:
                break
            # A name was added while we looked. From an immutable file nobody makes further names.
            syscalls.change_flags(fd, drop=syscalls.IMMUTABLE)
        op.sync()
        record.pins = [facts.pin_of(os.fstat(fd), record.op_id).value]
    record.doors = _doors(len(record.names) - 1, frozen=frozen)
    record.residual = _residual(outside, searched=searched, frozen=frozen, strays=record.strays)
    record.state = "blocked"
    op.save(record)


def _take_all(where: Directories, op: Operation, record: Record) -> None:
    """Move the planned names. The first must succeed; others may have been deleted by the customer meanwhile."""
    kept: list[Held] = []
    for held in record.names:
        try:
            kept.append(take(where, op, record, held))
        except (NotFound, Changed, Unsupported, Denied) as exc:
            if kept and isinstance(exc, (NotFound, Changed)):
                continue
            if not kept:
                op.forget()
            raise
    record.names = kept


def _take_further(
    where: Directories, op: Operation, record: Record, fd: int, observation: Observation
) -> tuple[int, bool]:
    """Find and move names that were not planned. Returns how many stand out of reach, and whether all was searched."""
    found = os.fstat(fd)
    missing = found.st_nlink - len(record.names)
    known_outside = [
        other for other in observation.other_names if not other.in_scope and _stands(where, other, found)
    ]
    if missing <= len(known_outside):
        return max(missing, 0), True
    search = OtherNames()
    names = search.find(where.root_fd, record.ref, found, missing)
    fresh = [other.locator for other in names if other.in_scope]
    for number, path in enumerate(fresh, start=1 + max(int(held.slot) for held in record.names)):
        held = _held(where, path, number)
        note_name(where.quarantine_fd, path, record.op_id)
        record.names.append(held)
        op.save(record)
        try:
            record.names[-1] = take(where, op, record, held)
        except (NotFound, Changed):
            record.names.pop()
            break
    return max(os.fstat(fd).st_nlink - len(record.names), 0), search.complete


def _doors(others: int, *, frozen: bool) -> list[str]:
    doors = ["the file was moved out of the customer's folder"]
    if others:
        doors.append(f"{others} other name(s) of the same file were moved along")
    if frozen:
        doors.append("the file was made immutable")
    return doors


def _residual(outside: int, *, searched: bool, frozen: bool, strays: int) -> list[str]:
    residual = []
    if outside:
        residual.append(
            f"{outside} other name(s) of the same file stand outside the customer's folder and were not touched"
        )
    if outside and not searched:
        residual.append("the search for other names was stopped at its limit")
    if not frozen:
        residual.append("this filesystem or the agent's privileges allow no immutable flag")
    if strays:
        residual.append(f"{strays} file(s) swapped in during the block are held as well")
    return residual
