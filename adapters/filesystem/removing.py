"""Out of quarantine for good: what a checked seal covers is deleted."""
from __future__ import annotations

import os

from adapters.contract import (
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
from adapters.filesystem.sharing import alone, held_by, links_of, sharers
from adapters.filesystem.store import GUARDED, Directories
from adapters.filesystem.walk import open_file, opened


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
            outcome = _delete(op, record)
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


def _delete(op: Operation, record: Record) -> RemoveReceipt:
    waiting = [held for held in record.names if op.holds(record, held)]
    if not waiting:
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
    return outcome


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
