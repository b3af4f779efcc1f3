"""What a person does about a page, without the person."""

from __future__ import annotations

from receiver.domain.outcome import Outcome, Table, Update
from receiver.store import SqlStore


def acknowledge(store: SqlStore, page: str, actor: str = "ann") -> bool:
    """False when somebody did so before, or there is no such page."""
    values = {"acknowledged_at": store.now(), "acknowledged_by": actor}
    update = Update(table=Table.PAGE, where={"id": page, "acknowledged_at": None}, values=values)
    (result,) = store.commit([Outcome(changes=(update,))])
    return result.error is None
