"""What one issuer's notices caused since a moment, and the guard that keeps two workers from spending it twice."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, select

from receiver.domain.errors import ConflictError
from receiver.domain.outcome import SpendGuard
from receiver.domain.ports import Spent
from receiver.store import tables

_SPENT = (
    select(tables.claim.c.case, tables.case.c.customer)
    .join(tables.item, tables.item.c.id == tables.claim.c.item)
    .join(tables.notice, tables.notice.c.id == tables.item.c.notice)
    .join(tables.case, tables.case.c.id == tables.claim.c.case)
    # Written so that no database starts from the issuer's notices, of which there may be a million.
    .where(tables.notice.c.issuer.concat("") == bindparam("issuer"), tables.claim.c.created_at >= bindparam("since"))
)


def spent_in(conn: Connection, issuer: str, since_at: int) -> Spent:
    rows = conn.execute(_SPENT, {"issuer": issuer, "since": since_at}).all()
    return Spent(acts=len(rows), customers=len({customer for _, customer in rows}))


def lock_issuers(conn: Connection, issuers: set[str]) -> None:
    """One worker at a time counts and spends for an issuer; SQLite has one writer anyway."""
    if conn.dialect.name == "postgresql":
        for issuer in sorted(issuers):
            conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"spend:{issuer}", 0))))


def check_spending(conn: Connection, guard: SpendGuard) -> None:
    """Raise ConflictError where others spent meanwhile what this outcome counted on."""
    now = spent_in(conn, guard.issuer, guard.since_at)
    fits = now.acts + guard.more_acts <= guard.max_acts and now.customers + guard.more_customers <= guard.max_customers
    if not fits and (now.acts, now.customers) != (guard.seen_acts, guard.seen_customers):
        raise ConflictError("the issuer's limit was spent meanwhile; read again and decide again")
