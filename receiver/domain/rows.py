"""Rows as the rest of the program sees them: decrypted, typed, frozen. `store` makes them; nobody changes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from receiver.domain.status import Act, ItemStatus, Track, Verdict, Want


@dataclass(frozen=True, kw_only=True)
class MessageRow:
    """The signed bytes of a notice or direction, kept as proof."""

    id: str
    channel: str
    issuer: str
    body: bytes
    sha256: str
    signature_input: str
    signature: str
    covered: Mapping[str, Any]
    """`{"method", "target", "headers": [[name, value], …]}`: what the worker needs to verify it again."""
    key_thumbprint: str
    created_at: int


@dataclass(frozen=True, kw_only=True)
class NoticeRow:
    id: str
    notice_id: str
    issuer: str
    message_id: str
    body_sha256: str
    issued_at: int
    category: str
    kind: str
    handling: Mapping[str, Any]
    deadline_at: int | None
    receipt: Mapping[str, Any]
    last_sequence: int
    created_at: int
    """When it was received; every deadline runs from here."""


@dataclass(frozen=True, kw_only=True)
class ItemRow:
    id: str
    notice: str
    item_id: str
    url: str
    canonical: str | None
    host: str
    status: ItemStatus
    reason: str | None
    status_at: int
    approved_by: str | None
    withdrawn_at: int | None
    iccam_at: int | None
    """When an ICCAM action was given; it is given once per item."""
    details: Mapping[str, Any]
    """Referrer, hashes, media type and the rest, as the notice gave them."""


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    item: ItemRow
    notice: NoticeRow
    case: str
    act: Act
    rank: int


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    id: str
    code: str
    adapter: str
    locator: bytes
    scope: bytes
    customer: str
    want: Want
    round: int
    revision: int
    """Grows with every change of claims, holds or decisions; an intent that depends on them names the one it saw."""
    observation: Mapping[str, Any] | None
    residual: tuple[str, ...]
    deadline_at: int | None
    blocked_at: int | None
    effective_at: int | None
    was_public: bool | None
    closed_at: int | None
    created_at: int


@dataclass(frozen=True, kw_only=True)
class CaseUrlRow:
    case: str
    url: str
    url_hmac: str
    way: Mapping[str, Any]
    """How it is reached and refused: `raw caches gates look_at any_query referrer aliases deny`."""
    verdict: Verdict
    checked_at: int | None
    looks: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class HoldRow:
    id: str
    case: str
    origin: str
    reference: str | None
    until_at: int | None
    released_at: int | None


@dataclass(frozen=True, kw_only=True)
class ActRow:
    """One outside act in the journal: intent, then receipt. `receipt` None: a crash may have come between."""

    op_id: str
    case: str
    track: Track
    kind: str
    target: str
    """The name of the adapter, gate or cache."""
    intent: Mapping[str, Any]
    begun_at: int
    receipt: Mapping[str, Any] | None
    ended_at: int | None
    result: str | None
    """`done`, `failed`, or `undone` once an unblock or allow took it back."""


@dataclass(frozen=True, kw_only=True)
class SealRow:
    id: str
    case: str
    round: int
    pin: str
    payload_ref: str
    header_ref: str
    sha256_plain_hmac: str
    sha256_sealed: str
    size_bytes: int
    manifest_ref: str | None
    hash_match: bool | None
    checked_at: int
    removed_at: int | None
    retention_until_at: int | None
    destroyed_at: int | None


@dataclass(frozen=True, kw_only=True)
class DecisionRow:
    """An act of a person, or a request that people must agree to."""

    id: str
    case: str | None
    item: str | None
    kind: str
    """`approve`, `refuse`, `release`, `retry`, `hold`, `release_hold`."""
    actor: str
    reason: str
    request_sha256: str
    state: str
    """`asked`, `approved`, `done`, `expired`, `refused`."""
    needs: int
    approvals: tuple[str, ...]
    expires_at: int | None
    created_at: int


@dataclass(frozen=True, kw_only=True)
class DirectionRow:
    id: str
    direction_id: str
    notice: str
    message_id: str
    kind: str
    items: tuple[str, ...] | None
    reason: str | None
    until_at: int | None
    reference: str | None
    issued_at: int
    applied_at: int | None


@dataclass(frozen=True, kw_only=True)
class EventRow:
    id: str
    notice: str
    item: str
    item_id: str
    sequence: int
    status: ItemStatus
    data: Mapping[str, Any]
    created_at: int
    delivered_at: int | None
    dead_at: int | None


@dataclass(frozen=True, kw_only=True)
class WorkRow:
    track: Track
    subject: str
    state: str
    due_at: int | None
    priority: int
    owner: str | None
    epoch: int
    nudges: int
    """Grows whenever somebody makes the row due; a step that did not see the newest nudge runs again at once."""
    attempts: int
    first_failed_at: int | None
    last_error: str | None
    stuck_from: str | None


@dataclass(frozen=True, kw_only=True)
class CaseView:
    """All that the tracks of one case decide upon, read in one transaction."""

    case: CaseRow
    claims: tuple[ClaimRow, ...]
    urls: tuple[CaseUrlRow, ...]
    holds: tuple[HoldRow, ...]
    acts: tuple[ActRow, ...]
    seals: tuple[SealRow, ...]
    decisions: tuple[DecisionRow, ...]
    exposure: WorkRow
    evidence: WorkRow


@dataclass(frozen=True, kw_only=True)
class NoticeView:
    """A notice with its items and what was said about it, read in one transaction."""

    notice: NoticeRow
    items: tuple[ItemRow, ...]
    directions: tuple[DirectionRow, ...]
    decisions: tuple[DecisionRow, ...]
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Item row id to the ids of its cases."""


@dataclass(frozen=True, kw_only=True)
class PauseRow:
    scope: str
    """`all`, `issuer:ID` or `adapter:NAME`."""
    actor: str
    since_at: int
