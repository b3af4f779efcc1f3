"""Ledger entries: what happened, as a leaf that holds salted commitments instead of personal details.

The details can be erased later without breaking the tree; while they exist, anybody can check them against the leaf.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any, Protocol

from receiver.domain.canonical import canonical_json
from receiver.domain.tree import leaf_hash

ENTRY_VERSION = 1
SALT_BYTES = 32
BATCH_ENTRIES = 1_000
"""Numbered in one transaction at the most; a full batch means that more waits."""


@dataclass(frozen=True, kw_only=True)
class LedgerNote:
    """What a step wants entered. `kind` and `subject` stay readable for ever: codes and ids, never a URL or a name."""

    kind: str
    """What happened: ``evidence.sealed``, ``resource.blocked``."""
    subject: str
    """The id of the row it happened to."""
    actor: str
    """Who did it: a worker, an issuer, a person."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Whole numbers, text, bytes, lists and maps of them."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A note made complete and hashed, ready to be inserted in the act's own transaction."""

    id: str
    at: int
    kind: str
    subject: str
    actor_commit: bytes
    detail_commit: bytes
    leaf_hash: bytes
    salt_actor: bytes
    salt_detail: bytes
    actor: str
    detail_json: str
    """Canonical JSON; the commitment is over these very bytes."""

    @property
    def detail(self) -> Mapping[str, Any]:
        """What `entry_detail` keeps, and what `verify_entry` takes again."""
        return {
            "salt_actor": self.salt_actor,
            "actor": self.actor,
            "salt_detail": self.salt_detail,
            "detail": self.detail_json,
        }


class EntryFacts(Protocol):
    """A stored entry, as far as it is needed to check it."""

    @property
    def id(self) -> str: ...
    @property
    def at(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def actor_commit(self) -> bytes: ...
    @property
    def detail_commit(self) -> bytes: ...
    @property
    def leaf_hash(self) -> bytes: ...
    @property
    def detail(self) -> Mapping[str, Any] | None:
        """As `Entry.detail`, where the detail may also be the map that its text says; None once erased."""


def make_entry(note: LedgerNote, *, id: str, at: int, salts: tuple[bytes, bytes] | None = None) -> Entry:  # noqa: A002 - the column's name
    """Commit to actor and detail and hash the leaf.

    `at` is microseconds UTC; `salts` (32 bytes each, for actor and detail) are drawn unless given.
    Raises TypeError when the detail holds what has no canonical form.
    """
    salt_actor, salt_detail = salts or (secrets.token_bytes(SALT_BYTES), secrets.token_bytes(SALT_BYTES))
    if len(salt_actor) != SALT_BYTES or len(salt_detail) != SALT_BYTES:
        raise ValueError("a salt is 32 bytes")
    detail_json = canonical_json(note.detail)
    actor_commit = commit(salt_actor, canonical_json(note.actor))
    detail_commit = commit(salt_detail, detail_json)
    leaf = leaf_bytes(
        id=id, at=at, kind=note.kind, subject=note.subject, actor_commit=actor_commit, detail_commit=detail_commit
    )
    return Entry(
        id=id,
        at=at,
        kind=note.kind,
        subject=note.subject,
        actor_commit=actor_commit,
        detail_commit=detail_commit,
        leaf_hash=leaf_hash(leaf),
        salt_actor=salt_actor,
        salt_detail=salt_detail,
        actor=note.actor,
        detail_json=detail_json.decode(),
    )


def leaf_bytes(
    *,
    id: str,  # noqa: A002 - the leaf's own word
    at: int,
    kind: str,
    subject: str,
    actor_commit: bytes,
    detail_commit: bytes,
) -> bytes:
    """The leaf as it is hashed: canonical JSON, commitments in hexadecimal. The position says its number."""
    if type(at) is int and type(id) is type(kind) is type(subject) is str:
        # The same bytes written out: verifying a ledger does this for every entry there ever was.
        return (
            f'{{"actor_commit":"{actor_commit.hex()}","at":{at},"detail_commit":"{detail_commit.hex()}",'
            f'"id":{encode_basestring(id)},"kind":{encode_basestring(kind)},'
            f'"subject":{encode_basestring(subject)},"v":{ENTRY_VERSION}}}'
        ).encode()
    # Only what somebody wrote past us has other types; it must be hashed to be told apart, not end the check.
    return canonical_json(
        {
            "v": ENTRY_VERSION,
            "id": id,
            "at": at,
            "kind": kind,
            "subject": subject,
            "actor_commit": actor_commit.hex(),
            "detail_commit": detail_commit.hex(),
        }
    )


def commit(salt: bytes, canonical: bytes) -> bytes:
    """SHA-256 over salt and canonical JSON: says nothing of the content once the salt is gone."""
    return hashlib.sha256(salt + canonical).digest()


def verify_entry(entry: EntryFacts) -> tuple[str, ...]:
    """Name everything about this entry that does not fit; empty when all does. An erased detail is no problem."""
    actor_commit, detail_commit, stored = entry.actor_commit, entry.detail_commit, entry.detail
    leaf = leaf_bytes(
        id=entry.id,
        at=entry.at,
        kind=entry.kind,
        subject=entry.subject,
        actor_commit=actor_commit,
        detail_commit=detail_commit,
    )
    right = hmac.compare_digest(leaf_hash(leaf), entry.leaf_hash)
    problems = () if right else ("the entry's columns are not what was hashed",)
    return problems if stored is None else problems + _verify_detail(stored, actor_commit, detail_commit)


def _verify_detail(stored: Mapping[str, Any], actor_commit: bytes, detail_commit: bytes) -> tuple[str, ...]:
    detail = stored.get("detail")
    if isinstance(detail, str):
        detail = detail.encode()
    problems: tuple[str, ...] = ()
    if not _fits(stored.get("salt_actor"), stored.get("actor"), actor_commit):
        problems += ("the entry's actor is not what was committed to",)
    if not _fits(stored.get("salt_detail"), detail, detail_commit):
        problems += ("the entry's detail is not what was committed to",)
    return problems


def _fits(salt: object, value: object, expected: bytes) -> bool:
    if not isinstance(salt, bytes) or len(salt) != SALT_BYTES:
        return False
    try:
        if type(value) is str:
            canonical = encode_basestring(value).encode()
        else:
            canonical = value if isinstance(value, bytes) else canonical_json(value)
    except (TypeError, ValueError):
        # Only what somebody wrote past us has no canonical form.
        return False
    return hmac.compare_digest(hashlib.sha256(salt + canonical).digest(), expected)
