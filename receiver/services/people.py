"""Accounts and tokens of staff. Every change is entered in the ledger; no password or token is ever kept in clear."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence

from receiver.domain.clock import Clock, to_micros
from receiver.domain.errors import ConflictError
from receiver.domain.ids import new_id
from receiver.domain.outcome import Insert, LedgerNote, Outcome, Table, Update
from receiver.domain.ports import Committer
from receiver.services.admin_errors import BadInputError, NotPossibleError, NotThereError
from receiver.services.passwords import Passwords, one_time_password, refuse_weak
from receiver.services.people_store import PeopleStore, TokenFacts, UserFacts
from receiver.services.persons import METRICS, parse_role

SUBJECT = "admin_user"
"""The ledger's subject stays readable for ever, so names of people stand in the erasable detail only."""
SCOPES = ("act", "read", METRICS)
"""Of a token: all that its person may do, looking only, or the figures only."""
MAX_TOKEN_DAYS = 366
DAY_MICROS = 86_400_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")
_TOKEN_NAME_CHARACTERS = 64


def secret_hash(secret: str) -> str:
    """Of random secrets with 128 bits and more, which need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


class PeopleService:
    def __init__(self, *, store: PeopleStore, committer: Committer, clock: Clock, passwords: Passwords) -> None:
        self._store, self._committer, self._clock, self._passwords = store, committer, clock, passwords

    def users(self) -> Sequence[UserFacts]:
        return self._store.list_admin_users()

    def add_user(self, name: str, role: str, *, actor: str) -> str:
        """Returns the one-time password; it is shown once and must be changed at the first sign-in."""
        if not _NAME.fullmatch(name):
            raise BadInputError("a name has 2 to 64 of a-z, 0-9, dot, hyphen and underscore, and begins with a letter")
        wanted = parse_role(role)
        password = one_time_password()
        values = {
            "name": name,
            "password_hash": self._passwords.hash(password),
            "role": wanted.value,
            "must_change": True,
        }
        note = self._note("person.added", actor, user=name, role=wanted.value)
        try:
            self._write(Insert(table=Table.ADMIN_USER, values=values), note=note)
        except ConflictError as error:
            raise NotPossibleError(f"there is an account {name} already") from error
        return password

    def reset(self, name: str, *, actor: str) -> str:
        """A new one-time password; whoever is signed in under the old one is out. A disabled account works again."""
        user = self._user(name)
        password = one_time_password()
        values = {"password_hash": self._passwords.hash(password), "must_change": True, "disabled_at": None}
        self._write_and_sign_out(user.name, values, note=self._note("person.reset", actor, user=user.name))
        return password

    def disable(self, name: str, *, actor: str) -> None:
        """No sign-in and no token of theirs works any more."""
        user = self._user(name)
        note = self._note("person.disabled", actor, user=user.name)
        self._write_and_sign_out(user.name, {"disabled_at": self._now()}, note=note)

    def set_role(self, name: str, role: str, *, actor: str) -> None:
        user, wanted = self._user(name), parse_role(role)
        note = self._note("person.role", actor, user=user.name, role=wanted.value, was=user.role)
        self._write(_user(user.name, {"role": wanted.value}), note=note)

    def set_password(self, name: str, password: str, *, actor: str) -> None:
        """Ends every session of that person."""
        user = self._user(name)
        refuse_weak(password, user.name)
        if self._passwords.fits(user.password_hash, password):
            raise BadInputError("the new password must be another one")
        values = {"password_hash": self._passwords.hash(password), "must_change": False}
        self._write_and_sign_out(user.name, values, note=self._note("person.password", actor, user=user.name))

    def issue_token(self, user: str, name: str, scope: str, days: int, *, actor: str) -> str:
        """The token, shown once; only its hash is kept."""
        owner = self._user(user)
        if owner.disabled_at is not None:
            raise NotPossibleError(f"the account {owner.name} is disabled")
        if scope not in SCOPES:
            raise BadInputError(f"a token's scope is one of {', '.join(SCOPES)}")
        if not 1 <= days <= MAX_TOKEN_DAYS:
            raise BadInputError(f"a token lives 1 to {MAX_TOKEN_DAYS} days")
        token, row = f"tdr_{secrets.token_urlsafe(32)}", new_id()
        values = {
            "id": row,
            "hash": secret_hash(token),
            "name": name.strip()[:_TOKEN_NAME_CHARACTERS] or "unnamed",
            "user": owner.name,
            "scope": scope,
            "expires_at": self._now() + days * DAY_MICROS,
        }
        note = self._note("token.issued", actor, user=owner.name, token=row, scope=scope, days=days)
        self._write(Insert(table=Table.API_TOKEN, values=values), note=note)
        return token

    def tokens(self, user: str | None = None) -> Sequence[TokenFacts]:
        return self._store.list_tokens(user)

    def revoke_token(self, token: str, *, actor: str, owner: str | None = None) -> None:
        """`owner`: only a token of that person."""
        if not any(found.id == token for found in self._store.list_tokens(owner)):
            raise NotThereError("there is no such token; `takedown-receiver admin-user tokens` lists them")
        self._committer.submit(Outcome(notes=(self._note("token.revoked", actor, token=token),)))
        self._store.revoke_token(token)

    def _user(self, name: str) -> UserFacts:
        user = self._store.find_admin_user(name)
        if user is None:
            raise NotThereError(f"there is no account {name[:64]}; `takedown-receiver admin-user list` shows them")
        return user

    def _write_and_sign_out(self, name: str, values: Mapping[str, object], *, note: LedgerNote) -> None:
        """Before the write too: should this process end in between, no old session outlives the change."""
        self._store.end_sessions_of(name)
        self._write(_user(name, values), note=note)
        self._store.end_sessions_of(name)

    def _write(self, change: Insert | Update, *, note: LedgerNote) -> None:
        self._committer.submit(Outcome(changes=(change,), notes=(note,)))

    def _note(self, kind: str, actor: str, **detail: str | int) -> LedgerNote:
        return LedgerNote(kind=kind, subject=SUBJECT, actor=actor, detail=detail)

    def _now(self) -> int:
        return to_micros(self._clock.now())


def _user(name: str, values: Mapping[str, object]) -> Update:
    return Update(table=Table.ADMIN_USER, where={"name": name}, values=values)
