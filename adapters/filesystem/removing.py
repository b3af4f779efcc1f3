"""Out of quarantine for good: what a checked seal covers is deleted."""

from __future__ import annotations

import contextlib
import os

from adapters.contract import (
    AdapterError,
    BlockReceipt,
    Changed,
    Denied,
    NotFound,
    Ref,
    RemoveReceipt,
    Retryable,
    SealProof,
    from_json,
    to_json,
)
from adapters.filesystem import facts, syscalls
from adapters.filesystem.record import Operation, Record, forget_inode, operation
from adapters.filesystem.releasing import load, still_pinned
from adapters.filesystem.sharing import alone, freeze_elsewhere, held_by, links_of, sharers
from adapters.filesystem.store import GUARDED, Directories
from adapters.filesystem.walk import OtherNames, open_file, open_parent, opened


def remove(where: Directories, ref: Ref, proof: SealProof, receipt: BlockReceipt, op_id: str) -> RemoveReceipt:
    """Delete the held names. The record stays and says what became of them."""
    with operation(where.quarantine_fd, receipt.op_id) as found:
        op, record = load(found, ref)
        if record.state == "removed":
            op.sync()
            return from_json(RemoveReceipt, record.outcome)
        if record.state not in ("blocked", "removing"):
            raise Changed("the file is not held any more; look again")
        with alone(where.quarantine_fd, record.inode, links_of(op, record)):
            if record.state == "blocked":
                _check_sealed(op, record, proof)
                record.state, record.remove_op_id = "removing", op_id
                op.save(record)
            outcome = _delete(where, op, record)
            record.state, record.outcome = "removed", to_json(outcome)
            op.save(record)
        if not record.closed:  # else names of it stand, and must stay closed whatever other blocks do
            forget_inode(where.quarantine_fd, record.inode, record.op_id)
        return outcome


def _check_sealed(op: Operation, record: Record, proof: SealProof) -> None:
    found = syscalls.stat_or_none(op.fd, os.fsencode(record.names[0].slot))
    if found is None or not record.is_inode(found):
        raise NotFound("the held bytes are gone from the quarantine directory")
    if not still_pinned(record, proof.pins, found):
        raise Changed("the held bytes are not those that were sealed; seal them again")


def _delete(where: Directories, op: Operation, record: Record) -> RemoveReceipt:
    waiting = [held for held in record.names if op.holds(record, held)]
    if not waiting:
        _guard_again(where, record)
        return from_json(RemoveReceipt, record.outcome) if record.outcome else RemoveReceipt(outcome="removed")
    with opened(open_file(op.fd, os.fsencode(waiting[0].slot))) as fd:
        now = os.fstat(fd)
        held_too = held_by(sharers(op.quarantine_fd, record.op_id, fd))
        elsewhere, closed = now.st_nlink - len(waiting) - held_too, facts.closed_to_all(now)
        outcome = _outcome(elsewhere, held_too, closed=closed)
        record.outcome, record.closed = to_json(outcome), closed and elsewhere > 0
        op.save(record)
        if not syscalls.change_flags(fd, drop=GUARDED):
            raise Denied("the immutable flag cannot be cleared; the agent needs CAP_LINUX_IMMUTABLE")
        for held in waiting:
            syscalls.unlink(op.fd, os.fsencode(held.slot))
        op.sync()
        if any(op.holds(record, held) for held in waiting):
            raise Retryable("the held bytes were not deleted although the disk said so")
        if held_too > 0 or record.closed:
            syscalls.change_flags(fd, add=syscalls.IMMUTABLE)
        elif elsewhere > 0:
            # Somebody else's name for the same bytes lives on, so they get the file back as it was.
            syscalls.change_flags(fd, add=(record.attributes["flags"] or 0) & GUARDED)
        if held_too > 0 or elsewhere > 0:
            syscalls.sync(fd)
    return outcome


def _guard_again(where: Directories, record: Record) -> None:
    """A crash may have come after the last name went, and before what stays of the file had its flags again."""
    if freeze_elsewhere(where.quarantine_fd, record) or record.outcome.get("outcome") != "unreachable_retained":
        return
    flags = syscalls.IMMUTABLE if record.closed else (record.attributes["flags"] or 0) & GUARDED
    if not flags:
        return
    meant = os.stat_result((0, record.inode, os.fstat(where.quarantine_fd).st_dev, *[0] * 7))
    for other in OtherNames().find(where.root_fd, record.ref, meant, 1):
        with contextlib.ExitStack() as fds, contextlib.suppress(AdapterError):
            parent_fd = fds.enter_context(opened(open_parent(where.root_fd, other.locator)))
            fd = fds.enter_context(opened(open_file(parent_fd, os.path.basename(other.locator))))
            if _is_the_rest(record, fd):
                syscalls.change_flags(fd, add=flags)
                syscalls.sync(fd)


def _is_the_rest(record: Record, fd: int) -> bool:
    """Whether it is still our file, and not another one that was given its number."""
    found = os.fstat(fd)
    if not record.is_inode(found) or not facts.born_as(fd, record.attributes):
        return False
    return facts.closed_to_all(found) if record.closed else facts.surely_born_as(fd, record.attributes)


def _outcome(elsewhere: int, held_too: int, *, closed: bool) -> RemoveReceipt:
    residual = (f"{held_too} name(s) of the same file lie in quarantine under another block",) if held_too > 0 else ()
    if elsewhere > 0 and closed:
        return RemoveReceipt(
            outcome="unreachable_retained",
            reason="the same bytes have more names in the customer's folder than were moved; nobody can read them",
            residual=(f"{elsewhere} other name(s) of the same file stand, closed to everybody", *residual),
        )
    if elsewhere > 0:
        return RemoveReceipt(
            outcome="unreachable_retained",
            reason="the same bytes have a name outside the customer's folder",
            residual=(f"{elsewhere} other name(s) of the same file were not touched", *residual),
        )
    if held_too > 0:
        reason = "another block holds the same bytes; they go when that one is removed"
        return RemoveReceipt(outcome="unreachable_retained", reason=reason, residual=residual)
    return RemoveReceipt(outcome="removed")
