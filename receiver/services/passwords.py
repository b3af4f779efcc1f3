"""Passwords: argon2id, at least 15 characters, never the name; and one-time passwords that a person can type."""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from receiver.domain.ids import CROCKFORD
from receiver.services.admin_errors import BadInputError

MIN_CHARACTERS = 15
MAX_CHARACTERS = 256
"""Longer ones would only be work for whoever hashes them."""
MIN_DIFFERENT = 6
_GROUPS, _GROUP = 6, 4


class Passwords:
    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def fits(self, stored: str | None, password: str) -> bool:
        """`stored` None: nobody of that name. It takes as long, so that names cannot be found by the clock."""
        if len(password) > MAX_CHARACTERS:
            return False
        try:
            self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None


def one_time_password() -> str:
    """120 random bits in groups of four, without letters that look alike."""
    groups = ("".join(secrets.choice(CROCKFORD) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def refuse_weak(password: str, name: str) -> None:
    """Raises BadInputError that says what is missing."""
    if len(password) < MIN_CHARACTERS:
        raise BadInputError(f"the password must have at least {MIN_CHARACTERS} characters; several words are easy")
    if len(password) > MAX_CHARACTERS:
        raise BadInputError(f"the password must have at most {MAX_CHARACTERS} characters")
    if len(set(password.lower())) < MIN_DIFFERENT or name.lower() in password.lower():
        raise BadInputError("the password is too easy to guess: it repeats few characters, or holds your name")
