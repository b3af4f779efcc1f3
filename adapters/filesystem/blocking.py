"""Blocking one file: plan, write the plan down, move every name of the customer's, make the bytes immutable."""
from __future__ import annotations

import errno
import os
import time

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
from adapters.filesystem.telling import Rest, doors_of, residual_of
from adapters.filesystem.walk import (
    MAX_NAMES,
    NotPlain,
    OtherNames,
    OutOfScope,
    Place,
    checked_parts,
    in_scope,
    open_file,
    open_parent,
    opened,
    resolve,
)

MAX_ROUNDS = 5
TOUCHED_WITHIN_SECONDS = 0.05
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
        else:
            op.sync()  # whoever finished it may not have lived to make that durable
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
        try:
            record = _plan(where, ref, observation, op.op_id)
        except (NotPlain, OutOfScope) as exc:
            if not observation.pins:
                raise
            raise Changed("something else stands there than what was observed; look again") from exc
        for path in {ref.locator, *(held.path for held in record.names)}:
            note_name(where.quarantine_fd, path, op.op_id)
        op.save(record)
    except BaseException:
        op.forget()
        raise
    return record


def _plan(where: Directories, ref: Ref, observation: Observation, op_id: str) -> Record:
    place = resolve(where.root_fd, where.root, ref)
    _require_one_mount(where, place)
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


def _require_one_mount(where: Directories, place: Place) -> None:
    """Nothing behind another mount is touched: it may be a second way into somebody else's folder."""
    try:
        os.close(syscalls.open_beneath(where.root_fd, place.path, os.O_PATH | os.O_NOFOLLOW, one_mount=True))
    except OSError as exc:
        if exc.errno == errno.EXDEV:
            raise Unsupported(OTHER_MOUNT) from exc
        # Whatever else is wrong is found and named when it is opened.


def _check_observed(fd: int, found: os.stat_result, observation: Observation) -> None:
    """Raise Changed when it is not what was observed.

    While somebody has the file open for writing, or keeps touching it, no observation can stay true, so there the same
    inode is enough: neither an endless upload nor an endless chmod must keep a file up.
    """
    if not observation.pins:
        raise Changed("nothing was observed there; look again")
    pin = observation.pins[0]
    if facts.holds(pin, found):
        return
    if facts.same_file(pin, found) and (syscalls.nobody_writes(fd) is False or _is_being_touched(fd, found)):
        return
    raise Changed("the file was changed since it was looked at; look again")


def _is_being_touched(fd: int, found: os.stat_result) -> bool:
    """Whether its change time moves on while we look: links, modes or times are changed right now."""
    ends = time.monotonic() + TOUCHED_WITHIN_SECONDS
    while time.monotonic() < ends:
        time.sleep(TOUCHED_WITHIN_SECONDS / 10)
        if facts.fingerprint(os.fstat(fd)) != facts.fingerprint(found):
            return True
    return False


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
        frozen, closed, rest = _close_in(where, op, record, fd, observation)
        op.sync()
        record.pins = [facts.pin_of(os.fstat(fd), record.op_id).value]
    record.doors = doors_of(len(record.names) - 1, frozen=frozen, closed=closed)
    record.residual = residual_of(rest, frozen=frozen, closed=closed, strays=record.strays)
    record.state = "blocked"
    op.save(record)


def _close_in(
    where: Directories, op: Operation, record: Record, fd: int, observation: Observation
) -> tuple[bool, bool, Rest]:
    """Move what names there are and freeze the file; where names are made faster than moved, close the file to all."""
    closed = False
    for tries_left in reversed(range(MAX_ROUNDS)):
        rest = _take_further(where, op, record, fd, observation)
        too_many = len(record.names) >= MAX_NAMES and rest.left > 0
        if too_many and rest.all_ours and not closed:
            syscalls.change_flags(fd, drop=syscalls.IMMUTABLE)
            closed = syscalls.close_to_all(fd)
        frozen = syscalls.change_flags(fd, add=syscalls.IMMUTABLE)
        # Writing back now makes the kernel refuse the next write through memory the customer has mapped.
        syscalls.sync(fd)
        left = _left(fd, record)
        if left == 0 or closed or (left <= rest.left and not rest.all_ours) or tries_left == 0:
            break
        # A name was added while we looked. From an immutable file nobody makes further names, nor moves those it has;
        # from a file that is not his own the customer makes none either.
        syscalls.change_flags(fd, drop=syscalls.IMMUTABLE)
        closed = rest.all_ours and syscalls.close_to_all(fd)
    return frozen, closed, Rest(_left(fd, record), rest.searched, rest.all_ours)


def _left(fd: int, record: Record) -> int:
    return max(os.fstat(fd).st_nlink - len(record.names), 0)


def _take_all(where: Directories, op: Operation, record: Record) -> None:
    """Move the planned names. The first must succeed; others may have been deleted by the customer meanwhile."""
    kept: list[Held] = []
    for held in record.names:
        try:
            kept.append(take(where, op, record, held))
        except (NotFound, Changed, Unsupported, Denied) as exc:
            if kept and isinstance(exc, (NotFound, Changed, NotPlain)):
                continue
            if not kept:
                op.forget()
            if isinstance(exc, NotPlain):
                raise Changed("something else stands there than what was observed; look again") from exc
            raise
    record.names = kept


def _take_further(where: Directories, op: Operation, record: Record, fd: int, observation: Observation) -> Rest:
    """Find and move names that were not planned."""
    found = os.fstat(fd)
    missing = found.st_nlink - len(record.names)
    known_outside = [
        other for other in observation.other_names if not other.in_scope and _stands(where, other, found)
    ]
    if missing <= len(known_outside):
        return Rest(max(missing, 0), searched=True, all_ours=missing <= 0)
    search = OtherNames()
    names = search.find(where.root_fd, record.ref, found, missing)
    fresh = [other.locator for other in names if other.in_scope][: max(0, MAX_NAMES - len(record.names))]
    _take_planned(where, op, record, fresh)
    return Rest(_left(fd, record), searched=search.complete, all_ours=search.seen_in_scope >= missing)


def _take_planned(where: Directories, op: Operation, record: Record, paths: list[bytes]) -> None:
    """Written down all together before the first is moved, so that a crash finds them."""
    if not paths:
        return
    first = 1 + max(int(held.slot) for held in record.names)
    known = list(record.names)
    planned: list[Held] = []
    for path in paths:
        try:
            planned.append(_held(where, path, first + len(planned)))
        except (NotFound, Changed):
            continue
        note_name(where.quarantine_fd, path, record.op_id)
    record.names = [*known, *planned]
    op.save(record)
    record.names = known
    for held in planned:
        try:
            record.names.append(take(where, op, record, held))
        except (NotFound, Changed, NotPlain):
            continue
