"""A leaf written out by hand is, byte for byte, the canonical JSON that outsiders hash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.domain.canonical import canonical_json
from receiver.domain.entry import LedgerNote, leaf_bytes, make_entry, verify_entry

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
COMMIT = bytes(range(32))


def canonical_leaf(**members: object) -> bytes:
    commits = {"actor_commit": COMMIT.hex(), "detail_commit": COMMIT.hex()}
    return canonical_json({"v": 1, **commits, **members})


@given(id=TEXT, kind=TEXT, subject=TEXT, at=st.integers())
def test_leaf_is_canonical_json(id: str, kind: str, subject: str, at: int) -> None:  # noqa: A002 - the leaf's own word
    made = leaf_bytes(id=id, at=at, kind=kind, subject=subject, actor_commit=COMMIT, detail_commit=COMMIT)
    assert made == canonical_leaf(id=id, at=at, kind=kind, subject=subject)


@given(actor=TEXT)
def test_actor_is_committed_to_canonically(actor: str) -> None:
    entry = make_entry(LedgerNote(kind="k", subject="s", actor=actor), id="i", at=1)
    assert verify_entry(entry) == ()


@pytest.mark.parametrize(
    "wrong", [{"at": "1"}, {"at": True}, {"at": None}, {"kind": 1}, {"subject": b"s"}, {"id": None}, {"kind": None}]
)
def test_foreign_types_make_another_leaf(wrong: dict[str, object]) -> None:
    """SQLite keeps any type in any column, so a changed row may hold one: it is told, and does not end the check."""
    right: dict[str, object] = {"id": "i", "at": 1, "kind": "k", "subject": "s"}
    found = leaf_bytes(**{**right, **wrong}, actor_commit=COMMIT, detail_commit=COMMIT)  # type: ignore[arg-type]
    assert found == canonical_leaf(**{**right, **wrong})
    assert found != canonical_leaf(**right)
