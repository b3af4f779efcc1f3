"""What the exposure track's decisions share: the case as read, who hears of it, and the moves that end in waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from receiver.domain.causes import at
from receiver.domain.moves import stuck, try_again
from receiver.domain.outcome import LedgerNote, Outcome, Table, Update, Wake
from receiver.domain.policy import Policy
from receiver.domain.rows import CaseUrlRow, CaseView, ClaimRow, ItemRow, NoticeRow
from receiver.domain.status import (
    DOWN,
    UNCONFIRMED,
    Evidence,
    Exposure,
    ItemStatus,
    Track,
    Verdict,
)
from receiver.domain.telling import facts_of, tell
from receiver.domain.want import standing
from receiver.quarantine.journal import (
    Done,
    ended,
)

MICROS = 1_000_000
ACTOR = "worker"


@dataclass(frozen=True, kw_only=True)
class Context:
    """The case as read, the time, and the operator's choices."""

    view: CaseView
    now: int
    policy: Policy

    def note(self, kind: str, **detail: Any) -> LedgerNote:
        return LedgerNote(
            kind=kind, subject=self.view.case.id, actor=ACTOR, detail={"code": self.view.case.code, **detail}
        )

    def case(self, **values: Any) -> Update:
        return Update(table=Table.CASE, where={"id": self.view.case.id}, values=values)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One case URL looked at: the verdict over all looks, and the looks as they will be kept."""

    url: CaseUrlRow
    verdict: Verdict
    looks: tuple[Mapping[str, Any], ...]


def tellable(view: CaseView) -> tuple[tuple[ItemRow, NoticeRow], ...]:
    """Items that hear of the case: those that stand, but for the ones a person has still to decide."""
    return tuple((c.item, c.notice) for c in standing(view) if not _undecided(c))


def _undecided(claim: ClaimRow) -> bool:
    return claim.item.status is ItemStatus.REVIEW and claim.item.approved_by is None


def untold(view: CaseView) -> bool:
    """Whether somebody who asked has not heard that it is down."""
    return any(item.status not in DOWN for item, _ in tellable(view))


def worst(seen: Sequence[Seen]) -> Verdict:
    """Up before unclear before gone; without any look it is unclear."""
    verdicts = {s.verdict for s in seen}
    if Verdict.UP in verdicts:
        return Verdict.UP
    return Verdict.GONE if verdicts == {Verdict.GONE} else Verdict.INCONCLUSIVE


def verdicts(seen: Sequence[Seen], now: int) -> tuple[Update, ...]:
    return tuple(
        Update(
            table=Table.CASE_URL,
            where={"case": s.url.case, "url_hmac": s.url.url_hmac},
            values={"verdict": s.verdict.value, "checked_at": now, "looks": [dict(look) for look in s.looks]},
        )
        for s in seen
    )


def observations(seen: Sequence[Seen]) -> list[Mapping[str, Any]]:
    return [look for s in seen for look in s.looks]


def merged(before: tuple[str, ...], more: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*before, *more]))


def gate_residual(done: Sequence[Done]) -> list[str]:
    """What the gates that answered cannot refuse."""
    return [text for d in done if d.act.kind == "deny" for text in (d.receipt or {}).get("residual", ())]


def told_of(ctx: Context, done: Sequence[Done]) -> tuple[LedgerNote, ...]:
    """The entries of denies and purges that came through in this step."""
    denies = [d.act for d in done if d.act.kind == "deny"]
    purges = [d.act.target for d in done if d.act.kind == "purge" and not d.pending]
    denied = ctx.note("url.denied", gates=[a.target for a in denies], op_ids=[a.op_id for a in denies])
    purged = ctx.note("caches.purged", caches=purges)
    return (*((denied,) if denies else ()), *((purged,) if purges else ()))


def came_through(ctx: Context, done: Sequence[Done]) -> Outcome:
    """The receipts of acts that ended beside what a state is about, with all that is known by them."""
    residual = gate_residual(done)
    changes = (ctx.case(residual=merged(ctx.view.case.residual, residual)),) if residual else ()
    return Outcome(changes=(*kept(ctx, done), *changes), notes=told_of(ctx, done))


def kept(ctx: Context, done: Sequence[Done]) -> tuple[Update, ...]:
    """The receipts of acts whose state is left for another reason."""
    return tuple(ended(d, now=ctx.now) for d in done)


def start_sealing(ctx: Context) -> Outcome:
    """X18 and X2: evidence starts; for `leave` nothing else is touched."""
    wake = Wake(track=Track.EVIDENCE, subject=ctx.view.case.id, state=Evidence.SEAL, from_state=Evidence.WAIT)
    return Outcome(wakes=(wake,))


def new_evidence(view: CaseView) -> tuple[Wake, ...]:
    """A new round has bytes of its own to seal."""
    return (Wake(track=Track.EVIDENCE, subject=view.case.id, state=Evidence.WAIT, from_state=Evidence.SEALED),)


def watch_started(view: CaseView, now: int) -> int:
    return watch_start(view, now, fresh=False)


def watch_start(view: CaseView, now: int, *, fresh: bool) -> int:
    """The watch runs from the last time somebody was told that it is down."""
    told = [item.status_at for item, _ in tellable(view) if item.status in DOWN]
    return now if fresh else max(told, default=view.case.effective_at or now)


def overdue(ctx: Context) -> Outcome:
    """What the issuer hears, once, when it takes longer than the time set; work goes on, and `engine.alarms` calls."""
    view = ctx.view
    since = view.case.blocked_at or view.case.created_at
    waiting = [(i, n) for i, n in tellable(view) if i.status is not ItemStatus.FAILED and i.status not in DOWN]
    if not waiting or ctx.now < since + ctx.policy.confirm_within_seconds * MICROS:
        return Outcome()
    told = tell(
        waiting, ItemStatus.FAILED, now=ctx.now, policy=ctx.policy, reason=UNCONFIRMED, facts=facts_of(view, ctx.now)
    )
    return told.plus(Outcome(notes=(ctx.note("seen.unclear"),)))


def unclear(ctx: Context, changes: tuple[Any, ...], state: Exposure) -> Outcome:
    """X9: no clear answer from outside is never `gone`; past the set time the issuer and a person hear so, once."""
    words = at(f"outside {ctx.view.case.adapter}", "no clear answer")
    retry = try_again(ctx.view.exposure, words, now=ctx.now, state=state)
    return Outcome(changes=changes).plus(overdue(ctx)).plus(retry)


def waiting(ctx: Context, done: Sequence[Done], words: str, after_seconds: float) -> Outcome:
    """The other side is away: keep what was done, stay, and come back."""
    kept = Outcome(changes=tuple(ended(d, now=ctx.now) for d in done)).plus(overdue(ctx))
    return kept.plus(try_again(ctx.view.exposure, words, now=ctx.now, after_seconds=after_seconds))


def broken(ctx: Context, done: Sequence[Done], words: str) -> Outcome:
    """X15, X16: a person is needed; the issuer hears `failed`, and why in one word."""
    view = ctx.view
    return (
        Outcome(changes=tuple(ended(d, now=ctx.now) for d in done))
        .plus(tell_stuck(ctx))
        .plus(stuck(view.exposure, words, now=ctx.now))
        .plus(Outcome(notes=(ctx.note("track.stuck", track="exposure", state=view.exposure.state),)))
    )


def tell_stuck(ctx: Context) -> Outcome:
    """`failed` for everybody who has not heard that it is down; who joins later hears it too."""
    view = ctx.view
    unheard = [(i, n) for i, n in tellable(view) if i.status not in DOWN]
    return tell(
        unheard, ItemStatus.FAILED, now=ctx.now, policy=ctx.policy, reason="stuck", facts=facts_of(view, ctx.now)
    )
