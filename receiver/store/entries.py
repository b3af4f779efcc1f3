"""Ledger entries as rows and back.

A detail is kept as one canonical JSON text of four parts. Two of them, actor and detail, are letter for letter what was
committed to; so where nothing in them needs another spelling, they are put in and cut out as they stand. That is what
lets a ledger of a million entries be checked without parsing and writing out each of them.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Sequence
from typing import Any

from receiver.domain.canonical import canonical_json
from receiver.domain.entry import Entry
from receiver.domain.ports import StoredEntry
from receiver.store import tables
from receiver.store.codec import Codec, Form, parse

ENTRY_COLUMNS = (
    *(tables.entry.c[name] for name in ("id", "at", "kind", "subject", "actor_commit", "detail_commit")),
    *(tables.entry.c.leaf_hash, tables.entry.c.seq, tables.entry_detail.c.data),
)

_TAIL = b',"salt_actor":{"b64":"%b"},"salt_detail":{"b64":"%b"}}'
_BEFORE, _, _AFTER = _TAIL.split(b"%b")
_SALT_LETTERS = 44
_TAIL_BYTES = len(_TAIL % (b"", b"")) + 2 * _SALT_LETTERS
_SALT_ACTOR = slice(len(_BEFORE), len(_BEFORE) + _SALT_LETTERS)
_SALT_DETAIL = slice(-len(_AFTER) - _SALT_LETTERS, -len(_AFTER))
_HEAD = re.compile(rb'\{"actor":"([^"\\\x00-\x1f]*)","detail":')


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
    if "b64" not in entry.detail_json:
        return {"entry": entry.id, "data": codec.sealer.seal(_place(entry.id), _text(entry)), "created_at": now}
    # Bytes, and whatever looks like them, are spelled otherwise in a column.
    data = {
        "salt_actor": entry.salt_actor,
        "actor": entry.actor,
        "salt_detail": entry.salt_detail,
        "detail": json.loads(entry.detail_json),
    }
    return codec.to_row("entry_detail", {"entry": entry.id, "data": data, "created_at": now})


def stored_entry(codec: Codec, row: Sequence[Any]) -> StoredEntry:
    """From a row of `ENTRY_COLUMNS`, with `entry_detail` outer-joined."""
    return _entry(row, codec.from_row("entry_detail", "data", row[-1], row[0]))


def checkable_entry(codec: Codec, row: Sequence[Any]) -> StoredEntry:
    """The same for `verify_entry`: its detail is the text that was committed to, wherever that can be cut out."""
    sealed = row[-1]
    if sealed is None:
        return _entry(row, None)
    data = codec.sealer.open(_place(row[0]), sealed)
    return _entry(row, _cut(data) or parse(Form.JSON, data))


def _entry(row: Sequence[Any], detail: dict[str, Any] | None) -> StoredEntry:
    found = object.__new__(StoredEntry)
    name, at, kind, subject, actor_commit, detail_commit, leaf_hash, seq, _ = row
    # At once: assigning to a frozen value field by field costs more than hashing it.
    values = {
        "id": name,
        "at": at,
        "kind": kind,
        "subject": subject,
        "actor_commit": actor_commit,
        "detail_commit": detail_commit,
        "leaf_hash": leaf_hash,
        "seq": seq,
        "detail": detail,
    }
    object.__setattr__(found, "__dict__", values)
    return found


def _place(entry: str) -> str:
    return f"entry_detail:data:{entry}"


def _text(entry: Entry) -> bytes:
    """The canonical JSON of the four parts, put together without parsing the detail."""
    salts = (binascii.b2a_base64(salt, newline=False) for salt in (entry.salt_actor, entry.salt_detail))
    return b'{"actor":%b,"detail":%b' % (canonical_json(entry.actor), entry.detail_json.encode()) + _TAIL % (*salts,)


def _cut(data: bytes) -> dict[str, Any] | None:
    """The four parts of such a text, or None for one that has to be parsed."""
    head, cut = _HEAD.match(data), len(data) - _TAIL_BYTES
    if head is None or cut < head.end():
        return None
    detail, tail = data[head.end() : cut], data[cut:]
    salts = tail[_SALT_ACTOR], tail[_SALT_DETAIL]
    try:
        salt_actor, salt_detail = binascii.a2b_base64(salts[0]), binascii.a2b_base64(salts[1])
        actor, text = head[1].decode(), detail.decode()
    except ValueError:
        return None
    # One spelling only, and bytes in a detail are spelled otherwise in a column than where they were committed to.
    spelled = binascii.b2a_base64(salt_actor, newline=False), binascii.b2a_base64(salt_detail, newline=False)
    if tail != _TAIL % spelled or b"b64" in detail or b"\\u" in detail:
        return None
    return {"salt_actor": salt_actor, "actor": actor, "salt_detail": salt_detail, "detail": text}
