"""Keys from an issuer's fixed JWKS URL. The only part of this room that reaches out, through the sender it is given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from receiver.verification.errors import KeyFetchError, KeyRefusedError
from receiver.verification.jwk import MAX_SET_BYTES, load_jwks
from receiver.verification.keys import KeyRecord, KeySource

FETCH_TIMEOUT_SECONDS = 5
MAX_STALE_SECONDS = 72 * 3600
"""An issuer may have withdrawn a key in a directory that cannot be read; this is how long the last answer counts."""

Fetch = Callable[[str], bytes]
"""GET with the guarded sender: https, public address, no redirects, `MAX_SET_BYTES`, `FETCH_TIMEOUT_SECONDS`.
Raises KeyFetchError or OSError."""


@dataclass(frozen=True, kw_only=True)
class KeySnapshot:
    """The last good answer of one issuer's directory."""

    records: tuple[KeyRecord, ...]
    fetched_at: dt.datetime


def fetch_keys(issuer: str, url: str, fetch: Fetch, *, now: dt.datetime) -> KeySnapshot:
    """One look at the directory. Raises KeyFetchError when it is away, KeyRefusedError when its keys are bad.

    Every key counts as pending until `merge_overlay` finds it confirmed.
    """
    check_jwks_url(url)
    try:
        body = fetch(url)
    except OSError as error:
        raise KeyFetchError(f"the key directory of {issuer} cannot be read; its last good keys stay in use") from error
    if len(body) > MAX_SET_BYTES:
        raise KeyRefusedError((f"the key directory of {issuer} is larger than {MAX_SET_BYTES} bytes",))
    return KeySnapshot(records=tuple(load_jwks(issuer, body, source=KeySource.URL)), fetched_at=now)


def check_jwks_url(url: str) -> None:
    """Raises KeyFetchError for a `keys_url` that must not stand in the settings."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise KeyFetchError("keys_url is not a URL") from error
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.password or parts.fragment:
        raise KeyFetchError("keys_url must be https, with a host and without credentials or fragment")


def while_fresh(snapshot: KeySnapshot) -> tuple[KeyRecord, ...]:
    """Its keys, none of which may sign anything once the directory could not be read for too long.

    What was signed before that still verifies, so that a notice which waits is not lost.
    """
    until = snapshot.fetched_at + dt.timedelta(seconds=MAX_STALE_SECONDS)
    return tuple(replace(key, not_after=min(key.not_after or until, until)) for key in snapshot.records)
