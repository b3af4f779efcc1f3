"""Changes of an outcome become few statements, and never pass what they depend upon."""

from __future__ import annotations

import secrets
from typing import Any

from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, Table, Update
from receiver.store.changes import InsertRows, prepare
from receiver.store.codec import Codec
from receiver.store.crypto import Sealer
from tests.doubles.store_rows import AT, case_outcome, item_values

CODEC = Codec(Sealer(secrets.token_bytes(32)))


def shapes(*changes: Insert | Update) -> list[tuple[str, str, int]]:
    ready = prepare(CODEC, changes)
    return [("new" if isinstance(one, InsertRows) else "set", one.table, len(one.rows)) for one in ready]


def canonical(item: str) -> Update:
    return Update(table=Table.ITEM, where={"id": item}, values={"canonical": "https://a.example/"})


def closed(case: str) -> Update:
    return Update(table=Table.CASE, where={"id": case}, values={"closed_at": AT})


def test_items_of_a_notice_share_statements() -> None:
    changes: list[Any] = []
    for number in range(3):
        item = new_id()
        changes += [canonical(item), *case_outcome(item, locator=b"%d" % number)[0].changes]
    assert shapes(*changes) == [
        ("set", "item", 3),
        ("new", "case_", 3),
        ("new", "case_url", 3),
        ("new", "work", 3),
        ("new", "claim", 3),
    ]


def test_rows_keep_the_order_they_came_in() -> None:
    items = [new_id() for _ in range(3)]
    changes = [one for item in items for one in (canonical(item), *case_outcome(item)[0].changes)]
    ready = prepare(CODEC, changes)
    (claims,) = [one for one in ready if one.table == "claim"]
    assert [row["item"] for row in claims.rows] == items


def test_row_never_passes_its_parent() -> None:
    """A claim of a case that is opened in between is written after it."""
    first, second = new_id(), new_id()
    (claim,) = [c for c in case_outcome(first)[0].changes if c.table is Table.CLAIM]
    rest, case = case_outcome(None, locator=b"other")
    later = Insert(table=Table.CLAIM, values={"item": second, "case": case, "act": "remove", "rank": 1})
    names = [name for _, name, _ in shapes(claim, *rest.changes, later)]
    assert names.index("case_") < len(names) - 1 - names[::-1].index("claim")
    assert names.count("claim") == 2


def test_one_table_keeps_its_order() -> None:
    """The old case is closed before the new one on the same resource is opened, and the other way round it stays."""
    new, case = case_outcome()
    opened = new.changes[0]
    kinds = [kind for kind, _, _ in shapes(closed("old"), opened, closed(case))]
    assert kinds == ["set", "new", "set"]


def test_new_item_waits_for_its_notice() -> None:
    notice = Insert(table=Table.NOTICE, values={"id": "n2", "issuer": "iwf", "receipt": {}, "handling": {}})
    items = [Insert(table=Table.ITEM, values=item_values(new_id(), name, "1")) for name in ("n1", "n2")]
    assert shapes(items[0], notice, items[1]) == [("new", "item", 1), ("new", "notice", 1), ("new", "item", 1)]
