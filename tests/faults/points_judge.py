"""What must be true at the end of a story, whoever died in it: as if nobody had died."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from receiver.domain.rows import CaseView, EventRow
from receiver.domain.status import Exposure
from receiver.domain.want import held_blocks, want
from tests.faults.points_orders import Picture
from tests.faults.points_stage import Stage

DONE_AGAIN = ("person.", "token.", "notice.refused", "pause.lifted", "case.viewed")
"""Nobody is told twice of these, and nothing outside is done twice."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What two tellings of one story have in common."""

    statuses: dict[str, list[tuple[str, str | None]]]
    told: dict[str, list[tuple[int, str, str, str | None]]]
    heard: dict[str, list[tuple[str, str]]]
    cases: list[Any]
    entries: dict[str, int]
    pages: tuple[str, ...]
    work: list[tuple[str, str]]
    operations: dict[str, int]
    public: dict[str, tuple[bytes | None, bytes | None]]
    answers: list[Any]


def ending(stage: Stage, urls: tuple[str, ...]) -> Ending:
    """Judge what must hold by itself, and take what must be as in the undisturbed telling."""
    seen: Picture = stage.order("look")
    for case in seen.cases:
        _check_case(case, stage, seen.now)
    for name in seen.notices:
        _check_letters(name, seen, stage)
    _check_ledger(seen)
    assert all(row.owner is None for row in seen.work)
    operations = Counter(what for what, _ in stage.world.operations)
    return Ending(
        statuses={n: [(i.status.value, i.reason) for i in v.items] for n, v in seen.notices.items()},
        told={n: [_said(event) for event in events] for n, events in seen.events.items()},
        heard={n: _heard(n, stage) for n in seen.notices},
        cases=sorted((_shape(case) for case in seen.cases), key=repr),
        entries=_entries(seen),
        pages=seen.pages,
        work=sorted((row.track.value, row.state) for row in seen.work),
        operations=dict(operations),
        public={url: (stage.world.public_get(url), stage.world.origin(url)) for url in urls},
        answers=[answer if isinstance(answer, str) else sorted(answer) for answer in stage.answers],
    )


def _said(event: EventRow) -> tuple[int, str, str, str | None]:
    return event.sequence, event.item_id, event.status, event.data.get("reason")


def _entries(seen: Picture) -> dict[str, int]:
    """How often each thing happened by the ledger; once for what whoever got no answer does again."""
    counts = Counter(kind for kind, _ in seen.entries)
    return {kind: 1 if kind.startswith(DONE_AGAIN) else count for kind, count in counts.items()}


def _check_case(view: CaseView, stage: Stage, now: int) -> None:
    assert max(Counter(seal.pin for seal in view.seals).values(), default=1) == 1
    if view.exposure.state in (Exposure.WATCH, Exposure.OPEN, Exposure.IDLE):
        # A gate that is away is asked again at the next look, so a deny may still be open; nothing else may.
        assert {act.kind for act in view.acts if act.ended_at is None} <= {"deny"}
    for seal in view.seals:
        assert seal.id in stage.world.vault.sealed
    assert view.case.want is want(view, now=now, keep_up_decide_minutes=30)


def _shape(view: CaseView) -> Any:
    acts = sorted((act.track.value, act.kind, act.target, act.result or "") for act in view.acts)
    decisions = sorted((d.kind, d.state) for d in view.decisions)
    holds = sorted((h.origin, h.released_at is None) for h in view.holds)
    states = (view.exposure.state, view.evidence.state, view.case.want.value, view.case.round)
    removed = [seal.removed_at is not None for seal in view.seals]
    claims = sorted(claim.act.value for claim in view.claims)
    verdicts = sorted(url.verdict.value for url in view.urls)
    return states, acts, decisions, holds, sorted(removed), len(held_blocks(view)), claims, verdicts


def _check_ledger(seen: Picture) -> None:
    assert sorted(seq for _, seq in seen.entries) == list(range(len(seen.entries)))
    assert seen.ledger_problems == []


def _check_letters(name: str, seen: Picture, stage: Stage) -> None:
    """Every event heard in order, none with two contents, no number left out."""
    events = seen.events[name]
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    heard: dict[str, Any] = {}
    for event in _letters(name, stage):
        assert heard.setdefault(event["id"], event) == event
    told = [e.id for e in events if e.status != "received" and e.delivered_at is not None]
    # One whose answer was lost with the process was heard, and is heard again.
    assert list(heard) == [e.id for e in events if e.id in heard]
    assert set(told) <= set(heard)


def _letters(name: str, stage: Stage) -> list[dict[str, Any]]:
    letters = [json.loads(body) for _, _, body in stage.world.mailbox.letters]
    events = [event for letter in letters for event in (letter if isinstance(letter, list) else [letter])]
    return [event for event in events if event["data"]["notice_id"] == name]


def _heard(name: str, stage: Stage) -> list[tuple[str, str]]:
    once = {event["id"]: (event["type"], event["data"]["item_id"]) for event in _letters(name, stage)}
    return list(once.values())
