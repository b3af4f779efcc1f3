"""The operator's table for one bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

RUNGS = ("policy", "tag", "move")
"""Ways to block, the gentlest first: a deny statement, a tag that a standing statement denies, a move away."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}\Z")
_PREFIX = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,80}/){1,8}\Z")


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """Raises ValueError with one argument for each mistake."""

    endpoint_url: str
    """Such as ``https://s3.eu-central-1.amazonaws.com``; host and port alone."""
    bucket: str
    """The customers' bucket."""
    quarantine_bucket: str
    """A bucket of the host's own, which no customer and no stranger can read or write."""
    access_key_file: str
    secret_key_file: str
    region: str = "us-east-1"
    addressing: str = "path"
    """``path`` or ``virtual``."""
    ca_file: str = ""
    """Certificates to trust instead of the system's."""
    quarantine_prefix: str = "takedown-receiver/"
    scratch_prefix: str = "takedown-receiver-probe/"
    """Where `probe` puts its scratch object in the customers' bucket; the customer account below must be able to read
    there, or the probe proves nothing."""
    host_username: str = ""
    """This account's user name, for servers that exempt it by ``aws:username``."""
    host_principal_arn: str = ""
    """This account's ARN, for servers that exempt it by ``aws:PrincipalArn``."""
    customer_access_key_file: str = ""
    """An account with a customer's rights, to try the doors with. Without it the rungs policy and tag are not used."""
    customer_secret_key_file: str = ""
    public_base_url: str = ""
    """What stands before a key in public URLs, such as ``https://img.example.net/``; asked as a stranger."""
    ladder: tuple[str, ...] = ()
    """Use only these rungs, in this order, whatever the probe says. Empty: what the probe proves."""
    settle_seconds: float = 10.0
    """How long a deny statement may take to reach every node of the store."""
    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    max_attempts: int = 3

    def __post_init__(self) -> None:
        mistakes = [word for word in (*self._addresses(), *self._names(), *self._others()) if word]
        if mistakes:
            raise ValueError(*mistakes)

    def _addresses(self) -> tuple[str, ...]:
        return (
            ""
            if _plain_url(self.endpoint_url)
            else "endpoint_url must be http:// or https:// with host and port alone",
            ""
            if not self.public_base_url or _plain_url(self.public_base_url, path=True)
            else "public_base_url must be http:// or https://, end in /, and hold no query",
        )

    def _names(self) -> tuple[str, ...]:
        return (
            "" if _BUCKET.match(self.bucket) else "bucket is no bucket's name",
            "" if _BUCKET.match(self.quarantine_bucket) else "quarantine_bucket is no bucket's name",
            ""
            if self.bucket != self.quarantine_bucket
            else "quarantine_bucket must be another bucket than bucket: customers must not reach it",
            "" if _PREFIX.match(self.quarantine_prefix) else "quarantine_prefix must be plain words ending in /",
            "" if _PREFIX.match(self.scratch_prefix) else "scratch_prefix must be plain words ending in /",
        )

    def _others(self) -> tuple[str, ...]:
        return (
            "" if self.addressing in {"path", "virtual"} else "addressing must be path or virtual",
            ""
            if bool(self.customer_access_key_file) == bool(self.customer_secret_key_file)
            else "customer_access_key_file and customer_secret_key_file go together",
            ""
            if set(self.ladder) <= set(RUNGS) and len(set(self.ladder)) == len(self.ladder)
            else f"ladder may hold {', '.join(RUNGS)}, each once",
            ""
            if 0 < self.connect_seconds <= 60 and 0 < self.read_seconds <= 300 and 0 <= self.settle_seconds <= 300
            else "connect_seconds, read_seconds and settle_seconds must be above 0 and at most 60, 300 and 300",
            "" if 1 <= self.max_attempts <= 10 else "max_attempts must be 1 to 10",
        )


def _plain_url(url: Any, *, path: bool = False) -> bool:
    parts = urlsplit(url)
    bare = parts.path.endswith("/") if path else parts.path in {"", "/"}
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and bare
        and not (parts.query or parts.fragment or parts.username)
    )
