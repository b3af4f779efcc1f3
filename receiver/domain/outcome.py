"""A step is a value: what a stage decided, for `Store.commit` to write.

Nothing else writes tracks, events or ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from receiver.domain.entry import LedgerNote
from receiver.domain.status import ItemStatus, Track

__all__ = [
    "CaseGuard",
    "Insert",
    "LedgerNote",
    "NewEvent",
    "Outcome",
    "Page",
    "SpendGuard",
    "Table",
    "Update",
    "Wake",
    "WorkMove",
]


class Table(StrEnum):
    """Tables that outcomes write by row; `work`, `entry`, new pages and new events have forms of their own below."""

    MESSAGE = "message"
    NONCE = "nonce"
    NOTICE = "notice"
    ITEM = "item"
    CLAIM = "claim"
    CASE = "case_"
    CASE_URL = "case_url"
    HOLD = "hold"
    ACT = "act"
    SEAL = "seal"
    DECISION = "decision"
    DIRECTION = "direction"
    EVENT = "event"
    WORK = "work"
    PAUSE = "pause"
    PAGE = "page"
    ISSUER_KEY = "issuer_key"
    ADMIN_USER = "admin_user"
    SESSION = "session"
    API_TOKEN = "api_token"  # noqa: S105 - a table's name


@dataclass(frozen=True, kw_only=True)
class Insert:
    """A new row. A broken UNIQUE makes the whole outcome fail with ConflictError."""

    table: Table
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Update:
    """Change the row that `where` names. Unless `optional`, exactly one row must match, else ConflictError."""

    table: Table
    where: Mapping[str, Any]
    values: Mapping[str, Any]
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class WorkMove:
    """What becomes of the leased row. `keep` holds the lease for the next step; else it is given back."""

    track: Track
    subject: str
    owner: str
    epoch: int
    nudges: int
    """As seen at the claim: were there more since, the row is due at once whatever `due_at` says."""
    state: str
    due_at: int | None
    priority: int
    keep: bool = False
    attempts: int = 0
    first_failed_at: int | None = None
    last_error: str | None = None
    stuck_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wake:
    """Make a row due now, inserting it when there is none. Never takes a lease away."""

    track: Track
    subject: str
    state: str | None = None
    """The state of a row that has to be inserted, or the state to move an existing row to when `from_state` fits."""
    from_state: str | None = None
    priority: int | None = None
    due_at: int | None = None
    """None: now, on the database's clock."""


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """One change of an item's status, for its issuer. Gets the notice's next sequence number and wakes `deliver`."""

    notice: str
    item: str
    item_id: str
    status: ItemStatus
    data: Mapping[str, Any]
    delivered: bool = False
    """True for `received`, which the signed receipt tells."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A call to a person. `key` makes it the same page when it is raised again before somebody acknowledged it."""

    kind: str
    subject: str
    text: str


@dataclass(frozen=True, kw_only=True)
class CaseGuard:
    """The outcome holds only if the case still has this revision; the row is locked while it is written."""

    case: str
    revision: int


@dataclass(frozen=True, kw_only=True)
class SpendGuard:
    """The outcome holds only while it keeps within what its issuer may do in an hour, whatever others wrote meanwhile.

    `seen_…` is what it was decided upon, `more_…` what it adds without a person's yes.
    """

    issuer: str
    since_at: int
    seen_acts: int
    seen_customers: int
    more_acts: int
    more_customers: int
    max_acts: int
    max_customers: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All or nothing, in one savepoint. Lock order: case, work, notices by id, items."""

    work: WorkMove | None = None
    guard: CaseGuard | None = None
    spends: SpendGuard | None = None
    changes: tuple[Insert | Update, ...] = ()
    bumps: tuple[str, ...] = ()
    """Cases whose claims, holds or decisions this changes: their revision grows by one."""
    events: tuple[NewEvent, ...] = ()
    notes: tuple[LedgerNote, ...] = ()
    wakes: tuple[Wake, ...] = ()
    pages: tuple[Page, ...] = ()

    def plus(self, other: Outcome) -> Outcome:
        """Both in one transaction; the other's work move and guard win where it has them."""
        return Outcome(
            work=other.work or self.work,
            guard=other.guard or self.guard,
            spends=other.spends or self.spends,
            changes=self.changes + other.changes,
            bumps=self.bumps + other.bumps,
            events=self.events + other.events,
            notes=self.notes + other.notes,
            wakes=self.wakes + other.wakes,
            pages=self.pages + other.pages,
        )

    def moved(self, move: WorkMove) -> Outcome:
        return replace(self, work=move)


@dataclass(frozen=True, kw_only=True)
class CommitResult:
    """How one outcome of a batch fared."""

    error: Exception | None = None
    sequences: Mapping[str, int] = field(default_factory=dict)
