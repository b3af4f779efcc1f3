"""The evidence track, V1 to V5 of core-model §8: when to seal, what a seal proves, when the copy may go.

Pure. Restoring after a removal, export and destruction join here later; `vaulted` is where they start.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.contract import FreezeReceipt, Pin, RemoveReceipt, to_json
from receiver.domain.moves import as_it_was, move, stuck, try_again
from receiver.domain.outcome import CaseGuard, Insert, Outcome, Page, Table, Update, Wake
from receiver.domain.rows import ActRow, CaseView, ItemRow, NoticeRow, WorkRow
from receiver.domain.seals import SealResult
from receiver.domain.status import Act, Evidence, Exposure, ItemStatus, Track, Verdict, Want
from receiver.domain.telling import MICROS, Facts, facts_of, tell
from receiver.domain.want import MICROS_PER_DAY, held_blocks, held_since, live_acts, may_remove, standing
from receiver.quarantine.course import Context, Seen, observations, verdicts, worst
from receiver.quarantine.journal import Done, ended, failed, intend, last_block, pending

UNSTABLE_AFTER_ATTEMPTS = 5
SOON_SECONDS = 60
BARRED_SECONDS = 3600
"""What bars a removal wakes this track when it ends, but for a hold whose time runs out."""


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """One pin sealed and read back."""

    pin: Pin
    result: SealResult
    plain_hmac: str
    """Keyed hash of the plain SHA-256: a list of plain hashes would itself be sensitive."""


def sealed(
    ctx: Context, seals: Sequence[Sealed], manifest: SealResult, freeze: FreezeReceipt | None, wanted: Want
) -> Outcome:
    """V2: the bytes lie in the vault, read back and compared. Preserve-only issuers hear that it is sealed and up."""
    view = ctx.view
    rows = tuple(_seal_row(ctx, seal, manifest) for seal in seals)
    notes = tuple(
        ctx.note(
            "evidence.sealed",
            seal=seal.result.seal_id,
            sha256_sealed=seal.result.sha256_sealed,
            size_bytes=seal.result.size_bytes,
            frozen=freeze.promised if freeze else False,
        )
        for seal in seals
    )
    pages: tuple[Page, ...] = ()
    if any(row.values["hash_match"] is False for row in rows):
        pages = (
            Page(
                kind="evidence.hash_mismatch", subject=view.case.id, text="sealed bytes differ from the notice's hashes"
            ),
        )
    due = _remove_due(ctx)
    out = Outcome(
        work=move(view.evidence, Evidence.SEALED, due_at=due),
        changes=rows,
        notes=notes,
        pages=pages,
    )
    return preserved(ctx).plus(out) if wanted is Want.LEAVE else out


def held_in_place(ctx: Context, freeze: FreezeReceipt | None) -> Outcome:
    """V2 for hosts whose counsel wants no copy made: the block and the lock at the store are the evidence."""
    note = ctx.note("evidence.held_in_place", frozen=freeze.promised if freeze else False)
    return Outcome(work=move(ctx.view.evidence, Evidence.SEALED), notes=(note,))


def unpreserved(view: CaseView) -> bool:
    """Whether somebody who asked for a sealed copy alone has not heard that there is one."""
    return any(item.status is not ItemStatus.PRESERVED_LIVE for item, _ in _preserving(view))


def preserved(ctx: Context) -> Outcome:
    """Everybody who asked for a sealed copy alone hears that it lies in the vault."""
    facts = facts_of(ctx.view, ctx.now)
    return tell(_preserving(ctx.view), ItemStatus.PRESERVED_LIVE, now=ctx.now, policy=ctx.policy, facts=facts)


def nothing_to_preserve(ctx: Context, seen: Sequence[Seen]) -> Outcome:
    """X3 for who asked for a sealed copy alone: the store holds nothing. Said once no cache serves it either."""
    view = ctx.view
    if worst(seen) is not Verdict.GONE:
        words = "the store holds nothing to preserve, and from outside it is not seen gone"
        return try_again(view.evidence, words, now=ctx.now).plus(Outcome(changes=verdicts(seen, ctx.now)))
    facts = Facts(observations=observations(seen))
    told = tell(_preserving(view), ItemStatus.UNAVAILABLE, now=ctx.now, policy=ctx.policy, facts=facts)
    return told.plus(
        Outcome(
            work=move(view.evidence, Evidence.WAIT),
            changes=verdicts(seen, ctx.now),
            bumps=(view.case.id,),
            notes=(ctx.note("resource.absent"),),
            wakes=(Wake(track=Track.EXPOSURE, subject=view.case.id),),
        )
    )


def _preserving(view: CaseView) -> list[tuple[ItemRow, NoticeRow]]:
    """Nobody: where something of ours keeps it down already, for it is not left up then."""
    if live_acts(view, "block", "deny"):
        return []
    return [(c.item, c.notice) for c in standing(view) if c.act is Act.PRESERVE_ONLY]


def _seal_row(ctx: Context, seal: Sealed, manifest: SealResult) -> Insert:
    result = seal.result
    values = {
        "id": result.seal_id,
        "case": ctx.view.case.id,
        "round": ctx.view.case.round,
        "pin": seal.pin.value,
        "payload_ref": result.payload_ref,
        "header_ref": result.header_ref,
        "sha256_plain_hmac": seal.plain_hmac,
        "sha256_sealed": result.sha256_sealed,
        "size_bytes": result.size_bytes,
        "manifest_ref": manifest.payload_ref,
        "hash_match": compare_hashes(ctx.view, result),
        "checked_at": result.checked_at,
        "retention_until_at": ctx.now + ctx.policy.retention_days * MICROS_PER_DAY,
    }
    return Insert(table=Table.SEAL, values=values)


def compare_hashes(view: CaseView, result: SealResult) -> bool | None:
    """Whether the sealed bytes are those the issuers named; None where no issuer named a hash."""
    ours = {"sha256": result.sha256_plain, "md5": result.md5_plain, "sha1": result.sha1_plain}
    verdicts = [
        hmac.compare_digest(ours[name] or "", str(value).lower())
        for claim in standing(view)
        for name, value in (claim.item.details.get("hashes") or {}).items()
        if ours.get(name)
    ]
    return all(verdicts) if verdicts else None


def seal_changed(ctx: Context, words: str, pins: Sequence[Pin]) -> Outcome:
    """V3: the bytes moved under the seal. Try again with the pins found now; after five times a person is called."""
    view = ctx.view
    retry = try_again(view.evidence, words, now=ctx.now).plus(Outcome(changes=_holding(last_block(view), pins)))
    notes = (ctx.note("evidence.changed", attempts=view.evidence.attempts + 1),)
    pages: tuple[Page, ...] = ()
    if view.evidence.attempts + 1 == UNSTABLE_AFTER_ATTEMPTS:
        pages = (
            Page(kind="evidence.unstable", subject=view.case.id, text="the bytes keep changing while being sealed"),
        )
    return retry.plus(Outcome(notes=notes, pages=pages))


def _holding(block: ActRow | None, pins: Sequence[Pin]) -> tuple[Update, ...]:
    """The block as it stands now: these are the bytes it keeps from everybody, and those to seal."""
    if not pins or block is None or block.receipt is None:
        return ()
    receipt = {**block.receipt, "pins": [to_json(pin) for pin in pins]}
    return (Update(table=Table.ACT, where={"op_id": block.op_id}, values={"receipt": receipt}),)


def unsealed_blocks(view: CaseView) -> tuple[ActRow, ...]:
    """Blocks that hold and whose bytes have no seal yet, of whichever round."""
    known = {seal.pin for seal in view.seals}
    return tuple(act for act in held_blocks(view) if any(pin["value"] not in known for pin in _pins(act)))


def _pins(block: ActRow) -> Sequence[Mapping[str, Any]]:
    pins: Sequence[Mapping[str, Any]] = (block.receipt or {})["pins"]
    return pins


def consider_removal(ctx: Context, wanted: Want) -> Outcome:
    """V4: the point of no return, guarded by the case's revision in the intent's own transaction."""
    view = ctx.view
    allowed = may_remove(
        view,
        now=ctx.now,
        wanted=wanted,
        preserve=ctx.policy.preserve,
        remove_after_days=ctx.policy.remove_after_days,
    )
    intents = tuple(_remove_intent(ctx, act) for act in held_blocks(view))
    if not allowed or not intents or unsealed_blocks(view):
        return Outcome(work=move(view.evidence, Evidence.SEALED, due_at=_remove_due(ctx)))
    return Outcome(
        work=move(view.evidence, Evidence.REMOVE, keep=True),
        guard=CaseGuard(case=view.case.id, revision=view.case.revision),
        changes=intents,
        # So that a release decided upon the same reading loses against it, and the other way round.
        bumps=(view.case.id,),
        notes=(ctx.note("remove.intended"),),
    )


def _remove_intent(ctx: Context, block: ActRow) -> Insert:
    """Names the very seals that prove it."""
    pins = {pin["value"] for pin in _pins(block)}
    seals = [
        {
            "id": s.id,
            "pin": s.pin,
            "sha256_sealed": s.sha256_sealed,
            "size_bytes": s.size_bytes,
            "checked_at": s.checked_at,
        }
        for s in ctx.view.seals
        if s.pin in pins
    ]
    intent = {"block": block.op_id, "receipt": block.receipt, "seals": seals}
    return intend(ctx.view, "remove", ctx.view.case.adapter, intent, now=ctx.now, track=Track.EVIDENCE)


def removal_changed(
    ctx: Context, done: Sequence[tuple[Done, RemoveReceipt]], bad: Done, pins: Sequence[Pin]
) -> Outcome:
    """What we hold is not what was sealed: it stays, is sealed as it is now, and its removal is considered anew."""
    view = ctx.view
    if bad.error is None:
        raise ValueError("only a removal that failed comes here")
    block = next(act for act in view.acts if act.op_id == bad.act.intent["block"])
    rest = [act for act in pending(view, Track.EVIDENCE) if act.op_id not in {one.act.op_id for one, _ in done}]
    known = {seal.pin for seal in view.seals}
    if block != last_block(view) or all(pin.value in known for pin in pins):
        words = "what is held is not what was sealed, and the store shows nothing else to seal; it was not removed"
        halt = stuck(replace(view.evidence, state=Evidence.SEAL), f"{words}: {bad.error}", now=ctx.now)
        note = ctx.note("evidence.changed", op_id=bad.act.op_id)
        ends = Outcome(changes=tuple(failed(act, bad.error, now=ctx.now) for act in rest), notes=(note,))
        return halt.plus(_removed_rows(ctx, done)).plus(ends)
    words = "what is held changed after it was sealed; it was not removed, and is sealed again"
    retry = try_again(view.evidence, f"{words}: {bad.error}", now=ctx.now, state=Evidence.SEAL)
    again = Outcome(
        changes=(*(failed(act, bad.error, now=ctx.now) for act in rest), *_holding(block, pins)),
        notes=(ctx.note("evidence.changed", op_id=bad.act.op_id),),
        pages=(Page(kind="evidence.changed", subject=view.case.id, text=words),),
    )
    return retry.plus(_removed_rows(ctx, done)).plus(again)


def removed(ctx: Context, done: Sequence[tuple[Done, RemoveReceipt]]) -> Outcome:
    """V5: the customer's copies are gone, or stay unreachable for a stated reason."""
    view = ctx.view
    # Who joined since has not heard that it is down, and hears that first.
    live = [(c.item, c.notice) for c in standing(view) if c.item.status is ItemStatus.DISABLED]
    out = _removed_rows(ctx, done).plus(Outcome(work=move(view.evidence, Evidence.VAULTED)))
    if any(receipt.outcome != "removed" for _, receipt in done):
        return out
    return tell(live, ItemStatus.REMOVED, now=ctx.now, policy=ctx.policy, facts=facts_of(view, ctx.now)).plus(out)


def _removed_rows(ctx: Context, done: Sequence[tuple[Done, RemoveReceipt]]) -> Outcome:
    more = [text for _, receipt in done for text in receipt.residual]
    seals = {seal["id"] for one, _ in done for seal in one.act.intent["seals"]}
    return Outcome(
        changes=(
            *(ended(one, now=ctx.now) for one, _ in done),
            ctx.case(residual=list(dict.fromkeys([*ctx.view.case.residual, *more]))),
            *(Update(table=Table.SEAL, where={"id": seal}, values={"removed_at": ctx.now}) for seal in sorted(seals)),
        ),
        notes=tuple(ctx.note("resource.removed", outcome=r.outcome, reason=r.reason) for _, r in done),
    )


def stay(work: WorkRow) -> Outcome:
    """Woken with nothing to do."""
    return Outcome(work=as_it_was(work))


def evidence_broken(ctx: Context, words: str) -> Outcome:
    """X16 for this track: the content stays blocked, a person is called."""
    note = ctx.note("track.stuck", track="evidence", state=ctx.view.evidence.state)
    return stuck(ctx.view.evidence, words, now=ctx.now).plus(Outcome(notes=(note,)))


def _remove_due(ctx: Context) -> int | None:
    """When to consider removal; None where policy or an earlier answer says never by itself."""
    since = held_since(ctx.view)
    if ctx.policy.preserve != "sealed_copy" or since is None:
        return None
    at = since + ctx.policy.remove_after_days * MICROS_PER_DAY
    barred = ctx.view.exposure.state == Exposure.WATCH
    return max(at, ctx.now + (BARRED_SECONDS if barred else SOON_SECONDS) * MICROS)
