"""Synthetic notices and cases as outcomes, for tests of the store."""

from __future__ import annotations

from typing import Any

from receiver.domain.ids import new_case_code, new_id
from receiver.domain.outcome import Insert, LedgerNote, NewEvent, Outcome, Table, Update, Wake, WorkMove
from receiver.domain.rows import WorkRow
from receiver.domain.status import Act, ItemStatus, Track, Want
from receiver.store import SqlStore

AT = 1_790_000_000_000_000
URL = "https://img.secret-host.example/customer-folder/colour-field.png?v=1"
HOST = "img.secret-host.example"
LOCATOR = b"customer-folder/private-locator.png"
BODY = b'{"notice": "raw-body-marker"}'


def notice_outcome(
    notice_id: str = "N-1", *, items: int = 1, issuer: str = "iwf", url: str = URL
) -> tuple[Outcome, str, list[str]]:
    """What the web process writes for an accepted notice; also the notice's row id and its items' row ids."""
    message, notice, ids = new_id(), new_id(), [new_id() for _ in range(items)]
    rows = [
        Insert(table=Table.MESSAGE, values=message_values(message, issuer)),
        Insert(table=Table.NONCE, values=nonce_values(issuer, new_id())),
        Insert(table=Table.NOTICE, values=notice_values(notice, message, notice_id, issuer)),
    ]
    rows += [
        Insert(table=Table.ITEM, values=item_values(item, notice, str(number), f"{url}&n={number}"))
        for number, item in enumerate(ids, 1)
    ]
    events = [
        NewEvent(
            notice=notice, item=item, item_id=str(n), status=ItemStatus.RECEIVED, data={"took": 0.398}, delivered=True
        )
        for n, item in enumerate(ids, 1)
    ]
    outcome = Outcome(
        changes=tuple(rows),
        events=tuple(events),
        notes=(LedgerNote(kind="notice.accepted", subject=notice, actor=issuer, detail={"items": items}),),
        wakes=(Wake(track=Track.RESOLVE, subject=notice, state="due"),),
    )
    return outcome, notice, ids


def message_values(message: str, issuer: str = "iwf") -> dict[str, Any]:
    return {
        "id": message,
        "channel": "api",
        "issuer": issuer,
        "body": BODY,
        "sha256": "00" * 32,
        "signature_input": 'sig=("@method");tag="takedown-notice"',
        "signature": "sig=:c2ln:",
        "covered": {"method": "POST", "target": "https://notices.example/v1/notices", "headers": [["a", "b"]]},
        "key_thumbprint": "thumb",
    }


def nonce_values(issuer: str, nonce: str, expires_at: int = AT) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "nonce": nonce,
        "request_sha256": "11" * 32,
        "status_path": "/v1/notices/N-1",
        "expires_at": expires_at,
    }


def notice_values(notice: str, message: str, notice_id: str, issuer: str) -> dict[str, Any]:
    return {
        "id": notice,
        "notice_id": notice_id,
        "issuer": issuer,
        "message_id": message,
        "body_sha256": "22" * 32,
        "issued_at": AT,
        "category": "test",
        "kind": "takedown",
        "handling": {"act": "remove", "priority": "normal"},
        "deadline_at": None,
        "receipt": {"receipt_id": "R-1"},
    }


def item_values(item: str, notice: str, item_id: str, url: str = URL) -> dict[str, Any]:
    return {
        "id": item,
        "notice": notice,
        "item_id": item_id,
        "url": url,
        "host": HOST,
        "status": ItemStatus.RECEIVED,
        "status_at": AT,
        "details": {"referrer": "https://forum.secret-host.example/t/9"},
    }


def case_outcome(
    item: str | None = None, *, locator: bytes = LOCATOR, url: str = URL, owner: str | None = None
) -> tuple[Outcome, str]:
    """A new case with its URL and both tracks; with a claim of `item` where given."""
    case = new_id()
    changes = [
        Insert(table=Table.CASE, values=case_values(case, locator)),
        Insert(
            table=Table.CASE_URL,
            values={
                "case": case,
                "url": url,
                "way": {"caches": ["edge"], "raw": b"\xff\x00"},
                "looks": ({"age": 0.5},),
            },
        ),
        Insert(
            table=Table.WORK,
            values={
                "track": Track.EXPOSURE,
                "subject": case,
                "state": "deny",
                "owner": owner,
                "epoch": 1 if owner else 0,
                "due_at": AT,
            },
        ),
    ]
    if item is not None:
        changes.append(Insert(table=Table.CLAIM, values={"item": item, "case": case, "act": Act.REMOVE, "rank": 1}))
    return Outcome(changes=tuple(changes)), case


def case_values(case: str, locator: bytes = LOCATOR) -> dict[str, Any]:
    return {
        "id": case,
        "code": new_case_code(),
        "adapter": "www",
        "locator": locator,
        "scope": b"customer-folder/",
        "customer": "acme",
        "want": Want.DOWN,
        "observation": {"ref": {"locator": {"b64": "AAE="}}, "raw": b"\x00\x01"},
        "residual": ("resource_not_identified",),
    }


def move(row: WorkRow, owner: str, *, state: str = "done", **more: Any) -> WorkMove:
    values: dict[str, Any] = {"due_at": None, "priority": row.priority} | more
    return WorkMove(
        track=row.track, subject=row.subject, owner=owner, epoch=row.epoch, nudges=row.nudges, state=state, **values
    )


def set_want(case: str, want: Want) -> Update:
    return Update(table=Table.CASE, where={"id": case}, values={"want": want})


def commit(store: SqlStore, *outcomes: Outcome) -> None:
    """Raises the error of the first outcome that failed."""
    for result in store.commit(outcomes):
        if result.error is not None:
            raise result.error
