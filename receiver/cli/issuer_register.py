"""`issuer revoke` and `issuer approve-key`: the database's word about keys, which counts from the next request."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import click

from receiver.cli.base import CommandError, settings
from receiver.cli.issuer import issuer, known_issuer
from receiver.cli.issuer_keys import known_keys
from receiver.cli.opened import opened, who_typed, write
from receiver.config import Config, Issuer
from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, LedgerNote, Outcome, Table, Update
from receiver.domain.ports import KeyOverlay
from receiver.domain.rows import DecisionRow
from receiver.store import SqlStore
from receiver.verification.keys import KeyStatus

KIND = "activate_key"
EXPIRES_MICROS = 7 * 86_400 * 1_000_000
MAX_DECISIONS = 1000


@issuer.command()
@click.argument("issuer_id", metavar="ID")
@click.argument("key_id", metavar="KEY")
@click.option("--reason", required=True, help="Why; it is kept in the ledger.")
@click.pass_context
def revoke(ctx: click.Context, issuer_id: str, key_id: str, reason: str) -> None:
    """Believe a KEY no more, at once and in every process. One person suffices."""
    config = settings(ctx)
    entry = known_issuer(config, issuer_id)
    with opened(config) as store:
        row = _row(store, issuer_id, key_id)
        values = {"state": str(KeyStatus.REVOKED), "revoked_at": store.now()}
        note = _note("key.revoked", issuer_id, key_id, reason)
        change: Insert | Update = Update(table=Table.ISSUER_KEY, where=_where(issuer_id, key_id), values=values)
        if row is None:
            new = {**_where(issuer_id, key_id), "thumbprint": _thumbprint(config, entry, key_id)}
            change = Insert(table=Table.ISSUER_KEY, values={**new, "not_before": None, "not_after": None, **values})
        write(
            store, Outcome(changes=(change,), notes=(note,)), conflict="somebody changed this key just now; look again"
        )
    click.echo(f"{key_id} of {issuer_id} is revoked. Nothing it signed is acted on any more.")


@issuer.command("approve-key")
@click.argument("issuer_id", metavar="ID")
@click.argument("key_id", metavar="KEY")
@click.option("--fingerprint", required=True, help="As the issuer read it to you over another channel.")
@click.pass_context
def approve_key(ctx: click.Context, issuer_id: str, key_id: str, fingerprint: str) -> None:
    """Confirm a KEY that the issuer published and that waits. Two different people type this."""
    config = settings(ctx)
    known_issuer(config, issuer_id)
    needs = 2 if config.policy.two_people else 1
    actor = who_typed()
    with opened(config) as store:
        row = _row(store, issuer_id, key_id)
        if row is None or row.state != KeyStatus.PENDING:
            raise CommandError(
                f"no key {key_id} of {issuer_id} waits; `takedown-receiver issuer list` shows those that do"
            )
        if row.thumbprint != fingerprint.strip():
            raise CommandError("that is not its fingerprint. Do not go on: ask the issuer whether this key is theirs")
        asked = _asked(store, row)
        decision = _agreed(asked, row, actor=actor, needs=needs, now=store.now())
        outcome = _outcome(row, decision, is_new=asked is None, actor=actor)
        write(store, outcome, conflict="somebody confirmed it just now; look again")
    left = decision.needs - len(decision.approvals)
    click.echo(f"{key_id} is active." if left <= 0 else f"Confirmed by {actor}; {left} more person must type the same.")


def _row(store: SqlStore, issuer_id: str, key_id: str) -> KeyOverlay | None:
    return next((row for row in store.key_overlay() if (row.issuer, row.kid) == (issuer_id, key_id)), None)


def _where(issuer_id: str, key_id: str) -> dict[str, str]:
    return {"issuer": issuer_id, "kid": key_id}


def _note(kind: str, issuer_id: str, key_id: str, reason: str) -> LedgerNote:
    return LedgerNote(kind=kind, subject=f"{issuer_id}/{key_id}", actor=who_typed(), detail={"reason": reason})


def _thumbprint(config: Config, entry: Issuer, key_id: str) -> str:
    records = known_keys(config, entry)
    found = next((record.thumbprint for record in records if record.key_id == key_id), None)
    if found is None:
        raise CommandError(f"{entry.id} has no key {key_id}; `takedown-receiver issuer list --json` shows its keys")
    return found


def _request(row: KeyOverlay) -> str:
    """An agreement is to exactly this key."""
    return hashlib.sha256(f"{KIND}\n{row.issuer}\n{row.kid}\n{row.thumbprint}".encode()).hexdigest()


def _asked(store: SqlStore, row: KeyOverlay) -> DecisionRow | None:
    now, wanted = store.now(), _request(row)
    for decision in store.list_decisions("asked", limit=MAX_DECISIONS):
        is_open = decision.expires_at is None or decision.expires_at > now
        if decision.kind == KIND and decision.request_sha256 == wanted and is_open:
            return decision
    return None


def _agreed(asked: DecisionRow | None, row: KeyOverlay, *, actor: str, needs: int, now: int) -> DecisionRow:
    if asked is not None and actor in asked.approvals:
        raise CommandError("you confirmed this key already; it takes another person")
    first = DecisionRow(
        id=new_id(),
        case=None,
        item=None,
        kind=KIND,
        actor=actor,
        reason=f"{row.issuer}/{row.kid}",
        request_sha256=_request(row),
        state="asked",
        needs=needs,
        approvals=(),
        expires_at=now + EXPIRES_MICROS,
        created_at=now,
    )
    decision = asked or first
    approvals = (*decision.approvals, actor)
    return replace(decision, approvals=approvals, state="done" if len(approvals) >= decision.needs else "asked")


def _outcome(row: KeyOverlay, decision: DecisionRow, *, is_new: bool, actor: str) -> Outcome:
    told = {"approvals": decision.approvals, "state": decision.state}
    change: Insert | Update = Update(table=Table.DECISION, where={"id": decision.id, "state": "asked"}, values=told)
    if is_new:
        values = {name: getattr(decision, name) for name in DecisionRow.__dataclass_fields__ if name != "created_at"}
        change = Insert(table=Table.DECISION, values=values)
    kind = "key.activated" if decision.state == "done" else "key.confirmed"
    note = LedgerNote(kind=kind, subject=f"{row.issuer}/{row.kid}", actor=actor, detail={"thumbprint": row.thumbprint})
    changes: tuple[Insert | Update, ...] = (change,)
    if decision.state == "done":
        where = {**_where(row.issuer, row.kid), "state": str(KeyStatus.PENDING)}
        changes += (Update(table=Table.ISSUER_KEY, where=where, values={"state": str(KeyStatus.ACTIVE)}),)
    return Outcome(changes=changes, notes=(note,))
