"""Back to the customer: every name as it was, or none."""

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
    Retryable,
    UnblockReceipt,
    Unsupported,
)
from adapters.filesystem import facts, syscalls
from adapters.filesystem.closing import all_ours, close, freeze, open_again, standing
from adapters.filesystem.dressing import restore_owner, restore_times_and_flags
from adapters.filesystem.record import Held, Operation, Record, forget_inode, operation
from adapters.filesystem.sharing import alone, closers, freeze_elsewhere, links_of, must_stay_frozen, sharers
from adapters.filesystem.store import GUARDED, Directories, settle_folder, take, unguarded
from adapters.filesystem.walk import NotPlain, in_scope, open_file, open_folder, open_parent, opened

TAKEN = "something new stands where the file was; move it away first, nothing is ever overwritten"
MOUNTED = "another disk is mounted where the file was; take it away first"
GONE = "the customer's folder is gone; make it again first"
REMADE = "a folder the customer had deleted was made again"
STAYS_CLOSED = "another block closed the same file, and nobody can read it while that one stands"
OPENED = "another block had closed the same file; its other names can be read again"
STAYS_FROZEN = "another block holds the same file, and nobody can write to it while that one stands"


GONE_SINCE = "the file had come back, and was deleted or moved since; its times and flags may differ from before"


def load(op: Optional[Operation], ref: Ref) -> tuple[Operation, Record]:
    """The record of a block. Raises NotFound where there is none, Denied where it is another object's."""
    record = op.load() if op is not None else None
    if op is None or record is None:
        raise NotFound("nothing is held under this operation")
    if record.ref != ref:
        raise Denied("this operation is about another object")
    return op, record


def unblock(where: Directories, ref: Ref, receipt: BlockReceipt) -> UnblockReceipt:
    with operation(where.quarantine_fd, receipt.op_id) as found:
        op, record = load(found, ref)
        if record.state in ("removing", "removed"):
            raise NotFound("the held bytes were deleted; only the seal has them now")
        if record.state != "unblocked":
            with alone(where.quarantine_fd, record.inode, links_of(op, record)):
                _put_back(where, op, record)
        else:
            op.sync()  # whoever finished it may not have lived to make that durable
        forget_inode(where.quarantine_fd, record.inode, record.op_id)
        return UnblockReceipt(losses=tuple(record.losses))


def _put_back(where: Directories, op: Operation, record: Record) -> None:
    waiting = [held for held in record.names if op.holds(record, held)]
    record.losses = [words for words in record.losses if words == REMADE]
    try:
        for held in waiting:
            _check_way_back(where, record, held)
        _return_all(where, op, record, waiting)
    except (Conflict, Denied, PermissionError):
        _hold_again(where, op, record)
        raise
    for held in record.names:
        if held not in waiting:
            settle_folder(where, held)  # it came back in an earlier try, which may not have lived to sync it
    op.sync()
    record.state = "unblocked"
    op.save(record)


def _return_all(where: Directories, op: Operation, record: Record, waiting: list[Held]) -> None:
    held_fd = _open_held(where, op, record)
    if held_fd is None:
        freeze_elsewhere(where.quarantine_fd, record)
        record.losses.append(GONE_SINCE)
        return
    with opened(held_fd) as fd:
        if record.state != "unblocking":
            record.state = "unblocking"
            op.save(record)
        others = sharers(where.quarantine_fd, record.op_id, fd)
        syscalls.change_flags(fd, drop=GUARDED)
        stays_closed = _stays_closed(record, closers(others, fd))
        if not stays_closed:
            record.losses += restore_owner(fd, record.attributes)
        # The last name taken goes back first, so that each folder's time is undone in reverse.
        for held in reversed(waiting):
            _return_name(where, op, record, held)
        restore_times_and_flags(fd, record.attributes)
        if stays_closed or must_stay_frozen(others):
            syscalls.change_flags(fd, add=syscalls.IMMUTABLE)
            syscalls.sync(fd)
            record.losses.append(STAYS_FROZEN)


def _stays_closed(record: Record, closed_by: list[Record]) -> bool:
    """A file that another block closed stays so, but not over a name that comes back to somebody else."""
    if not closed_by:
        return False
    stays = all(in_scope(held.path, other.scope) for other in closed_by for held in record.names)
    record.losses.append(STAYS_CLOSED if stays else OPENED)
    return stays


def _open_held(where: Directories, op: Operation, record: Record) -> Optional[int]:
    """The file, in quarantine or, after a crash, already back in its place; None where it has left that place since."""
    for held in record.names:
        if op.holds(record, held):
            return open_file(op.fd, os.fsencode(held.slot))
    unsure = record.state != "unblocking"
    for held in record.names:
        try:
            with opened(open_parent(where.root_fd, held.path)) as parent_fd:
                fd = open_file(parent_fd, os.path.basename(held.path))
        except Denied:
            unsure = True
        except (NotFound, Changed, NotPlain):
            continue
        else:
            if record.is_inode(os.fstat(fd)):
                return fd
            os.close(fd)
    if not unsure:
        return None
    raise NotFound("the held bytes are gone from the quarantine directory")


def _check_way_back(where: Directories, record: Record, held: Held) -> None:
    """Raise Conflict where this name cannot go back. All are asked before the first one goes."""
    try:
        with opened(open_parent(where.root_fd, held.path)) as parent_fd:
            if not _free_or_back(parent_fd, record, held):
                raise Conflict(TAKEN)
        _require_no_mount(where, os.path.dirname(held.path))
    except NotFound:
        _check_makeable(where, record, held)  # the customer deleted the folder; it is made again
    except Changed as exc:
        raise Conflict(TAKEN) from exc


def _require_no_mount(where: Directories, folder: bytes) -> None:
    try:
        os.close(syscalls.open_beneath(where.root_fd, folder or b".", os.O_PATH | os.O_NOFOLLOW, one_mount=True))
    except OSError as exc:
        if exc.errno == errno.EXDEV:
            raise Conflict(MOUNTED) from exc
        # Whatever else is wrong is found and named by the move itself.


def _check_makeable(where: Directories, record: Record, held: Held) -> None:
    """The folders of a name that are gone can be made again, unless something else has the place of the first."""
    parts = held.path.split(b"/")[:-1]
    inside = len([part for part in record.scope.split(b"/") if part])
    for depth in range(1, len(parts) + 1):
        try:
            os.close(open_folder(where.root_fd, b"/".join(parts[:depth])))
        except NotFound as exc:
            if depth <= inside:
                raise Conflict(GONE) from exc
            above = b"/".join(parts[: depth - 1])
            _require_nothing(where, above, parts[depth - 1])
            return
        except Changed as exc:
            raise Conflict(TAKEN) from exc


def _require_nothing(where: Directories, above: bytes, name: bytes) -> None:
    try:
        with opened(open_folder(where.root_fd, above or b".")) as fd:
            if syscalls.stat_or_none(fd, name) is not None:
                raise Conflict(TAKEN)
    except (NotFound, Changed) as exc:
        raise Conflict(TAKEN) from exc
    _require_no_mount(where, above)


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
                raise Conflict(MOUNTED) from exc
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
                with unguarded(above_fd):
                    if depth <= inside or not syscalls.make_directory(above_fd, os.path.basename(path)):
                        continue
                with opened(open_folder(above_fd, os.path.basename(path))) as fd:
                    # Only what we just made is given away: the customer may have put something else there meanwhile.
                    if os.fstat(fd).st_uid == os.geteuid() and not os.listdir(fd):
                        syscalls.dress_directory(fd, folder.mode, folder.uid, folder.gid)
                syscalls.sync(above_fd)
        except (NotFound, Changed) as exc:
            raise Conflict(GONE) from exc
        record.losses.append(REMADE)
    try:
        return open_parent(where.root_fd, held.path)
    except (NotFound, Changed) as exc:
        raise Conflict(TAKEN) from exc


def _hold_again(where: Directories, op: Operation, record: Record) -> None:
    """Some name cannot go back, so none does: what did is taken again, and all is as the block had left it."""
    if record.state != "unblocking":
        return
    record.names = [_held_again(where, op, record, held) for held in record.names]
    if not op.holds(record, record.names[0]):
        return
    with opened(open_file(op.fd, os.fsencode(record.names[0].slot))) as fd:
        freeze(fd)
        left = standing(where, op, record, fd)
        record.closed = record.closed and all_ours(where, record, fd, left) and close(op, record, fd)
        if record.closed and not all_ours(where, record, fd, standing(where, op, record, fd)):
            open_again(op, record, fd)
        freeze_again(fd, record)
    record.state = "blocked"
    op.save(record)


def _held_again(where: Directories, op: Operation, record: Record, held: Held) -> Held:
    if op.holds(record, held):
        return held
    try:
        return take(where, op, record, held)
    except (NotFound, Changed, Denied, Unsupported):
        return held  # the customer moved it on at once; `origin_state` tells of it


def freeze_again(fd: int, record: Record) -> bool:
    """Set the immutable flag. The change time that moves with it is ours, so the older pins stay good."""
    before, last = os.fstat(fd), Pin(record.pins[-1])
    ours = record.state == "unblocking" or facts.holds(last, before)
    frozen = syscalls.change_flags(fd, add=syscalls.IMMUTABLE)
    now = facts.pin_of(os.fstat(fd), record.op_id).value
    if ours and now.split(":")[2:5] == last.value.split(":")[2:5] and now not in record.pins:
        record.pins.append(now)
    return frozen


def still_pinned(record: Record, pins: tuple[Pin, ...], found: os.stat_result) -> bool:
    """Whether the held file is still the bytes of this one pin."""
    if len(pins) != 1 or facts.op_id_of(pins[0]) != record.op_id:
        return False
    return facts.holds(pins[0], found) or (record.accepts(pins[0]) and facts.holds(Pin(record.pins[-1]), found))
