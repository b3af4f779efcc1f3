"""URLs and looks from outside, as values. None of them shows its URL in a repr, so none can leak into a log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from receiver.domain.status import Verdict

DEFAULT_PORTS = {"http": 80, "https": 443}

_AUTHORITY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31})://([^/\\?#]*)([/\\]?.?)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, repr=False, slots=True)
class CanonicalUrl:
    """A notified URL as browsers read it, beside the text as it was notified."""

    raw: str
    """As notified, for ever; looks and purges start from it."""
    url: str
    """Canonical text: no fragment, A-label, no trailing dot, no default port, path and query as browsers send them."""
    scheme: str
    """`http` or `https`."""
    host: str
    """A-label in lower case; an IPv6 address stands without brackets."""
    port: int
    path: bytes
    """Percent-decoded once, starting with `/`; no NUL. A decoded `%2F` cannot be told from a `/` here."""
    raw_path: str
    """The path as browsers send it, still encoded."""
    query: bytes | None
    """As browsers send it, without `?`; None where the URL has none, b"" where it ends in `?`."""
    ip_literal: bool = False
    """The host is an address: only a route that names this very address may match."""
    encoded_slash: bool = False
    """The path held `%2F`: data to some servers and a separator to others, so no stored file may be guessed from it."""

    @property
    def request_target(self) -> str:
        """What stands in the request line."""
        return self.raw_path if self.query is None else f"{self.raw_path}?{self.query.decode('ascii')}"

    def __repr__(self) -> str:
        return "CanonicalUrl(<url>)"


@dataclass(frozen=True, kw_only=True, repr=False, slots=True)
class LookTarget:
    """One URL to look at from outside, and what we know of it."""

    url: str
    """Exactly as notified."""
    scheme: str
    host: str
    port: int
    look_at: tuple[str, ...] = ()
    """`address:port` of the route, in place of what the host name resolves to; private addresses are fine here."""
    referrer: str | None = None
    """Sent by one of the looks, since hotlink guards show some content to visitors of one page only."""
    expected_size: int | None = None
    expected_etag: str | None = None
    expects_page: bool = False
    """The notified thing is a page itself, so that `text/html` proves it is still up."""
    any_query: bool = False
    """The query does not choose the content, so the URL without it must be gone too."""
    denying: bool = False
    """A gate of ours denies it, or the origin is blocked and the purges are done: only then is 403 our own answer."""
    vantage: str = "here"

    def __repr__(self) -> str:
        return "LookTarget(<url>)"


class Seen(StrEnum):
    """What one look says."""

    GONE = "gone"
    UP = "up"
    REPLACED = "replaced"
    INCONCLUSIVE = "inconclusive"


class LookKind(StrEnum):
    """Which spelling or manner of asking a look was."""

    EXACT = "exact"
    REFERRER = "referrer"
    SCHEME = "scheme"
    """The same URL by the other of http and https."""
    SPELLING = "spelling"
    NO_QUERY = "no_query"
    GZIP = "gzip"


TO_HTTPS = "to_https"
"""Note of a look that was sent on to the same URL by https and nowhere else."""
NO_ROUTE = "no_route"
"""Note of a look at an IPv6 address from a machine that has no IPv6: it says nothing of the other side."""
MALFORMED = "malformed"
"""Note of a 400 to a path with a broken escape such as `%zz`: this server refuses the spelling, whoever sends it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One request from outside and its answer; kept as an observation, fit to be shown. Never holds a body."""

    address: str
    """`192.0.2.7:443`; empty where the name did not resolve."""
    status: int | None
    at: int
    """Microseconds UTC, when the answer came or the look was given up."""
    vantage: str
    verdict: Seen
    note: str = ""
    """A slug that says why, where the status alone does not."""
    edge: str = ""
    """What the answering edge says of itself, cut to harmless characters."""
    etag: str | None = None
    length: int | None = None
    age_seconds: int | None = None
    location_host: str | None = None
    """Where a redirect leads; the whole address is never kept."""
    kind: LookKind = LookKind.EXACT


def combine(looks: Sequence[Look]) -> Verdict:
    """Gone only if every look says so; one look that finds the content is enough for `up`.

    Four looks do not stand in the way of `gone`: a redirect of the exact URL to itself by https, if by https it is
    gone; a failed look by the scheme that was not notified, which may not be served at all; IPv6 addresses, where
    this machine has no IPv6 and some other address was seen; and a spelling that a server refuses as malformed, if the
    same server says of the spelling by which it knows that file (`%25zz`) that it is gone.
    """
    if any(look.verdict in (Seen.UP, Seen.REPLACED) for look in looks):
        return Verdict.UP
    by_scheme = [look for look in looks if look.kind is LookKind.SCHEME and look.note != NO_ROUTE]
    https_gone = bool(by_scheme) and all(look.verdict is Seen.GONE for look in by_scheme)
    counted = [look for look in looks if look.kind is not LookKind.SCHEME and look.note != NO_ROUTE]
    spelled = {look.address for look in looks if look.kind is LookKind.SPELLING and look.verdict is Seen.GONE}
    clear = [
        look.verdict is Seen.GONE
        or (look.note == TO_HTTPS and https_gone)
        or (look.note == MALFORMED and look.address in spelled)
        for look in counted
    ]
    return Verdict.GONE if clear and all(clear) else Verdict.INCONCLUSIVE


def defang(url: str) -> str:
    """`hxxps://img[.]example[.]net/…`: nothing to click on, and nothing of the path, the query or a password."""
    found = _AUTHORITY.match(url.strip())
    if found is None:
        return "(not a web address)"
    scheme, authority, after = found.groups()
    host = "".join(c for c in authority.rpartition("@")[2] if c.isalnum() or c in "-._:[]")[:255]
    more = "/…" if len(after) > 1 or len(url.strip()) > found.end() else after.replace("\\", "/")
    return f"{scheme.lower().replace('tt', 'xx', 1)}://{host.replace('.', '[.]')}{more}"
