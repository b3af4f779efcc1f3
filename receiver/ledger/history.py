"""Whether the entries we have are still those we signed for: checked before signing again, and by `ledger verify`."""

from __future__ import annotations

from receiver.domain.ports import StoredCheckpoint
from receiver.domain.tree import Tree, TreeError
from receiver.ledger.checkpoint import Checkpoint, Verifier
from receiver.ledger.copies import CopyContent
from receiver.ledger.errors import LedgerNoteError


def contradiction(where: str, checkpoint: Checkpoint, tree: Tree) -> str | None:
    """Say how a signed checkpoint contradicts our tree, or None. Every such sentence is an alarm."""
    if checkpoint.size > tree.size:
        return (
            f"{where} was signed for {checkpoint.size} entries and we have {tree.size}: "
            "the database was rolled back or another one is in use"
        )
    try:
        same = tree.root_at(checkpoint.size) == checkpoint.root
    except TreeError as error:
        return f"{where} cannot be compared: {error}"
    return None if same else f"{where} was signed for other entries than ours: the ledger was rewritten"


def read_note(where: str, note: str, verifier: Verifier) -> tuple[Checkpoint | None, str | None]:
    """The checkpoint, or what is wrong with it."""
    try:
        return verifier.open(note), None
    except LedgerNoteError as error:
        return None, f"{where}: {error}"


def copy_problems(name: str, content: CopyContent, verifier: Verifier, tree: Tree) -> list[str]:
    """Everything in a copy that does not fit our tree."""
    problems, before = [], 0
    if content.unreadable:
        problems.append(
            f"copy {name} holds {content.unreadable} letters that are no checkpoint: changed, or half written"
        )
    for number, note in enumerate(content.notes, 1):
        where = f"checkpoint {number} of copy {name}"
        checkpoint, problem = read_note(where, note, verifier)
        if checkpoint is not None:
            problem = contradiction(where, checkpoint, tree)
            if problem is None and checkpoint.size < before:
                problem = f"{where} is for fewer entries than the one before it: the ledger was rolled back"
            before = max(before, checkpoint.size)
        if problem:
            problems.append(problem)
    return problems


def lost_by_copy(name: str, content: CopyContent, verifier: Verifier, last: StoredCheckpoint | None) -> str | None:
    """Say so when a copy no longer has the checkpoint it took."""
    if last is None or name not in last.copies or last.note in content.notes:
        return None
    checkpoint = read_note(name, content.last, verifier)[0] if content.last else None
    # A newer one may have arrived since the last was read.
    if checkpoint is not None and checkpoint.size > last.size:
        return None
    return f"copy {name} has lost the checkpoint for {last.size} entries that it took: it was cut or replaced"
