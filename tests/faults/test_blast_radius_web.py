"""Whoever owns the public side's process and its database role writes rows; the worker believes signed bytes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, Outcome, Table, Wake
from receiver.domain.status import Track
from tests.doubles import databases
from tests.doubles.siege import SITE, Siege, make_siege, put

sqlite_database, sqlite_template = databases.sqlite_database, databases.sqlite_template
WANTED = f"https://{SITE}/victim.jpg"


@pytest.fixture
def siege(sqlite_database: databases.Database, tmp_path: Path) -> Iterator[Siege]:
    opened = sqlite_database.open()
    made = make_siege(tmp_path, opened)
    put(made, SITE, "/victim.jpg", b"innocent")
    yield made
    opened.close()


def honest(siege: Siege) -> str:
    """A real notice of the real issuer, acted on long ago."""
    notice = siege.row(siege.send(put(siege, SITE, "/real.jpg"), issuer="other"), "other")
    siege.world.run()
    return notice


def item_values(notice: str, url: str = WANTED, **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": new_id(), "notice": notice, "item_id": "99", "url": url, "canonical": None, "host": SITE,
        "status": "received", "reason": None, "status_at": 1, "approved_by": None, "withdrawn_at": None,
        "iccam_at": None, "details": {},
    }  # fmt: skip
    return {**values, **more}


def notice_values(siege: Siege, like: str, **more: Any) -> dict[str, Any]:
    row = siege.world.notice(like).notice
    return {**vars(row), "id": new_id(), "notice_id": "FORGED", "last_sequence": 0, **more}


def write(siege: Siege, notice: str, *changes: Any) -> None:
    wake = Wake(track=Track.RESOLVE, subject=notice, state="resolve", from_state="resolved", priority=0)
    siege.world.commit(Outcome(changes=changes, wakes=(wake,)))
    siege.world.run()


def forge_notice(siege: Siege, like: str) -> str:
    """A new notice beside an old, good signature."""
    values = notice_values(siege, like)
    items = Insert(table=Table.ITEM, values=item_values(values["id"]))
    write(siege, values["id"], Insert(table=Table.NOTICE, values=values), items)
    return str(values["id"])


def add_item(siege: Siege, like: str) -> str:
    write(siege, like, Insert(table=Table.ITEM, values=item_values(like)))
    return like


def add_approved_item(siege: Siege, like: str) -> str:
    values = item_values(like, status="review", approved_by="ann")
    write(siege, like, Insert(table=Table.ITEM, values=values))
    return like


@pytest.mark.parametrize("forge", [forge_notice, add_item, add_approved_item])
def test_good_signature_beside_other_rows_does_nothing(siege: Siege, forge: Callable[[Siege, str], str]) -> None:
    like = honest(siege)
    down = siege.down()
    forge(siege, like)
    assert siege.down() == down
    assert siege.world.memory.fetch_as_public(b"shop/victim.jpg") == b"innocent"
    assert "notice.not_verified" in siege.pages()


def test_yes_that_nobody_gave_counts_for_nothing(siege: Siege) -> None:
    """The notice is real and its category needs a person: the row alone claims that one said yes."""
    siege.pause("all")
    notice = siege.row(siege.send(WANTED, category="npi"))
    (item,) = siege.world.notice(notice).items
    with siege.world.db._db.write() as conn:
        conn.execute(text("UPDATE item SET approved_by = 'ann' WHERE id = :id"), {"id": item.id})
    siege.world.db.lift_pause("all")
    siege.world.run()
    assert siege.down() == 0
    assert "notice.not_verified" in siege.pages()


@pytest.mark.parametrize("kind", ["withdraw", "release_hold"])
def test_direction_needs_its_own_signed_bytes(siege: Siege, kind: str) -> None:
    """The notice's own message, and a real direction about another notice, sign no other direction."""
    like = honest(siege)
    second = siege.send(put(siege, SITE, "/second.jpg"), issuer="other")
    siege.direct(second, "withdraw", issuer="other")
    view = siege.world.notice(siege.row(second, "other"))
    siege.world.run()
    held = siege.down()
    for message in (siege.world.notice(like).notice.message_id, view.directions[0].message_id):
        copy = {**vars(siege.world.db.load_message(message)), "id": new_id()}
        changes = {"id": new_id(), "direction_id": new_id(), "notice": like, "kind": kind, "message_id": copy["id"]}
        values = {**vars(view.directions[0]), **changes, "applied_at": None}
        write(siege, like, Insert(table=Table.MESSAGE, values=copy), Insert(table=Table.DIRECTION, values=values))
    assert siege.down() == held
    assert [item.withdrawn_at for item in siege.world.notice(like).items] == [None]
    assert "notice.not_verified" in siege.pages()
