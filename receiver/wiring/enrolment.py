"""Keys that issuers publish themselves: written down when first seen, good once people or an older key say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from receiver.config import Config
from receiver.domain.clock import from_micros
from receiver.domain.outcome import Insert, LedgerNote, Outcome, Page, Table, Update
from receiver.domain.ports import KeyOverlay
from receiver.store import SqlStore
from receiver.verification.enrol import is_vouched_for
from receiver.verification.keys import KeyRecord, KeyRing, KeyStatus, merge_overlay
from receiver.wiring.register import load_directories, load_key_files

MAX_WAITING = 20
"""A server in other hands must not fill the database: beyond these no further key of its issuer is written down."""

Known = Mapping[tuple[str, str], KeyOverlay]


def enter_fetched(config: Config, store: SqlStore, submit: Callable[[Outcome], object], issuer: str) -> None:
    """What an issuer's directory says, as far as the database does not know it yet. Raises WiringError."""
    files = load_key_files(config)
    fetched = load_directories(config, files)
    known: Known = {(row.issuer, row.kid): row for row in store.key_overlay()}
    ring = KeyRing(merge_overlay((*files, *fetched), list(known.values())).records)
    now = from_micros(store.now())
    waiting = sum(row.issuer == issuer and row.state == KeyStatus.PENDING for row in known.values())
    for record in (record for record in fetched if record.issuer == issuer):
        row = known.get((issuer, record.key_id))
        vouched = is_vouched_for(record, ring, now=now)
        if row is None and waiting < MAX_WAITING:
            waiting += not vouched
            submit(_first_seen(record, vouched=vouched))
        elif row is not None and (row.state, row.thumbprint) == (KeyStatus.PENDING, record.thumbprint) and vouched:
            submit(_vouched(record))


def _first_seen(record: KeyRecord, *, vouched: bool) -> Outcome:
    state = KeyStatus.ACTIVE if vouched else KeyStatus.PENDING
    values = {"issuer": record.issuer, "kid": record.key_id, "thumbprint": record.thumbprint, "state": str(state)}
    insert = Insert(table=Table.ISSUER_KEY, values=values)
    noted = Outcome(changes=(insert,), notes=(_note("key.vouched" if vouched else "key.seen", record),))
    return noted if vouched else noted.plus(Outcome(pages=(_call(record),)))


def _vouched(record: KeyRecord) -> Outcome:
    where = {"issuer": record.issuer, "kid": record.key_id, "state": str(KeyStatus.PENDING)}
    change = Update(table=Table.ISSUER_KEY, where=where, values={"state": str(KeyStatus.ACTIVE)})
    return Outcome(changes=(change,), notes=(_note("key.vouched", record),))


def _note(kind: str, record: KeyRecord) -> LedgerNote:
    detail = {"thumbprint": record.thumbprint, **({"by": record.vouch.key_id} if record.vouch else {})}
    return LedgerNote(kind=kind, subject=f"{record.issuer}/{record.key_id}", actor="worker", detail=detail)


def _call(record: KeyRecord) -> Page:
    words = (
        f"{record.issuer} published the key {record.key_id}, which is not believed yet: have its fingerprint read to"
        f" you by telephone, then two people type: issuer approve-key {record.issuer} {record.key_id} --fingerprint ..."
    )
    return Page(kind="key.waits", subject=record.issuer, text=words)
