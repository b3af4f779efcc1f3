"""The operator's table for one Varnish."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}\Z")
_HOST = re.compile(r"[a-z0-9._-]{1,253}(:[0-9]{1,5})?\Z")


@dataclass(frozen=True, kw_only=True)
class VarnishSettings:
    """Raises ValueError with one argument for each mistake."""

    url: str
    """Where Varnish takes HTTP from the worker, such as ``http://127.0.0.1:6081``."""
    hosts: tuple[str, ...] = ()
    """Host names under which it keeps the same pages besides the public ones, such as an origin's inner name."""
    purge_method: str = "PURGE"
    ban_header: str = "X-Takedown-Ban"
    """The header `takedown.vcl` reads a ban from; empty where the VCL knows no BAN."""
    timeout_seconds: float = 5.0
    total_seconds: float = 60.0
    """For all requests of one purge; the rest is tried again later."""

    def __post_init__(self) -> None:
        mistakes = []
        parts = urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.username:
            mistakes.append("url must be http:// with host and port alone; Varnish itself speaks no TLS")
        if not all(_HOST.match(host) for host in self.hosts):
            mistakes.append("hosts must be host names in lower case")
        if not _TOKEN.match(self.purge_method):
            mistakes.append("purge_method must be one word, such as PURGE")
        if self.ban_header and not _TOKEN.match(self.ban_header):
            mistakes.append("ban_header must be the name of a header, or empty")
        if not (0 < self.timeout_seconds <= self.total_seconds):
            mistakes.append("timeout_seconds must be above 0 and at most total_seconds")
        if mistakes:
            raise ValueError(*mistakes)

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80
