"""The evidence track, acted: bytes go store → hash → seal → vault, and nobody decodes them on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from adapters.contract import (
    AdapterError,
    BlockReceipt,
    Changed,
    FreezeReceipt,
    NotFound,
    Origin,
    Pin,
    Presence,
    RemoveReceipt,
    Retryable,
    SealProof,
    StorageAdapter,
    Unsupported,
    from_json,
    to_json,
)
from receiver.domain.canonical import canonical_json
from receiver.domain.causes import at
from receiver.domain.errors import VaultError
from receiver.domain.ids import new_id
from receiver.domain.moves import move, same_lease, try_again
from receiver.domain.outcome import Outcome
from receiver.domain.rows import ActRow, CaseView, WorkRow
from receiver.domain.seals import SealResult, ToSeal
from receiver.domain.status import URL_ADAPTER, Evidence, Track, Want
from receiver.domain.want import held_blocks, want
from receiver.quarantine import evidence as decide
from receiver.quarantine.course import Context
from receiver.quarantine.evidence import Sealed
from receiver.quarantine.journal import Done, pending
from receiver.steps.hands import at_store, look_at, must_act, ref_of, store_of
from receiver.steps.tools import Step, Tools, pause_scopes, paused

STILL_HELD = frozenset({Origin.BLOCKED, Origin.LEAKING})
CONTEXT_WINDOW_SECONDS = 30 * 86_400
"""How far back the account context looks; hosts rarely keep access logs longer."""


def evidence(work: WorkRow, tools: Tools) -> Step:
    """One step of the evidence track."""
    view = tools.reads.load_case(work.subject)
    same_lease(work, view.evidence)
    ctx = Context(view=view, now=tools.now(), policy=tools.policy)
    wanted = want(view, now=ctx.now, keep_up_decide_minutes=tools.policy.keep_up_decide_minutes)
    # A stuck row waits for a person anyway, and where it stood must not be forgotten.
    pause = None if view.evidence.state == Evidence.STUCK else paused(view.evidence, pause_scopes(view), tools)
    if pause is not None:
        return Step(outcome=pause)
    try:
        return Step(outcome=STATES[Evidence(view.evidence.state)](ctx, wanted, tools))
    except Changed as exc:
        return Step(outcome=decide.seal_changed(ctx, str(exc), _new_pins(view, tools)))
    except Retryable as exc:
        words = at_store(view, exc)
        return Step(outcome=try_again(view.evidence, words, now=tools.now(), after_seconds=exc.after_seconds))
    except VaultError as exc:
        return Step(outcome=try_again(view.evidence, at("vault", str(exc)), now=tools.now()))
    except AdapterError as exc:
        if isinstance(exc, NotFound) and view.evidence.state == Evidence.SEAL:
            # A release may have taken the block back meanwhile; the next look finds nothing to seal then.
            return Step(outcome=decide.seal_changed(ctx, str(exc), ()))
        return Step(outcome=decide.evidence_broken(ctx, at_store(view, exc)))


def _wait(ctx: Context, wanted: Want, tools: Tools) -> Outcome:
    """X2 wakes it from here. A round that began by a cache alone has no block to come: the old one still holds."""
    del wanted, tools
    held = bool(held_blocks(ctx.view))
    return Outcome(work=move(ctx.view.evidence, Evidence.SEAL if held else Evidence.WAIT, keep=held))


def _seal(ctx: Context, wanted: Want, tools: Tools) -> Outcome:
    view = ctx.view
    if view.case.adapter == URL_ADAPTER:
        return Outcome(work=move(view.evidence, Evidence.WAIT))
    store = store_of(view, tools)
    # First, since logs rotate in days and the bytes are held by the block.
    context = store.context(view.case.customer, ref_of(view), CONTEXT_WINDOW_SECONDS)
    freeze: FreezeReceipt | None = None
    blocks = [from_json(BlockReceipt, dict(a.receipt)) for a in decide.unsealed_blocks(view) if a.receipt]
    if blocks:
        must_act(tools)
        freezes = [store.freeze(ref_of(view), receipt) for receipt in blocks]
        freeze = freezes[-1]
    if ctx.policy.preserve == "in_place":
        return decide.held_in_place(ctx, freeze)
    if not blocks and wanted is Want.LEAVE:
        pins = list(store.observe(ref_of(view)).pins)
    else:
        pins = [pin for receipt in blocks for pin in receipt.pins]
    _refuse_too_large(view, pins, tools)
    known = {seal.pin for seal in view.seals}
    missing = [pin for pin in pins if pin.value not in known]
    if not pins and wanted is Want.LEAVE:
        return decide.nothing_to_preserve(ctx, look_at(view, tools, denying=False))
    if not missing:
        told = decide.preserved(ctx) if pins and wanted is Want.LEAVE else Outcome()
        return told.plus(decide.consider_removal(ctx, wanted))
    objects = [_to_seal(pin, view, store, tools) for pin in missing]
    together = tools.vault.seal_all(
        objects,
        f"{objects[0].seal_id}-manifest",
        lambda results: _manifest(ctx, zip(missing, results, strict=True), freeze, context, tools),
    )
    seals = [
        Sealed(pin=pin, result=result, plain_hmac=tools.keyed_hash(result.sha256_plain))
        for pin, result in zip(missing, together.seals, strict=True)
    ]
    return decide.sealed(ctx, seals, together.manifest, freeze, wanted)


def _new_pins(view: CaseView, tools: Tools) -> tuple[Pin, ...]:
    """Where a store cannot freeze, the blocked bytes may change: what stands there now is what must be sealed."""
    try:
        seen = store_of(view, tools).observe(ref_of(view))
    except AdapterError:
        return ()
    return seen.pins if seen.presence is Presence.BLOCKED else ()


def _to_seal(pin: Pin, view: CaseView, store: StorageAdapter, tools: Tools) -> ToSeal:
    @contextmanager
    def reading() -> Iterator[Callable[[int], bytes]]:
        with store.open(ref_of(view), pin) as reader:
            yield _bounded(reader.read, tools.policy.max_seal_bytes)

    return ToSeal(seal_id=new_id(), open=reading)


def _refuse_too_large(view: CaseView, pins: Sequence[Pin], tools: Tools) -> None:
    """A file may claim any size and hold only zeros; it stays blocked, and the vault's disk stays free for others."""
    wanted = {pin.value for pin in pins}
    versions = (view.case.observation or {}).get("versions") or []
    size_bytes = sum(v["size_bytes"] for v in versions if v["pin"]["value"] in wanted)
    if size_bytes > tools.policy.max_seal_bytes:
        raise _too_large(tools.policy.max_seal_bytes)


def _bounded(read: Callable[[int], bytes], max_bytes: int) -> Callable[[int], bytes]:
    """The same for what grows, or was not measured, as it is read."""
    left = max_bytes

    def bounded(size: int) -> bytes:
        nonlocal left
        data = read(size)
        left -= len(data)
        if left < 0:
            raise _too_large(max_bytes)
        return data

    return bounded


def _too_large(max_bytes: int) -> Unsupported:
    return Unsupported(f"sealing more than {max_bytes // 1024**3} GiB; raise vault.max_seal_gib, then retry the case")


def _manifest(
    ctx: Context,
    seals: Iterable[tuple[Pin, SealResult]],
    freeze: FreezeReceipt | None,
    context: Mapping[str, Any],
    tools: Tools,
) -> bytes:
    """Where it was, what it was, who asked: sealed too, since names and hashes of such material are sensitive."""
    view = ctx.view
    messages = {c.notice.message_id: tools.reads.load_message(c.notice.message_id) for c in view.claims}
    manifest = {
        "schema": "takedown-evidence-manifest/1",
        "case": view.case.code,
        "round": view.case.round,
        "adapter": view.case.adapter,
        "locator": view.case.locator,
        "customer": view.case.customer,
        "urls": [url.way["raw"] for url in view.urls],
        "observation": view.case.observation,
        "blocks": [act.receipt for act in view.acts if act.kind == "block"],
        "freeze": to_json(freeze) if freeze else None,
        "context": context,
        "seals": [_facts(pin, result) for pin, result in seals],
        "messages": [asdict(message) for message in messages.values()],
        "sealed_at": ctx.now,
    }
    return canonical_json(manifest)


def _facts(pin: Pin, result: SealResult) -> dict[str, Any]:
    return {"pin": pin.value, "weak_pin": pin.weak, **asdict(result)}


def _sealed(ctx: Context, wanted: Want, tools: Tools) -> Outcome:
    del tools
    joined = wanted is Want.LEAVE and decide.unpreserved(ctx.view)
    if decide.unsealed_blocks(ctx.view) or joined:
        return Outcome(work=move(ctx.view.evidence, Evidence.SEAL, keep=True))
    return decide.consider_removal(ctx, wanted)


def _vaulted(ctx: Context, wanted: Want, tools: Tools) -> Outcome:
    """Removed; what was uploaded and blocked since has to be sealed of its own."""
    if ctx.policy.preserve == "sealed_copy" and decide.unsealed_blocks(ctx.view):
        return Outcome(work=move(ctx.view.evidence, Evidence.SEAL, keep=True))
    return _still(ctx, wanted, tools)


def _remove(ctx: Context, wanted: Want, tools: Tools) -> Outcome:
    """V5: past the point of no return; a crash in between is finished with the same op_id."""
    del wanted
    view = ctx.view
    bad = _bad_seals(view, tools)
    if bad:
        return decide.evidence_broken(ctx, f"{bad} seal(s) do not read back; nothing was removed")
    done: list[tuple[Done, RemoveReceipt]] = []
    for act in pending(view, Track.EVIDENCE):
        try:
            done.append(_remove_one(act, view, tools))
        except Changed as exc:
            seen = store_of(view, tools).observe(ref_of(view))
            pins = seen.pins if seen.presence is Presence.BLOCKED else ()
            return decide.removal_changed(ctx, done, Done(act=act, error=exc), pins)
    if not done:
        raise ValueError("a removal has its intents before it begins")
    return decide.removed(ctx, done)


def _bad_seals(view: CaseView, tools: Tools) -> int:
    """Seals that the removal rests on and that do not read back whole: the last look before the copy goes."""
    named = {seal["id"] for act in pending(view, Track.EVIDENCE) for seal in act.intent["seals"]}
    seals = [seal for seal in view.seals if seal.id in named]
    whole = [
        tools.vault.check_seal(s.payload_ref, s.sha256_sealed) and tools.vault.check_header(s.header_ref) for s in seals
    ]
    return len(named) - sum(whole)


def _remove_one(act: ActRow, view: CaseView, tools: Tools) -> tuple[Done, RemoveReceipt]:
    receipt = from_json(BlockReceipt, act.intent["receipt"])
    seals = act.intent["seals"]
    proof = SealProof(
        seal_id=seals[0]["id"],
        pins=receipt.pins,
        sha256_sealed=seals[0]["sha256_sealed"],
        size_bytes=sum(seal["size_bytes"] for seal in seals),
        checked_at=min(seal["checked_at"] for seal in seals),
    )
    store = store_of(view, tools)
    must_act(tools)
    result = store.remove(ref_of(view), proof, receipt, act.op_id)
    # What a store says of itself is not enough to tell an issuer that the copy is gone.
    if result.outcome == "removed" and store.origin_state(ref_of(view), receipt).origin in STILL_HELD:
        raise Retryable("the store says that it removed the copy and still holds it")
    return Done(act=act, receipt=to_json(result)), result


def _still(ctx: Context, wanted: Want, tools: Tools) -> Outcome:
    """Nothing to do by itself; what was known of trouble stays."""
    del wanted, tools
    work = ctx.view.evidence
    return decide.stay(work)


State = Callable[[Context, Want, Tools], Outcome]
STATES: Mapping[Evidence, State] = {
    Evidence.WAIT: _wait,
    Evidence.SEAL: _seal,
    Evidence.SEALED: _sealed,
    Evidence.REMOVE: _remove,
    Evidence.VAULTED: _vaulted,
    Evidence.STUCK: _still,
}
