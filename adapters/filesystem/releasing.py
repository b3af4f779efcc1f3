"""The two ways out of quarantine: put every name back exactly, or delete what a checked seal covers."""
from __future__ import annotations

import contextlib
import errno
import os
from typing import Optional

from adapters.contract import (
    BlockReceipt,
    Changed,
    Conflict,
    Denied,
    NotFound,
    Pin,
    Ref,
    RemoveReceipt,
    Retryable,
    SealProof,
    UnblockReceipt,
    from_json,
    to_json,
)
from adapters.filesystem import facts, syscalls
from adapters.filesystem.dressing import restore_owner, restore_times_and_flags
from adapters.filesystem.record import Held, Operation, Record, operation
from adapters.filesystem.store import GUARDED, Directories, settle_folder, unguarded
from adapters.filesystem.walk import open_file, open_folder, open_parent, opened

TAKEN = "something new stands where the file was; move it away first, nothing is ever overwritten"


def load(op: Optional[Operation], ref: Ref) -> tuple[Operation, Record]:
    """The record of a block. Raises NotFound where there is none, Denied where it is another object's."""
    record = op.load() if op is not None else None
    if op is None or record is None:
        raise NotFound("nothing is held under this operation")
    if record.ref != ref:
        raise Denied("this operation is about another object")
    return op, record


# --- back to the customer


def unblock(where: Directories, ref: Ref, receipt: BlockReceipt) -> UnblockReceipt:
    with operation(where.quarantine_fd, receipt.op_id) as found:
        op, record = load(found, ref)
        if record.state in ("removing", "removed"):
            raise NotFound("the held bytes were deleted; only the seal has them now")
        if record.state != "unblocked":
            _put_back(where, op, record)
        else:
            op.sync()  # whoever finished it may not have lived to make that durable
        return UnblockReceipt(losses=tuple(record.losses))


def _put_back(where: Directories, op: Operation, record: Record) -> None:
    waiting = [held for held in record.names if _in_slot(op, record, held)]
    record.losses = []
    try:
        for held in waiting:
            _check_free(where, record, held)
        fd = _open_held(where, op, record)
        with opened(fd):
            if record.state != "unblocking":
                record.state = "unblocking"
                op.save(record)
            syscalls.change_flags(fd, drop=GUARDED)
            record.losses += restore_owner(fd, record.attributes)
            # The last name taken goes back first, so that each folder's time is undone in reverse.
            for held in reversed(waiting):
                _return_name(where, op, record, held)
            restore_times_and_flags(fd, record.attributes)
    except Conflict:
        _hold_again(op, record)
        raise
    for held in record.names:
        if held not in waiting:
            settle_folder(where, held)  # it came back in an earlier try, which may not have lived to sync it
    op.sync()
    record.state = "unblocked"
    op.save(record)


def _in_slot(op: Operation, record: Record, held: Held) -> bool:
    found = syscalls.stat_or_none(op.fd, os.fsencode(held.slot))
    return found is not None and record.is_inode(found)


def _open_held(where: Directories, op: Operation, record: Record) -> int:
    """The file, in quarantine or, after a crash, already back in its place."""
    for held in record.names:
        if _in_slot(op, record, held):
            return open_file(op.fd, os.fsencode(held.slot))
    for held in record.names:
        with contextlib.suppress(NotFound, Changed, Denied), opened(open_parent(where.root_fd, held.path)) as parent_fd:
            fd = open_file(parent_fd, os.path.basename(held.path))
            if record.is_inode(os.fstat(fd)):
                return fd
            os.close(fd)
    raise NotFound("the held bytes are gone from the quarantine directory")


def _check_free(where: Directories, record: Record, held: Held) -> None:
    try:
        with opened(open_parent(where.root_fd, held.path)) as parent_fd:
            if not _free_or_back(parent_fd, record, held):
                raise Conflict(TAKEN)
    except NotFound:
        return  # the customer deleted the folder; it is made again
    except Changed as exc:
        raise Conflict(TAKEN) from exc


def _free_or_back(parent_fd: int, record: Record, held: Held) -> bool:
    """Whether nothing stands there, or a name of this very file that the customer made from an open descriptor."""
    found = syscalls.stat_or_none(parent_fd, os.path.basename(held.path))
    return found is None or (found.st_dev == os.fstat(parent_fd).st_dev and record.is_inode(found))


def _return_name(where: Directories, op: Operation, record: Record, held: Held) -> None:
    with opened(_parent_again(where, record, held)) as parent_fd:
        before = os.fstat(parent_fd)
        untouched = str(before.st_mtime_ns) == held.parent_after_ns
        wanted = int(held.parent_mtime_ns) if untouched else before.st_mtime_ns
        with unguarded(parent_fd):
            try:
                syscalls.rename_no_replace(op.fd, os.fsencode(held.slot), parent_fd, os.path.basename(held.path))
            except FileExistsError as exc:
                if not _free_or_back(parent_fd, record, held):
                    raise Conflict(TAKEN) from exc
                syscalls.unlink(op.fd, os.fsencode(held.slot))
            except OSError as exc:
                if exc.errno != errno.EXDEV:
                    raise
                raise Conflict("another disk is mounted where the file was; take it away first") from exc
            back = syscalls.stat_or_none(parent_fd, os.path.basename(held.path))
            if back is None or not record.is_inode(back):
                raise Retryable("the file was not put back although the disk said so")
            with contextlib.suppress(PermissionError):
                syscalls.set_times(parent_fd, before.st_atime_ns, wanted)
        syscalls.sync(parent_fd)


def _parent_again(where: Directories, record: Record, held: Held) -> int:
    """The folder of a name; made again, as it was, where the customer deleted it."""
    try:
        return open_parent(where.root_fd, held.path)
    except Changed as exc:
        raise Conflict(TAKEN) from exc
    except NotFound:
        return _make_parent(where, record, held)


def _make_parent(where: Directories, record: Record, held: Held) -> int:
    parts = held.path.split(b"/")[:-1]
    inside = len([part for part in record.scope.split(b"/") if part])
    for depth, folder in enumerate(held.folders, start=1):
        path = b"/".join(parts[:depth])
        try:
            with opened(open_parent(where.root_fd, path)) as above_fd:
                if depth <= inside or not syscalls.make_directory(above_fd, os.path.basename(path)):
                    continue
                with opened(open_folder(above_fd, os.path.basename(path))) as fd:
                    # Only what we just made is given away: the customer may have put something else there meanwhile.
                    if os.fstat(fd).st_uid == os.geteuid() and not os.listdir(fd):
                        syscalls.dress_directory(fd, folder.mode, folder.uid, folder.gid)
                syscalls.sync(above_fd)
        except (NotFound, Changed) as exc:
            raise Conflict("the customer's folder is gone; make it again first") from exc
        record.losses.append("a folder the customer had deleted was made again")
    try:
        return open_parent(where.root_fd, held.path)
    except (NotFound, Changed) as exc:
        raise Conflict(TAKEN) from exc


def _hold_again(op: Operation, record: Record) -> None:
    """A name was taken in the last moment: what still lies in quarantine is frozen again under the same pins."""
    if record.state != "unblocking" or not _in_slot(op, record, record.names[0]):
        return
    with opened(open_file(op.fd, os.fsencode(record.names[0].slot))) as fd:
        freeze_again(fd, record)
    record.state = "blocked"
    op.save(record)


def freeze_again(fd: int, record: Record) -> bool:
    """Set the immutable flag. The change time that moves with it is ours, so the older pins stay good."""
    before, last = os.fstat(fd), Pin(record.pins[-1])
    ours = record.state == "unblocking" or facts.holds(last, before)
    frozen = syscalls.change_flags(fd, add=syscalls.IMMUTABLE)
    now = facts.pin_of(os.fstat(fd), record.op_id).value
    if ours and now.split(":")[2:5] == last.value.split(":")[2:5] and now not in record.pins:
        record.pins.append(now)
    return frozen


# --- deleted


def remove(where: Directories, ref: Ref, proof: SealProof, receipt: BlockReceipt, op_id: str) -> RemoveReceipt:
    """Delete the held names. The record stays and says what became of them."""
    with operation(where.quarantine_fd, receipt.op_id) as found:
        op, record = load(found, ref)
        if record.state == "removed":
            op.sync()
            return from_json(RemoveReceipt, record.outcome)
        if record.state not in ("blocked", "removing"):
            raise Changed("the file is not held any more; look again")
        if record.state == "blocked":
            _check_sealed(op, record, proof)
            record.state, record.remove_op_id = "removing", op_id
            op.save(record)
        outcome = _delete(op, record)
        record.state, record.outcome = "removed", to_json(outcome)
        op.save(record)
        return outcome


def _check_sealed(op: Operation, record: Record, proof: SealProof) -> None:
    found = syscalls.stat_or_none(op.fd, os.fsencode(record.names[0].slot))
    if found is None or not record.is_inode(found):
        raise NotFound("the held bytes are gone from the quarantine directory")
    if not still_pinned(record, proof.pins, found):
        raise Changed("the held bytes are not those that were sealed; seal them again")


def still_pinned(record: Record, pins: tuple[Pin, ...], found: os.stat_result) -> bool:
    """Whether the held file is still the bytes of this one pin."""
    if len(pins) != 1 or facts.op_id_of(pins[0]) != record.op_id:
        return False
    return facts.holds(pins[0], found) or (record.accepts(pins[0]) and facts.holds(Pin(record.pins[-1]), found))


def _delete(op: Operation, record: Record) -> RemoveReceipt:
    waiting = [held for held in record.names if _in_slot(op, record, held)]
    if not waiting:
        return from_json(RemoveReceipt, record.outcome) if record.outcome else RemoveReceipt(outcome="removed")
    with opened(open_file(op.fd, os.fsencode(waiting[0].slot))) as fd:
        now = os.fstat(fd)
        elsewhere, closed = now.st_nlink - len(waiting), facts.closed_to_all(now)
        outcome = _outcome(elsewhere, closed=closed)
        record.outcome = to_json(outcome)
        op.save(record)
        if not syscalls.change_flags(fd, drop=GUARDED):
            raise Denied("the immutable flag cannot be cleared; the agent needs CAP_LINUX_IMMUTABLE")
        for held in waiting:
            syscalls.unlink(op.fd, os.fsencode(held.slot))
        op.sync()
        if any(_in_slot(op, record, held) for held in waiting):
            raise Retryable("the held bytes were not deleted although the disk said so")
        if elsewhere > 0 and closed:
            syscalls.change_flags(fd, add=syscalls.IMMUTABLE)
        elif elsewhere > 0:
            # Somebody else's name for the same bytes lives on, so they get the file back as it was.
            syscalls.change_flags(fd, add=(record.attributes["flags"] or 0) & GUARDED)
    return outcome


def _outcome(elsewhere: int, *, closed: bool) -> RemoveReceipt:
    if elsewhere <= 0:
        return RemoveReceipt(outcome="removed")
    if closed:
        return RemoveReceipt(
            outcome="unreachable_retained",
            reason="the same bytes have more names in the customer's folder than were moved; nobody can read them",
            residual=(f"{elsewhere} other name(s) of the same file stand, closed to everybody",),
        )
    return RemoveReceipt(
        outcome="unreachable_retained",
        reason="the same bytes have a name outside the customer's folder",
        residual=(f"{elsewhere} other name(s) of the same file were not touched",),
    )
