"""People called as the worker's sweep does, from what the rows of a world say."""

from __future__ import annotations

from functools import partial

from receiver.domain.outcome import Outcome, Page
from receiver.domain.ports import PageRow
from receiver.engine.alarms import Alarms, unclear_alarms, waiting_alarms
from tests.doubles.world import World


def call_people(world: World) -> tuple[PageRow, ...]:
    """One turn of the sweep; then the pages that are open."""

    def page(kind: str, subject: str, words: str) -> None:
        world.commit(Outcome(pages=(Page(kind=kind, subject=subject, text=words),)))

    sources = (partial(waiting_alarms, world.db), partial(unclear_alarms, world.db))
    Alarms(world.db, sources, page, lambda change: world.commit(Outcome(changes=(change,))))()
    return world.db.open_pages(50)
