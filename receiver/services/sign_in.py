"""Signing in, and who a session or a token belongs to. Sessions live in the database, so they can be ended at once."""

from __future__ import annotations

import hashlib
import logging
import math
import secrets

from receiver.domain.clock import Clock, to_micros
from receiver.domain.outcome import Insert, LedgerNote, Outcome, Table, Update
from receiver.domain.ports import Committer
from receiver.services.admin_errors import BadInputError, TooManyTriesError
from receiver.services.passwords import Passwords
from receiver.services.people import PeopleService, secret_hash
from receiver.services.people_store import PeopleStore, UserFacts
from receiver.services.persons import METRICS, Person, Role

IDLE_MICROS = 30 * 60_000_000
ABSOLUTE_MICROS = 12 * 3600 * 1_000_000
SEEN_EVERY_MICROS = 60_000_000
"""A session's last use is written this often, not at each request."""
TRIES_PER_NAME, TRIES_PER_ADDRESS, WINDOW_SECONDS = 10, 100, 900.0
_LOG = logging.getLogger("receiver.admin")


class SignInService:
    def __init__(
        self, *, store: PeopleStore, committer: Committer, clock: Clock, passwords: Passwords, people: PeopleService
    ) -> None:
        self._store, self._committer, self._clock = store, committer, clock
        self._passwords, self._people = passwords, people

    def nobody_yet(self) -> bool:
        """Whether no account exists, so that nobody can sign in."""
        return not self._store.list_admin_users()

    def sign_in(self, name: str, password: str, *, address: str) -> str:
        """The secret of a new session. Raises BadInputError, which does not say which of the two was wrong."""
        self._count(f"sign-in:{address}", TRIES_PER_ADDRESS)
        self._count(f"sign-in-as:{name}", TRIES_PER_NAME)
        user = self._store.find_admin_user(name)
        fits = self._passwords.fits(user.password_hash if user else None, password)
        if user is None or not fits or user.disabled_at is not None:
            _LOG.warning("sign_in.refused", extra={"address": address})
            raise BadInputError("that name and password do not fit together, or the account is disabled")
        return self._begin(user)

    def change_password(self, person: Person, old: str, new: str) -> str:
        """Every session of that person ends; returns the secret of a new one."""
        self._count(f"sign-in-as:{person.name}", TRIES_PER_NAME)
        user = self._store.find_admin_user(person.name)
        if user is None or not self._passwords.fits(user.password_hash, old):
            raise BadInputError("the present password is another one")
        self._people.set_password(person.name, new, actor=person.name)
        return self._begin(user)

    def sign_out(self, secret: str) -> None:
        self._store.end_session(secret_hash(secret))

    def by_session(self, secret: str) -> Person | None:
        """Who holds this session, or None when it is over."""
        hashed, now = secret_hash(secret), self._now()
        session = self._store.find_session(hashed)
        if session is None:
            return None
        if now >= min(session.expires_at, session.seen_at + IDLE_MICROS):
            self._store.end_session(hashed)
            return None
        user = self._store.find_admin_user(session.user)
        if user is None or user.disabled_at is not None:
            return None
        if now - session.seen_at >= SEEN_EVERY_MICROS:
            seen = Update(table=Table.SESSION, where={"id_hash": hashed}, values={"seen_at": now}, optional=True)
            self._committer.submit(Outcome(changes=(seen,)))
        return Person(name=user.name, role=None if user.must_change else Role(user.role), must_change=user.must_change)

    def by_token(self, secret: str) -> Person | None:
        """Whose token this is and what it is good for, or None when it is over."""
        token = self._store.find_token(secret_hash(secret))
        if token is None or (token.expires_at is not None and self._now() >= token.expires_at):
            return None
        user = self._store.find_admin_user(token.user)
        if user is None or user.disabled_at is not None:
            return None
        if token.scope == METRICS:
            return Person(name=user.name, role=None, metrics=True)
        return Person(name=user.name, role=Role(user.role) if token.scope == "act" else Role.VIEWER)

    def _begin(self, user: UserFacts) -> str:
        now, secret = self._now(), secrets.token_urlsafe(32)
        self._store.purge_sessions(now)
        values = {
            "id_hash": secret_hash(secret),
            "user": user.name,
            "seen_at": now,
            "expires_at": now + ABSOLUTE_MICROS,
        }
        note = LedgerNote(kind="person.signed_in", subject="admin_user", actor=user.name)
        self._committer.submit(Outcome(changes=(Insert(table=Table.SESSION, values=values),), notes=(note,)))
        return secret

    def _count(self, what: str, capacity: int) -> None:
        bucket = f"sign-in:{hashlib.sha256(what.encode()).hexdigest()[:32]}"
        wait_seconds = self._store.take(bucket, capacity, WINDOW_SECONDS)
        if wait_seconds > 0:
            raise TooManyTriesError(math.ceil(wait_seconds))

    def _now(self) -> int:
        return to_micros(self._clock.now())
