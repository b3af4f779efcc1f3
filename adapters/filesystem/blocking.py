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
from adapters.filesystem.closing import close, freeze, is_closed, open_again, standing
from adapters.filesystem.record import Held, Operation, Record, forget_inode, note_inode, note_name, operation
from adapters.filesystem.sharing import alone, as_it_was, sharers
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
    inode = 0
    try:
        try:
            place = resolve(where.root_fd, where.root, ref)
            _require_one_mount(where, place)
            with opened(open_parent(where.root_fd, place.path)) as parent_fd:
                fd = open_file(parent_fd, place.name)
            with opened(fd):
                found = os.fstat(fd)
                inode = found.st_ino
                with alone(where.quarantine_fd, found.st_ino, found.st_nlink):
                    return _intend(where, op, (ref, place), observation, fd)
        except (NotPlain, OutOfScope) as exc:
            if not observation.pins:
                raise
            raise Changed("something else stands there than what was observed; look again") from exc
    except BaseException:
        op.forget()
        forget_inode(where.quarantine_fd, inode, op.op_id)
        raise


def _intend(where: Directories, op: Operation, named: tuple[Ref, Place], observation: Observation, fd: int) -> Record:
    """Write down the notified name alone: however many others the file has, none keeps this one up."""
    (ref, place), found = named, os.fstat(fd)
    facts.require_plain(found)
    _check_observed(fd, found, observation)
    if found.st_dev != os.fstat(where.quarantine_fd).st_dev:
        raise Unsupported(OTHER_MOUNT)
    doors = {ref.locator, place.path}
    record = Record(
        op_id=op.op_id,
        locator=ref.locator,
        scope=ref.scope,
        state="intent",
        device=found.st_dev,
        inode=found.st_ino,
        attributes=as_it_was(where.root_fd, sharers(where.quarantine_fd, op.op_id, fd, doors), fd, found),
        links=[{"at": at, "to": to} for at, to in place.links],
        names=[_held(where, place.path, int(MAIN))],
    )
    if found.st_nlink > 1:
        note_inode(where.quarantine_fd, record.inode, op.op_id)
    for path in doors:
        note_name(where.quarantine_fd, path, op.op_id)
    op.save(record)
    return record


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
    with alone(where.quarantine_fd, record.inode, record.attributes["nlink"]):
        _take_all(where, op, record)
        with opened(open_file(op.fd, MAIN)) as fd:
            # First: a block by such a name, after a crash here, must know that the flag is ours.
            _note_further(where, record, os.fstat(fd).st_nlink)
            syscalls.change_flags(fd, add=syscalls.IMMUTABLE)  # from here on a file of one name gets no other
            links = os.fstat(fd).st_nlink
    with opened(open_file(op.fd, MAIN)) as fd, alone(where.quarantine_fd, record.inode, links):
        _note_further(where, record, links)
        _take_planned(where, op, record, _observed_names(where, record, observation, fd))
        frozen, rest, losses = _close_in(where, op, record, fd, observation)
        if record.strays:
            op.sync()  # first, or the record could speak of a stray that a power cut left in a name's place
        record.pins = [facts.pin_of(os.fstat(fd), record.op_id).value]
        record.closed = is_closed(record, fd)
    record.doors = doors_of(len(record.names) - 1, frozen=frozen, closed=record.closed)
    record.residual = residual_of(rest, frozen=frozen, closed=record.closed, strays=record.strays) + losses
    record.state = "blocked"
    op.save(record)


def _note_further(where: Directories, record: Record, links: int) -> None:
    """Where a file of one name has got others since, somebody may come upon it by them."""
    if links > 1 >= record.attributes["nlink"]:
        note_inode(where.quarantine_fd, record.inode, record.op_id)


def _observed_names(where: Directories, record: Record, observation: Observation, fd: int) -> list[bytes]:
    found, known = os.fstat(fd), {held.path for held in record.names}
    return [
        other.locator
        for other in observation.other_names
        if in_scope(other.locator, record.scope) and other.locator not in known and _stands(where, other, found)
    ][: MAX_NAMES - len(known)]


def _close_in(
    where: Directories, op: Operation, record: Record, fd: int, observation: Observation
) -> tuple[bool, Rest, list[str]]:
    """Freeze the file, then look whose names of it stand: from a frozen file nobody makes further names, nor moves any.

    What is the customer's is moved. Where names are made faster than that, or are too many, the file itself is closed,
    and then it is looked again: while it was being closed a neighbour's name may have been made.
    """
    losses: list[str] = []
    for tries_left in reversed(range(MAX_ROUNDS)):
        frozen = freeze(fd)
        left = standing(where, op, record, fd)
        rest, fresh = _look(where, record, fd, left, observation)
        if is_closed(record, fd) and not rest.all_ours:
            losses += open_again(op, record, fd)
        closed = is_closed(record, fd)
        if rest.left == 0 or tries_left == 0 or not (fresh or (rest.all_ours and not closed)):
            break
        if rest.all_ours and not closed and (tries_left < MAX_ROUNDS - 1 or len(fresh) < rest.left):
            _note_further(where, record, 1 + rest.left)
            close(op, record, fd)
        _take_planned(where, op, record, fresh)
    return frozen, rest, losses


def _look(where: Directories, record: Record, fd: int, left: int, observation: Observation) -> tuple[Rest, list[bytes]]:
    """Whose the names are that stand, and which of them can be moved."""
    found = os.fstat(fd)
    outside = [other for other in observation.other_names if not other.in_scope and _stands(where, other, found)]
    if left <= len(outside):
        return Rest(left, searched=True, all_ours=left == 0), []
    search = OtherNames()
    names = search.find(where.root_fd, record.ref, found, left)
    fresh = [other.locator for other in names if other.in_scope][: max(0, MAX_NAMES - len(record.names))]
    return Rest(left, searched=search.complete, all_ours=search.seen_in_scope >= left), fresh


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
                forget_inode(where.quarantine_fd, record.inode, op.op_id)
            if isinstance(exc, NotPlain):
                raise Changed("something else stands there than what was observed; look again") from exc
            raise
    record.names = kept


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
