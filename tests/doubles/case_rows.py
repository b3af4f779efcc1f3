"""Rows as values, with defaults: what tests of pure decisions are made of."""

from __future__ import annotations

from typing import Any

from adapters.contract import BlockReceipt, Pin, Ref, to_json
from receiver.domain.outcome import Outcome, Update
from receiver.domain.rows import (
    ActRow,
    CaseRow,
    CaseUrlRow,
    CaseView,
    ClaimRow,
    DecisionRow,
    EventRow,
    HoldRow,
    ItemRow,
    NoticeRow,
    SealRow,
    WorkRow,
)
from receiver.domain.status import Act, Evidence, Exposure, ItemStatus, Track, Verdict, Want

NOW = 1_790_000_000_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND
URL = "https://img.example.net/public/a.jpg"
TARGET = {"url": URL, "host": "img.example.net", "path": {"b64": "L2EuanBn"}, "query": None, "any_query": True}


def updates(outcome: Outcome) -> list[Update]:
    return [change for change in outcome.changes if isinstance(change, Update)]


def item_row(**changes: Any) -> ItemRow:
    values: dict[str, Any] = {
        "id": "item-1",
        "notice": "notice-1",
        "item_id": "1",
        "url": URL,
        "canonical": URL,
        "host": "img.example.net",
        "status": ItemStatus.RECEIVED,
        "reason": None,
        "status_at": NOW,
        "approved_by": None,
        "withdrawn_at": None,
        "iccam_at": None,
        "details": {},
    }
    return ItemRow(**values | changes)


def notice_row(**changes: Any) -> NoticeRow:
    values: dict[str, Any] = {
        "id": "notice-1",
        "notice_id": "N-1",
        "issuer": "iwf",
        "message_id": "message-1",
        "body_sha256": "00" * 32,
        "issued_at": NOW - 2 * SECOND,
        "category": "csam",
        "kind": "takedown",
        "handling": {"act": "remove"},
        "deadline_at": None,
        "receipt": {},
        "last_sequence": 1,
        "created_at": NOW,
    }
    return NoticeRow(**values | changes)


def claim_row(act: Act = Act.REMOVE, *, notice: NoticeRow | None = None, **item: Any) -> ClaimRow:
    return ClaimRow(item=item_row(**item), notice=notice or notice_row(), case="case-1", act=act, rank=1)


def work_row(track: Track = Track.EXPOSURE, state: str = "watch", **changes: Any) -> WorkRow:
    values: dict[str, Any] = {
        "track": track,
        "subject": "case-1",
        "state": state,
        "due_at": NOW,
        "priority": 1,
        "owner": "node:slot:boot",
        "epoch": 1,
        "nudges": 0,
        "attempts": 0,
        "first_failed_at": None,
        "last_error": None,
        "stuck_from": None,
    }
    return WorkRow(**values | changes)


def act_row(kind: str = "block", op_id: str = "", **changes: Any) -> ActRow:
    """Done already; `receipt=None, ended_at=None, result=None` for one begun only."""
    op_id = op_id or f"op-{kind}"
    receipt: Any = {"op_id": op_id, "undo": {}, "residual": []}
    intent: Any = {"urls": [URL], "targets": [TARGET]}
    if kind == "block":
        receipt = to_json(BlockReceipt(op_id=op_id, ref=Ref(locator=b"a", scope=b""), pins=(Pin("pin-1"),)))
    values: dict[str, Any] = {
        "op_id": op_id,
        "case": "case-1",
        "track": Track.EXPOSURE,
        "kind": kind,
        "target": "www" if kind in ("block", "unblock", "remove") else "edge",
        "intent": intent,
        "begun_at": NOW,
        "receipt": receipt,
        "ended_at": NOW,
        "result": "done",
    }
    return ActRow(**values | changes)


def seal_row(**changes: Any) -> SealRow:
    values: dict[str, Any] = {
        "id": "seal-1",
        "case": "case-1",
        "round": 1,
        "pin": "pin-1",
        "payload_ref": "seal-1.age",
        "header_ref": "seal-1.header",
        "sha256_plain_hmac": "00",
        "sha256_sealed": "11",
        "size_bytes": 12,
        "manifest_ref": None,
        "hash_match": None,
        "checked_at": NOW,
        "removed_at": None,
        "retention_until_at": None,
        "destroyed_at": None,
    }
    return SealRow(**values | changes)


def hold_row(**changes: Any) -> HoldRow:
    values: dict[str, Any] = {
        "id": "hold-1",
        "case": "case-1",
        "origin": "issuer:iwf",
        "reference": None,
        "until_at": None,
        "released_at": None,
    }
    return HoldRow(**values | changes)


def decision_row(kind: str = "release", state: str = "approved", **changes: Any) -> DecisionRow:
    values: dict[str, Any] = {
        "id": f"decision-{kind}",
        "case": "case-1",
        "item": None,
        "kind": kind,
        "actor": "ann",
        "reason": "because",
        "request_sha256": "",
        "state": state,
        "needs": 2,
        "approvals": ("ann", "bob"),
        "expires_at": None,
        "created_at": NOW + SECOND,
    }
    return DecisionRow(**values | changes)


def url_row(**changes: Any) -> CaseUrlRow:
    way = {"raw": URL, "caches": ["cache"], "gates": ["edge"], "look_at": [], "deny": TARGET, "any_query": True}
    values: dict[str, Any] = {
        "case": "case-1",
        "url": URL,
        "url_hmac": "h",
        "way": way,
        "verdict": Verdict.UNSEEN,
        "checked_at": None,
        "looks": (),
    }
    return CaseUrlRow(**values | changes)


def case_row(**changes: Any) -> CaseRow:
    values: dict[str, Any] = {
        "id": "case-1",
        "code": "K7QX-93FM",
        "adapter": "www",
        "locator": b"a",
        "scope": b"",
        "customer": "acme",
        "want": Want.DOWN,
        "round": 1,
        "revision": 3,
        "observation": None,
        "residual": (),
        "deadline_at": None,
        "blocked_at": None,
        "effective_at": None,
        "was_public": None,
        "closed_at": None,
        "created_at": NOW,
    }
    return CaseRow(**values | changes)


def case_view(**changes: Any) -> CaseView:
    """A case with one standing claim and one URL; `exposure` and `evidence` may be given as states."""
    values: dict[str, Any] = {
        "case": case_row(),
        "claims": (claim_row(),),
        "urls": (url_row(),),
        "holds": (),
        "acts": (),
        "seals": (),
        "decisions": (),
        "exposure": Exposure.WATCH,
        "evidence": Evidence.SEALED,
    } | changes
    for name in ("exposure", "evidence"):
        if isinstance(values[name], str):
            values[name] = work_row(Track(name), values[name])
    return CaseView(**values)


def event_row(sequence: int = 2, **changes: Any) -> EventRow:
    values: dict[str, Any] = {
        "id": f"event-{sequence}",
        "notice": "notice-1",
        "item": "item-1",
        "item_id": "1",
        "sequence": sequence,
        "status": ItemStatus.DISABLED,
        "data": {"status": "disabled"},
        "created_at": NOW,
        "delivered_at": None,
        "dead_at": None,
    }
    return EventRow(**values | changes)
