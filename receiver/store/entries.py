"""Ledger entries as rows and back."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import RowMapping

from receiver.domain.entry import Entry
from receiver.domain.ports import StoredEntry
from receiver.store import tables
from receiver.store.codec import Codec


def entry_row(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at,
        "kind": entry.kind,
        "subject": entry.subject,
        "actor_commit": entry.actor_commit,
        "detail_commit": entry.detail_commit,
        "leaf_hash": entry.leaf_hash,
        "seq": None,
    }


def detail_row(codec: Codec, entry: Entry, now: int) -> dict[str, Any]:
    """What the commitments were made over; erasable, so it stands in a table of its own."""
    data = {
        "salt_actor": entry.salt_actor,
        "actor": entry.actor,
        "salt_detail": entry.salt_detail,
        "detail": json.loads(entry.detail_json),
    }
    return codec.to_row("entry_detail", {"entry": entry.id, "data": data, "created_at": now})


def stored_entry(codec: Codec, row: RowMapping) -> StoredEntry:
    """From a row of `entry` with the outer-joined `entry_detail.data`."""
    entry = tables.entry.c
    sealed = row[tables.entry_detail.c.data]
    return StoredEntry(
        id=row[entry.id],
        at=row[entry.at],
        kind=row[entry.kind],
        subject=row[entry.subject],
        actor_commit=row[entry.actor_commit],
        detail_commit=row[entry.detail_commit],
        leaf_hash=row[entry.leaf_hash],
        seq=row[entry.seq],
        detail=codec.from_row("entry_detail", "data", sealed, row[entry.id]),
    )
