"""What the tools must do for the steps. Protocols only; `wiring` alone builds what fills them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from receiver.domain.outcome import CommitResult, Outcome
from receiver.domain.rows import (
    CaseRow,
    CaseView,
    DecisionRow,
    DirectionRow,
    EventRow,
    ItemRow,
    MessageRow,
    NoticeRow,
    NoticeView,
    PauseRow,
    WorkRow,
)
from receiver.domain.seals import SealedTogether, SealResult, ToSeal
from receiver.domain.status import Track
from receiver.domain.web import Look, LookTarget


@dataclass(frozen=True, kw_only=True)
class NonceRow:
    issuer: str
    nonce: str
    request_sha256: str
    """Of target, digest and signature input: the very same request again has the same."""
    status_path: str
    expires_at: int


@dataclass(frozen=True, kw_only=True)
class KeyOverlay:
    """What the database knows of a key beside its file; the stricter of the two wins."""

    issuer: str
    kid: str
    thumbprint: str
    state: str
    not_before: int | None
    not_after: int | None
    revoked_at: int | None


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What an issuer's notices made us do since a moment."""

    acts: int
    customers: int


@dataclass(frozen=True, kw_only=True)
class PageRow:
    id: str
    kind: str
    subject: str
    text: str
    count: int
    created_at: int
    last_at: int
    acknowledged_at: int | None
    acknowledged_by: str | None


@dataclass(frozen=True, kw_only=True)
class CaseLine:
    """A case in a list."""

    case: CaseRow
    exposure: str
    evidence: str
    last_error: str | None
    hosts: tuple[str, ...]
    issuers: tuple[str, ...]
    oldest_at: int


@dataclass(frozen=True, kw_only=True)
class ItemLine:
    """An item that a person must look at, with its notice."""

    item: ItemRow
    notice: NoticeRow
    cases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StoredEntry:
    id: str
    at: int
    kind: str
    subject: str
    actor_commit: bytes
    detail_commit: bytes
    leaf_hash: bytes
    seq: int | None
    detail: Mapping[str, Any] | None
    """`{"salt_actor", "actor", "salt_detail", "detail"}`; None once erased."""


@dataclass(frozen=True, kw_only=True)
class StoredCheckpoint:
    size: int
    note: str
    copies: tuple[str, ...]
    created_at: int


class Reads(Protocol):
    """Questions to the database. Each answers from one transaction."""

    def find_notice(self, issuer: str, notice_id: str) -> NoticeRow | None: ...
    def load_notice(self, notice: str) -> NoticeView: ...
    def load_message(self, message: str) -> MessageRow: ...
    def load_case(self, case: str) -> CaseView: ...
    def load_work(self, track: Track, subject: str) -> WorkRow | None: ...
    def find_open_case(self, adapter: str, locator: bytes) -> str | None: ...
    def case_has_url(self, case: str, url: str) -> bool: ...
    def find_case_by_code(self, code: str) -> str | None: ...
    def find_item(self, item: str) -> ItemLine | None: ...
    def find_direction(self, notice: str, direction_id: str) -> DirectionRow | None: ...
    def find_decision(self, decision: str) -> DecisionRow | None: ...
    def find_nonce(self, issuer: str, nonce: str) -> NonceRow | None: ...
    def find_received(self, issuer: str, nonce: str, notice_id: str) -> tuple[NonceRow | None, NoticeRow | None]:
        """`find_nonce` and `find_notice` in one question."""

    def find_key(self, issuer: str, kid: str) -> KeyOverlay | None: ...
    def events_of(self, notice: str) -> tuple[EventRow, ...]: ...
    def undelivered(self, notice: str, limit: int) -> tuple[EventRow, ...]:
        """In order of sequence, without the dead ones."""

    def sleeping_letters(self, issuers: Collection[str], *, after: str | None, limit: int) -> tuple[str, ...]:
        """Notices of these issuers with events that wait to be sent and that no work is due for; paged by id."""

    def late_notices(self, now: int, *, after: str | None, limit: int) -> tuple[str, ...]:
        """Notices past their deadline with an item that is not down and not final; paged by id."""

    def events_of_case(self, case: str) -> tuple[EventRow, ...]: ...
    def entries_about(self, subject: str, limit: int) -> tuple[StoredEntry, ...]: ...
    def spent_since(self, issuer: str, since_at: int) -> Spent:
        """Claims made and customers touched by this issuer's notices since then."""

    def pauses(self) -> tuple[PauseRow, ...]: ...
    def key_overlay(self) -> tuple[KeyOverlay, ...]: ...
    def list_cases(
        self, *, state: str | None, issuer: str | None, after: str | None, limit: int
    ) -> tuple[CaseLine, ...]:
        """Oldest first, paged by case id. `state` is an exposure state, or `open_` for all not closed."""

    def list_items(self, status: str, *, after: str | None, limit: int) -> tuple[ItemLine, ...]:
        """Items in one status, oldest first, paged by item row id."""

    def list_decisions(self, state: str, *, limit: int) -> tuple[DecisionRow, ...]: ...
    def dead_events(self, *, after: str | None, limit: int) -> tuple[EventRow, ...]: ...
    def stuck_work(self, limit: int) -> tuple[WorkRow, ...]: ...
    def open_pages(self, limit: int) -> tuple[PageRow, ...]: ...
    def last_paged(self, kind: str) -> Mapping[str, tuple[int, bool]]:
        """By subject: when a person was last called about it, and whether nobody acknowledged that."""

    def gauges(self) -> Mapping[str, float]:
        """Figures for metrics: `backlog{track}`, `oldest_due_seconds{track}`, dead letters, unsequenced entries."""


class LedgerStore(Protocol):
    """What the sequencer and the verifier need."""

    def pending_entries(self, limit: int) -> list[tuple[str, bytes]]: ...
    def count_unsequenced(self) -> int: ...
    def ledger_size(self) -> int: ...
    def tile(self, level: int, n: int) -> bytes | None: ...
    def append_to_ledger(
        self, first_seq: int, entries: Sequence[tuple[str, int]], tiles: Sequence[tuple[int, int, bytes]]
    ) -> None:
        """One transaction. Raises LedgerConflictError when the size is not `first_seq` any more."""

    def save_checkpoint(self, size: int, note: str) -> None: ...
    def last_checkpoint(self) -> StoredCheckpoint | None: ...
    def record_copy(self, size: int, copy_name: str) -> None: ...
    def iter_entries(self, first_seq: int, limit: int) -> list[StoredEntry]: ...


class Queue(Protocol):
    """The database as the queue: claims, leases and heartbeats, on the database's clock."""

    def now(self) -> int: ...
    def register_worker(self, node: str, slot: str, boot: str, pid: int, config_sha256: str) -> str:
        """Returns the worker id and expires an earlier boot of the same node and slot at once."""

    def beat(self, worker: str) -> None: ...
    def retire_worker(self, worker: str) -> None: ...
    def claim(self, worker: str, track: Track, priority: int, limit: int) -> list[WorkRow]:
        """Lease rows of one class that are due and not held by a live worker (seen within 10 s)."""

    def leases_of(self, worker: str) -> frozenset[tuple[Track, str, int]]:
        """Track, subject and epoch of every row this worker holds."""

    def give_back(self, worker: str, leases: Collection[tuple[Track, str, int]]) -> int:
        """Free rows that were leased to us and that nobody here works on."""

    def due_by_class(self, classes: Sequence[tuple[Track, int]]) -> tuple[int, Mapping[tuple[Track, int], int]]:
        """The database's time, and when in each class the next unleased row falls due, in one look without a lock."""

    def commit(self, outcomes: Sequence[Outcome]) -> list[CommitResult]:
        """One transaction, a savepoint each; a ConflictError or LostLeaseError rolls back its own outcome alone.

        Raises StoreUnavailableError when nothing could be written.
        """

    def sweep_done(self, name: str) -> None: ...
    def sweep_ages(self) -> Mapping[str, int]: ...
    def purge_nonces(self, before_at: int) -> int: ...


class Store(Reads, LedgerStore, Queue, Protocol):
    """The whole database."""


class Vault(Protocol):
    def seal_all(
        self, objects: Sequence[ToSeal], name: str, manifest: Callable[[Sequence[SealResult]], bytes]
    ) -> SealedTogether:
        """Each object in one pass, then the manifest made of their results: durable, read back, decrypted, compared.

        Only its result allows a removal. When it raises, none of it may be relied on.
        """

    def check_seal(self, payload_ref: str, sha256_sealed: str) -> bool:
        """Whether the sealed bytes read back are those that were sealed."""

    def check_header(self, header_ref: str) -> bool:
        """Whether every header store still holds this header."""

    def probe(self) -> tuple[str, ...]: ...


class Outside(Protocol):
    def look(self, target: LookTarget) -> tuple[Look, ...]:
        """One look at every address of the host. Never raises for what the other side does."""


@dataclass(frozen=True, kw_only=True)
class SentResponse:
    status: int
    headers: Mapping[str, str]
    body: bytes
    address: str


class Sender(Protocol):
    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, allow_private: bool = False) -> SentResponse:
        """To a fixed address, without redirects, in 15 s at most. Raises SendError of the net room's family."""


class Committer(Protocol):
    """One thread per process takes outcomes from all others and writes them together."""

    def submit(self, outcome: Outcome) -> CommitResult:
        """Wait until it is durable. Raises ConflictError, LostLeaseError or StoreUnavailableError."""


class LedgerCopies(Protocol):
    def append(self, note: str) -> tuple[str, ...]:
        """Put a checkpoint where this host cannot rewrite it; returns the names of the copies that took it."""

    def names(self) -> Iterator[str]: ...
