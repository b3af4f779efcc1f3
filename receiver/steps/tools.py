"""What the steps are given: ports, adapters and the operator's choices. `wiring` fills it; a reload swaps it whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from adapters.contract import CacheAdapter, GateAdapter, StorageAdapter
from receiver.domain.clock import Clock, to_micros
from receiver.domain.moves import move
from receiver.domain.outcome import Outcome
from receiver.domain.policy import IssuerPolicy, Policy
from receiver.domain.ports import Outside, Reads, Sender, Vault
from receiver.domain.rows import CaseView, MessageRow, NoticeView, WorkRow
from receiver.domain.want import standing
from receiver.resolution.protection import Protected
from receiver.resolution.routes import RouteTable
from receiver.steps.beside import Beside
from receiver.steps.early import EarlyLooks


@dataclass(frozen=True, kw_only=True)
class Tools:
    reads: Reads
    clock: Clock
    policy: Policy
    routes: RouteTable
    protected: Sequence[Protected]
    stores: Mapping[str, StorageAdapter]
    gates: Mapping[str, GateAdapter]
    caches: Mapping[str, CacheAdapter]
    vault: Vault
    outside: Outside
    sender_for: Callable[[str], Sender]
    """The sender for one issuer, by its id: it trusts that issuer's own certificate authority where one is set."""
    sign_callback: Callable[[str, Mapping[str, str], bytes], Mapping[str, str]]
    """URL, headers and body to the headers to send; a fresh signature each time."""
    verify_stored: Callable[[MessageRow], str | None]
    """Check a stored message's signature again; the reason it does not hold, or None."""
    compare_stored: Callable[[NoticeView, Mapping[str, MessageRow]], str | None]
    """Compare rows with the messages just verified, by id; what differs in a word, or None."""
    keyed_hash: Callable[[str], str]
    """HMAC under the data key, as hexadecimal text."""
    early: EarlyLooks
    beside: Beside
    may_act: Callable[[], bool] = lambda: True
    """False where another may hold this row by now: our sign of life is overdue, or was since the row was leased."""

    def now(self) -> int:
        return to_micros(self.clock.now())

    def issuer(self, issuer: str) -> IssuerPolicy:
        """An issuer that was taken out of the settings may do nothing any more."""
        return self.policy.issuers.get(issuer) or IssuerPolicy(id=issuer)


PAUSED_LOOK_SECONDS = 15


def pause_scopes(view: CaseView) -> tuple[str, ...]:
    """What may be paused to stop this case: its adapter; and an issuer, where nobody else asks for anything."""
    issuers = {claim.notice.issuer for claim in standing(view) or view.claims}
    alone = tuple(f"issuer:{issuer}" for issuer in issuers) if len(issuers) == 1 else ()
    return (f"adapter:{view.case.adapter}", *alone)


def paused(work: WorkRow, scopes: Collection[str], tools: Tools) -> Outcome | None:
    """Wait, where the operator paused one of these: nothing is begun, nothing is forgotten."""
    found = sorted({pause.scope for pause in tools.reads.pauses()} & {"all", *scopes})
    if not found:
        return None
    due = tools.now() + PAUSED_LOOK_SECONDS * 1_000_000
    waiting = replace(move(work, work.state, due_at=due), last_error=f"paused by the operator ({found[0]})")
    return Outcome(work=waiting)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step came to: the outcome to commit, and rows leased in it that can be worked on at once."""

    outcome: Outcome
    then: tuple[WorkRow, ...] = ()
