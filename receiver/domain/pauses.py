"""Pausing and resuming, as outcomes: by whichever way a person asks for it."""

from __future__ import annotations

from receiver.domain.outcome import Insert, LedgerNote, Outcome, Page, Table, Update

PAGE_KIND = "paused"


def set_pause(scope: str, actor: str, *, now: int) -> Outcome:
    """People are called about it until it ends. A conflict says that it is paused already."""
    return Outcome(
        changes=(Insert(table=Table.PAUSE, values={"scope": scope, "actor": actor, "since_at": now}),),
        notes=(LedgerNote(kind="pause.set", subject=scope, actor=actor),),
        pages=(Page(kind=PAGE_KIND, subject=scope, text="Acting is paused; `resume` ends it, typed or on the pages"),),
    )


def end_pause(scope: str, actor: str, *, now: int) -> Outcome:
    """The entry, before the pause itself is lifted: nothing may start without a trace of who let it.

    Its page is over, or it would call again about a pause that is none. A conflict says that it is not paused.
    """
    called = {"kind": PAGE_KIND, "subject": scope, "acknowledged_at": None}
    heard = {"acknowledged_at": now, "acknowledged_by": actor}
    return Outcome(
        changes=(
            Update(table=Table.PAUSE, where={"scope": scope}, values={"actor": actor}),
            Update(table=Table.PAGE, where=called, values=heard, optional=True),
        ),
        notes=(LedgerNote(kind="pause.lifted", subject=scope, actor=actor),),
    )
