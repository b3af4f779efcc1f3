"""Accounts, sessions, tokens, pages and rate limits: what the faces need beside the cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, and_, bindparam, case, select
from sqlalchemy.sql.dml import ReturningInsert

from receiver.store import tables
from receiver.store.database import Part


@dataclass(frozen=True, kw_only=True)
class AdminUserRow:
    name: str
    password_hash: str
    role: str
    must_change: bool
    disabled_at: int | None
    created_at: int

    def __repr__(self) -> str:
        return f"AdminUserRow(name={self.name!r}, role={self.role!r})"


@dataclass(frozen=True, kw_only=True)
class SessionRow:
    id_hash: str
    user: str
    seen_at: int
    expires_at: int
    created_at: int

    def __repr__(self) -> str:
        return f"SessionRow(user={self.user!r})"


@dataclass(frozen=True, kw_only=True)
class TokenRow:
    id: str
    hash: str
    name: str
    user: str
    scope: str
    expires_at: int | None
    created_at: int

    def __repr__(self) -> str:
        return f"TokenRow(id={self.id!r}, name={self.name!r}, scope={self.scope!r})"


class People(Part):
    def find_admin_user(self, name: str) -> AdminUserRow | None:
        user = tables.admin_user
        with self._db.read() as conn:
            row = conn.execute(select(user).where(user.c.name == name)).mappings().first()
        return None if row is None else AdminUserRow(**row)

    def list_admin_users(self) -> tuple[AdminUserRow, ...]:
        user = tables.admin_user
        with self._db.read() as conn:
            return tuple(AdminUserRow(**row) for row in conn.execute(select(user).order_by(user.c.name)).mappings())

    def find_session(self, id_hash: str) -> SessionRow | None:
        """Also one that is over; its reader compares `expires_at` with the time."""
        session = tables.session
        with self._db.read() as conn:
            row = conn.execute(select(session).where(session.c.id_hash == id_hash)).mappings().first()
        return None if row is None else SessionRow(**row)

    def end_session(self, id_hash: str) -> None:
        with self._db.write() as conn:
            conn.execute(tables.session.delete().where(tables.session.c.id_hash == id_hash))

    def end_sessions_of(self, user: str) -> int:
        with self._db.write() as conn:
            return conn.execute(tables.session.delete().where(tables.session.c.user == user)).rowcount

    def purge_sessions(self, before_at: int) -> int:
        """Forget sessions that ended before then."""
        with self._db.write() as conn:
            return conn.execute(tables.session.delete().where(tables.session.c.expires_at < before_at)).rowcount

    def find_token(self, token_hash: str) -> TokenRow | None:
        """Also one that expired; its reader compares `expires_at` with the time."""
        token = tables.api_token
        with self._db.read() as conn:
            row = conn.execute(select(token).where(token.c.hash == token_hash)).mappings().first()
        return None if row is None else TokenRow(**row)

    def list_tokens(self, user: str | None = None) -> tuple[TokenRow, ...]:
        token = tables.api_token
        query = select(token) if user is None else select(token).where(token.c.user == user)
        with self._db.read() as conn:
            return tuple(TokenRow(**row) for row in conn.execute(query.order_by(token.c.id)).mappings())

    def revoke_token(self, token: str) -> bool:
        with self._db.write() as conn:
            return conn.execute(tables.api_token.delete().where(tables.api_token.c.id == token)).rowcount == 1

    def lift_pause(self, scope: str) -> bool:
        """False when nothing was paused under this scope."""
        with self._db.write() as conn:
            return conn.execute(tables.pause.delete().where(tables.pause.c.scope == scope)).rowcount == 1

    def take(self, bucket: str, capacity: int, per_seconds: float, n: int = 1) -> float:
        """Take `n` tokens of a bucket that holds `capacity` and fills anew in `per_seconds`, shared by all processes.

        Returns 0.0 when they were taken, else the seconds after which they could be; then nothing was taken.
        """
        if not 0 < n <= capacity or per_seconds <= 0:
            raise ValueError("a bucket gives between one token and all it holds")
        window = round(per_seconds * 1_000_000)
        cost = max(1, round(window * n / capacity))
        with self._db.write(durable=False) as conn:
            now = self._db.now_in(conn)
            row = {"name": bucket, "full_at": now + cost, "created_at": now}
            limits = {"b_now": now, "b_cost": cost, "b_last": now + window}
            if conn.execute(self._take(), row | limits).first() is not None:
                return 0.0
            query = select(tables.bucket.c.full_at).where(tables.bucket.c.name == bucket)
            full_at: int = conn.execute(query).scalar_one()
        return max(0.001, (full_at + cost - now - window) / 1_000_000)

    def _take(self) -> ReturningInsert[Any]:
        put = self._db.backend.insert(tables.bucket)
        now, cost, last = (bindparam(name, type_=BigInteger) for name in ("b_now", "b_cost", "b_last"))
        full_at = tables.bucket.c.full_at
        # Fuller than a bucket can be: it was filled before the clock was set back.
        then = case((and_(full_at > now, full_at <= last), full_at), else_=now) + cost
        return put.on_conflict_do_update(index_elements=["name"], set_={"full_at": then}, where=then <= last).returning(
            tables.bucket.c.full_at
        )
