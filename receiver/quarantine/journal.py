"""The journal: every outside act is written down before it is done, and its receipt after.

A crash in between leaves an act without end. The step that finds one does it again with the same `op_id`, which every
adapter takes as the same act.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.contract import AdapterError, DenyTarget, Json, Observation, from_json, to_json
from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, Table, Update
from receiver.domain.rows import ActRow, CaseUrlRow, CaseView
from receiver.domain.status import Track


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of one act: its receipt, or the adapter's error."""

    act: ActRow
    receipt: Json | None = None
    error: AdapterError | None = None
    pending: bool = False
    """The other side accepted it and has not finished; ask again."""


def intend(
    view: CaseView, kind: str, target: str, intent: Mapping[str, Any], *, now: int, track: Track = Track.EXPOSURE
) -> Insert:
    """Write down an act that the next step will do."""
    values = {
        "op_id": new_id(),
        "case": view.case.id,
        "track": track.value,
        "kind": kind,
        "target": target,
        "intent": dict(intent),
        "begun_at": now,
    }
    return Insert(table=Table.ACT, values=values)


def pending(view: CaseView, track: Track) -> tuple[ActRow, ...]:
    """Acts begun and not ended, in the order in which they must be done."""
    order = {"unblock": 0, "deny": 1, "block": 2, "remove": 3, "allow": 4, "purge": 5}
    waiting = [act for act in view.acts if act.track is track and act.ended_at is None]
    return tuple(sorted(waiting, key=lambda act: (order.get(act.kind, 9), act.op_id)))


def ended(done: Done, *, now: int) -> Update:
    """The receipt of an act that succeeded."""
    values: dict[str, Any] = {"receipt": to_json(done.receipt)}
    values |= {"result": "pending"} if done.pending else {"result": "done", "ended_at": now}
    return Update(table=Table.ACT, where={"op_id": done.act.op_id}, values=values)


def failed(act: ActRow, error: AdapterError, *, now: int) -> Update:
    """An act that will not be tried again under this name; another may follow."""
    values = {"receipt": {"error": error.kind, "words": str(error)}, "result": "failed", "ended_at": now}
    return Update(table=Table.ACT, where={"op_id": act.op_id}, values=values)


def undone(acts: Sequence[ActRow]) -> tuple[Update, ...]:
    """Mark acts that an unblock or allow took back."""
    return tuple(
        Update(table=Table.ACT, where={"op_id": act.op_id}, values={"result": "undone"}, optional=True) for act in acts
    )


def last_block(view: CaseView) -> ActRow | None:
    """The block that holds now, finished or not."""
    blocks = [act for act in view.acts if act.kind == "block" and act.result not in ("undone", "failed")]
    return blocks[-1] if blocks else None


def live_denies(view: CaseView) -> tuple[ActRow, ...]:
    return tuple(act for act in view.acts if act.kind == "deny" and act.result not in ("undone", "failed"))


def deny_intents(view: CaseView, *, now: int, again: bool = False) -> tuple[Insert, ...]:
    """One deny for each gate, over the URLs that no deny covers yet; over all of them with `again`.

    A gate that gave up on a URL is asked again only with `again`.
    """
    tried = [act for act in view.acts if act.kind == "deny" and act.result != "undone"]
    covered = set() if again else {(act.target, url) for act in tried for url in act.intent["urls"]}
    gates: dict[str, list[CaseUrlRow]] = {}
    for url in view.urls:
        for gate in url.way.get("gates", ()):
            if (gate, url.url) not in covered:
                gates.setdefault(gate, []).append(url)
    return tuple(
        intend(view, "deny", gate, {"urls": [u.url for u in urls], "targets": [u.way["deny"] for u in urls]}, now=now)
        for gate, urls in gates.items()
    )


def deny_targets(act: ActRow) -> tuple[DenyTarget, ...]:
    return tuple(from_json(DenyTarget, target) for target in act.intent["targets"])


def allow_intents(view: CaseView, *, now: int) -> tuple[Insert, ...]:
    """One allow for each deny that holds and has a receipt."""
    return tuple(
        intend(view, "allow", act.target, {"deny": act.op_id, "receipt": act.receipt}, now=now)
        for act in live_denies(view)
        if act.receipt is not None
    )


def block_intents(view: CaseView, seen: Observation, *, now: int) -> tuple[Insert, ...]:
    """Block what was observed, and purge its caches right after: nobody waits for a commit in between."""
    block = intend(view, "block", view.case.adapter, {"observation": to_json(seen)}, now=now)
    return (block, *purge_intents(view, now=now))


def purge_intents(view: CaseView, *, now: int) -> tuple[Insert, ...]:
    """One purge for each cache in front of the case's URLs."""
    caches: dict[str, list[CaseUrlRow]] = {}
    for url in view.urls:
        for cache in url.way.get("caches", ()):
            caches.setdefault(cache, []).append(url)
    return tuple(
        intend(view, "purge", cache, {"urls": [u.url for u in urls]}, now=now) for cache, urls in caches.items()
    )
