from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from receiver.domain.canonical import load_json
from receiver.domain.entry import Entry, LedgerNote, make_entry, verify_entry

NOTE = LedgerNote(kind="evidence.sealed", subject="01J", actor="worker:1", detail={"size_bytes": 7, "raw": b"\xff"})
SALTS = (bytes(32), bytes([1]) * 32)


@dataclass(frozen=True, kw_only=True)
class Stored:
    id: str
    at: int
    kind: str
    subject: str
    actor_commit: bytes
    detail_commit: bytes
    leaf_hash: bytes
    detail: dict[str, Any] | None


def stored(entry: Entry) -> Stored:
    return Stored(
        id=entry.id,
        at=entry.at,
        kind=entry.kind,
        subject=entry.subject,
        actor_commit=entry.actor_commit,
        detail_commit=entry.detail_commit,
        leaf_hash=entry.leaf_hash,
        detail={
            "salt_actor": entry.salt_actor,
            "actor": entry.actor,
            "salt_detail": entry.salt_detail,
            "detail": load_json(entry.detail_json),
        },
    )


def made() -> Entry:
    return make_entry(NOTE, id="01K", at=1_700_000_000_000_001, salts=SALTS)


def test_leaf_follows_the_written_recipe() -> None:
    entry = made()
    actor = hashlib.sha256(SALTS[0] + b'"worker:1"').hexdigest()
    detail = hashlib.sha256(SALTS[1] + b'{"raw":{"b64":"/w=="},"size_bytes":7}').hexdigest()
    leaf = {"v": 1, "id": "01K", "at": 1_700_000_000_000_001, "kind": "evidence.sealed", "subject": "01J"}
    leaf |= {"actor_commit": actor, "detail_commit": detail}
    text = json.dumps(leaf, sort_keys=True, separators=(",", ":")).encode()
    assert entry.leaf_hash == hashlib.sha256(b"\0" + text).digest()
    assert entry.actor_commit.hex() == actor
    assert entry.detail_commit.hex() == detail


def test_sound_entry_has_no_problems() -> None:
    assert verify_entry(stored(made())) == ()


def test_erased_detail_is_no_problem() -> None:
    assert verify_entry(replace(stored(made()), detail=None)) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"id": "01L"},
        {"at": 1},
        {"kind": "evidence.destroyed"},
        {"subject": "01X"},
        {"actor_commit": bytes(32)},
        {"detail_commit": bytes(32)},
        {"leaf_hash": bytes(32)},
    ],
)
def test_changed_column_is_found(change: dict[str, Any]) -> None:
    assert verify_entry(replace(stored(made()), **change))


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "somebody"},
        {"actor": None},
        {"salt_actor": bytes(31)},
        {"salt_actor": "text"},
        {"salt_detail": bytes(32)},
        {"detail": {"size_bytes": 8, "raw": b"\xff"}},
        {"detail": {"size_bytes": 7.5}},
    ],
)
def test_changed_detail_is_found(change: dict[str, Any]) -> None:
    entry = stored(made())
    assert entry.detail is not None
    assert len(verify_entry(replace(entry, detail=entry.detail | change))) == 1


def test_salts_differ_each_time() -> None:
    first, second = (make_entry(NOTE, id="01K", at=1) for _ in range(2))
    assert first.leaf_hash != second.leaf_hash
    assert len({first.salt_actor, first.salt_detail, second.salt_actor, second.salt_detail}) == 4


def test_short_salt_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        make_entry(NOTE, id="01K", at=1, salts=(b"", bytes(32)))


def test_float_in_detail_is_refused() -> None:
    with pytest.raises(TypeError):
        make_entry(replace(NOTE, detail={"ratio": 0.5}), id="01K", at=1)
