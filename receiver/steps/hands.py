"""The hands: one pending act to one call of an adapter, one case URL to one look. No decisions here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

from adapters.contract import (
    AdapterError,
    BlockReceipt,
    CacheHints,
    GateReceipt,
    Observation,
    PurgeStatus,
    PurgeTicket,
    Ref,
    Retryable,
    StorageAdapter,
    from_json,
    to_json,
)
from receiver.domain.causes import at
from receiver.domain.clock import rfc3339
from receiver.domain.errors import LostLeaseError
from receiver.domain.rows import ActRow, CaseUrlRow, CaseView
from receiver.domain.want import live_acts
from receiver.domain.web import Look, LookTarget, combine
from receiver.quarantine.course import Seen
from receiver.quarantine.journal import Done, deny_targets
from receiver.resolution.urls import canonical_url
from receiver.steps.tools import Tools

T = TypeVar("T")
AWAY_SECONDS = 30.0
PURGE_GRACE_SECONDS = 600
"""Beyond the vendor's own promise, or from the start where it makes none."""


def perform_all(acts: Sequence[ActRow], view: CaseView, tools: Tools, *, wait_for_gates: bool) -> list[Done]:
    """Do what is pending: every deny beside the rest, and the rest in order up to its first failure.

    A deny whose gate has not answered by then stays pending where nobody waits for it; the next step takes the answer.
    """
    denies = [act for act in acts if act.kind == "deny"]
    for deny in denies:
        tools.beside.begin(deny.op_id, partial(perform, deny, view, tools))
    done: list[Done] = []
    for act in acts:
        if act.kind == "deny" or any(one.error is not None for one in done):
            continue
        done.append(perform(act, view, tools))
    answers = [tools.beside.take(deny.op_id, wait=wait_for_gates) for deny in denies]
    return [*(answer for answer in answers if answer is not None), *done]


def perform(act: ActRow, view: CaseView, tools: Tools) -> Done:
    """One act, safe to repeat: the adapter knows it by its op_id. Raises LostLeaseError where we may not act."""
    must_act(tools)
    try:
        return ACTS[act.kind](act, view, tools)
    except AdapterError as exc:
        return Done(act=act, error=exc)


def must_act(tools: Tools) -> None:
    """Right before an act. Raises LostLeaseError."""
    if not tools.may_act():
        raise LostLeaseError("no sign of life could be given; another worker may hold this row")


def _named(adapters: Mapping[str, T], name: str) -> T:
    """A case outlives settings: what it needs may have been taken out of them."""
    try:
        return adapters[name]
    except KeyError:
        raise Retryable(f"nothing is configured under the name {name}", after_seconds=AWAY_SECONDS) from None


def store_of(view: CaseView, tools: Tools) -> StorageAdapter:
    return _named(tools.stores, view.case.adapter)


def at_store(view: CaseView, error: Exception, *, doing: str | None = None) -> str:
    """Trouble at the case's store, in the words by which people are called once for all that wait for it."""
    return at(f"store {view.case.adapter}", f"{doing}: {error}" if doing else str(error))


def at_target(act: ActRow, trouble: Exception | str) -> str:
    """The same for whatever an act is done at."""
    return at(f"{_SORTS.get(act.kind, 'store')} {act.target}", f"{act.kind}: {trouble}")


_SORTS = {"deny": "gate", "allow": "gate", "purge": "cache"}


def ref_of(view: CaseView) -> Ref:
    return Ref(locator=view.case.locator, scope=view.case.scope)


def _deny(act: ActRow, view: CaseView, tools: Tools) -> Done:
    del view
    receipt = _named(tools.gates, act.target).deny(deny_targets(act), act.op_id)
    return Done(act=act, receipt=to_json(receipt))


def _allow(act: ActRow, view: CaseView, tools: Tools) -> Done:
    del view
    _named(tools.gates, act.target).allow(from_json(GateReceipt, act.intent["receipt"]))
    return Done(act=act, receipt={})


def _block(act: ActRow, view: CaseView, tools: Tools) -> Done:
    seen = from_json(Observation, act.intent["observation"])
    return Done(act=act, receipt=to_json(store_of(view, tools).block(ref_of(view), seen, act.op_id)))


def _unblock(act: ActRow, view: CaseView, tools: Tools) -> Done:
    receipt = from_json(BlockReceipt, act.intent["receipt"])
    return Done(act=act, receipt=to_json(store_of(view, tools).unblock(ref_of(view), receipt)))


def _purge(act: ActRow, view: CaseView, tools: Tools) -> Done:
    cache = _named(tools.caches, act.target)
    ticket, status = None, PurgeStatus.UNKNOWN
    if act.receipt is not None:
        ticket = from_json(PurgeTicket, dict(act.receipt))
        status = cache.status(ticket)
        if status is PurgeStatus.PENDING and tools.now() > _promised(act, ticket):
            status = PurgeStatus.UNKNOWN
    if ticket is None or status in (PurgeStatus.FAILED, PurgeStatus.UNKNOWN):
        # Vendors take the same name for the same purge, so one that failed is asked for under another.
        again = f"{act.op_id}-{view.exposure.attempts}" if ticket is not None else act.op_id
        ticket = cache.purge(_keys(act, view, tools), again)
        status = ticket.status
    if status is PurgeStatus.FAILED:
        raise Retryable("the cache did not purge", after_seconds=1)
    return Done(act=act, receipt=to_json(ticket), pending=status is not PurgeStatus.DONE)


def _promised(act: ActRow, ticket: PurgeTicket) -> int:
    """When a purge that is still pending is given up and asked for anew."""
    return (ticket.promised_at or act.begun_at) + PURGE_GRACE_SECONDS * 1_000_000


def _keys(act: ActRow, view: CaseView, tools: Tools) -> tuple[Any, ...]:
    cache = _named(tools.caches, act.target)
    keys: dict[Any, None] = {}
    for url in view.urls:
        if url.url in act.intent["urls"]:
            hints = CacheHints(aliases=tuple(url.way.get("aliases", ())), raw_urls=(url.way["raw"],))
            keys |= dict.fromkeys(cache.variants(url.url, hints))
    return tuple(keys)


ACTS: Mapping[str, Callable[[ActRow, CaseView, Tools], Done]] = {
    "deny": _deny,
    "allow": _allow,
    "block": _block,
    "unblock": _unblock,
    "purge": _purge,
}


def look_at(view: CaseView, tools: Tools, *, denying: bool) -> list[Seen]:
    """Look at every URL of the case from outside."""
    return [_look(url, view, tools, denying=denying) for url in view.urls]


def _look(url: CaseUrlRow, view: CaseView, tools: Tools, *, denying: bool) -> Seen:
    looks = tools.outside.look(look_target(url, view, denying=denying))
    return Seen(url=url, verdict=combine(looks), looks=tuple(_kept(look) for look in looks))


def look_target(url: CaseUrlRow, view: CaseView | None, *, denying: bool) -> LookTarget:
    """What to look for: the URL exactly as notified, and the size of what was there."""
    parsed = canonical_url(url.way["raw"])
    return LookTarget(
        url=url.way["raw"],
        scheme=parsed.scheme,
        host=parsed.host,
        port=parsed.port,
        look_at=tuple(url.way.get("look_at", ())),
        referrer=url.way.get("referrer"),
        expected_size=_size(view),
        any_query=bool(url.way.get("any_query")),
        expects_page=view is not None and view.case.adapter == "url",
        denying=denying,
    )


def _size(view: CaseView | None) -> int | None:
    observation = view.case.observation if view is not None else None
    versions = (observation or {}).get("versions") or []
    current = [v["size_bytes"] for v in versions if v.get("current", True)]
    return current[-1] if current else None


def _kept(look: Look) -> dict[str, Any]:
    """A look as it is kept and told: who answered what and when, never a URL."""
    values = asdict(look)
    values |= {"at": rfc3339(look.at), "verdict": look.verdict.value, "kind": look.kind.value}
    return {key: value for key, value in values.items() if value not in (None, "")}


def kept_down(view: CaseView, tools: Tools) -> frozenset[str]:
    """Items that another case keeps down, as where the URL was denied while a person decided."""
    kept = set()
    for claim in view.claims:
        others = set(tools.reads.load_notice(claim.notice.id).claims.get(claim.item.id, ())) - {view.case.id}
        if any(live_acts(tools.reads.load_case(other), "block", "deny") for other in others):
            kept.add(claim.item.id)
    return frozenset(kept)
