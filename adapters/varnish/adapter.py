"""Purges a Varnish by PURGE requests, and by BAN where its VCL knows that. What the VCL needs is in takedown.vcl."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.contract import (
    CONTRACT_VERSION,
    CacheAdapter,
    CacheHints,
    CacheKey,
    Capabilities,
    Denied,
    Plugin,
    PurgeStatus,
    PurgeTicket,
    Retryable,
    Unsupported,
)
from adapters.http import Patience, retry_after_seconds
from adapters.varnish.connections import Connections
from adapters.varnish.settings import VarnishSettings
from adapters.varnish.variants import keys_for

PROBE_HOST = "takedown-probe.invalid"
NO_BAN = "Copies under query strings or spellings that are not known stay in this cache until they expire."
_MAX_ANSWER_BYTES = 64 * 1024
_NOT_NOW = frozenset({408, 425, 429})


class VarnishCache(CacheAdapter):
    """One Varnish. Each purge has a connection to itself while it lasts, so threads do not wait for one another."""

    def __init__(self, settings: VarnishSettings, *, patience: Patience | None = None) -> None:
        self._settings, self._patience = settings, patience or Patience()
        self._connections = Connections(settings)

    def __repr__(self) -> str:
        return f"VarnishCache({self.name!r})"

    def close(self) -> None:
        self._connections.close()

    def _probe(self) -> Capabilities:
        host = (("Host", PROBE_HOST),)
        with _Link(self._connections, self._settings.total_seconds, self._patience) as link:
            self._purge_one(link, CacheKey(value="/", headers=host))
            bans = self._ban_works(link, CacheKey(value="/", headers=(*host, (self._settings.ban_header, "^/$"))))
        if bans:
            return Capabilities(name="varnish", can=("purge", "ban"))
        return Capabilities(name="varnish", can=("purge",), lost=(NO_BAN + " Add takedown.vcl to the VCL.",))

    def _variants(self, url: str, hints: CacheHints) -> tuple[CacheKey, ...]:
        return keys_for(url, hints, hosts=self._settings.hosts, ban_header=self._settings.ban_header)

    def _purge(self, keys: Sequence[CacheKey], op_id: str) -> PurgeTicket:
        bans = [key for key in keys if self._is_ban(key)]
        with _Link(self._connections, self._settings.total_seconds, self._patience) as link:
            # Bans first: one of them clears more than any number of purges, should the connection break.
            banned = [self._ban_works(link, key) for key in bans]
            for key in keys:
                if not self._is_ban(key):
                    self._purge_one(link, key)
        complete = not keys or (bool(bans) and all(banned))
        return PurgeTicket(op_id=op_id, status=PurgeStatus.DONE, residual=() if complete else (NO_BAN,))

    def _is_ban(self, key: CacheKey) -> bool:
        return any(name == self._settings.ban_header for name, _ in key.headers)

    def _purge_one(self, link: _Link, key: CacheKey) -> None:
        status, by_varnish = link.ask(self._settings.purge_method, key)
        if status in {401, 403, 405}:
            raise Denied(f"Varnish refuses to purge (status {status}): add this address to the acl in its VCL")
        if not by_varnish:
            raise Unsupported("purge; the answer came from the origin, so add takedown.vcl to the VCL of Varnish")
        if status >= 500:
            raise Retryable(f"Varnish could not purge (status {status})")
        if status not in {200, 204, 404}:
            raise Denied(f"Varnish refuses to purge (status {status})")

    def _ban_works(self, link: _Link, key: CacheKey) -> bool:
        return self._is_ban(key) and bool(self._settings.ban_header) and link.ask("BAN", key) == (200, True)


class _Link:
    """One connection for one purge. Targets go out byte for byte: another spelling is another key."""

    def __init__(self, connections: Connections, total_seconds: float, patience: Patience) -> None:
        self._connections, self._patience = connections, patience
        self._deadline = time.monotonic() + total_seconds
        kept = connections.kept()
        self._connection, self._is_fresh = kept or connections.fresh(), kept is None

    def ask(self, method: str, key: CacheKey) -> tuple[int, bool]:
        """Status, and whether Varnish itself answered: an unknown method is passed on, and origins may answer 200."""
        if time.monotonic() > self._deadline:
            raise Retryable("Varnish takes too long")
        self._patience.check()
        try:
            answer = self._answer(method, key)
        except (OSError, http.client.HTTPException) as exc:
            raise Retryable(f"Varnish cannot be reached: {type(exc).__name__}") from exc
        return self._judged(answer)

    def _answer(self, method: str, key: CacheKey) -> http.client.HTTPResponse:
        try:
            return self._exchange(method, key)
        except (ConnectionError, http.client.BadStatusLine):
            if self._is_fresh:
                raise
        # It was closed while nobody used it. A purge may be sent twice: the second one finds nothing.
        self._connection.close()
        self._connection, self._is_fresh = self._connections.fresh(), True
        return self._exchange(method, key)

    def _exchange(self, method: str, key: CacheKey) -> http.client.HTTPResponse:
        self._connection.putrequest(method, key.value, skip_host=True, skip_accept_encoding=True)
        for name, value in key.headers:
            self._connection.putheader(name, value)
        self._connection.endheaders()
        answer = self._connection.getresponse()
        answer.read(_MAX_ANSWER_BYTES)
        return answer

    def _judged(self, answer: http.client.HTTPResponse) -> tuple[int, bool]:
        if answer.status in _NOT_NOW:
            # Whoever says so: Varnish, or what limits the rate in front of it.
            wait_seconds = retry_after_seconds(dict(answer.getheaders()))
            if answer.getheader("Via") is None:  # what was passed on speaks for one customer's origin, not for Varnish
                self._patience.told(wait_seconds)
            raise Retryable(f"Varnish says not now (status {answer.status})", after_seconds=wait_seconds)
        # Varnish marks what it answers by itself; what it passes on carries the origin's Server and a Via.
        own = answer.getheader("Server") == "Varnish" or (
            answer.getheader("X-Varnish") is not None and answer.getheader("Via") is None
        )
        if not own or not answer.isclosed():
            # A connection once passed on to the origin stays the origin's.
            self._connection.close()
        return answer.status, own

    def __enter__(self) -> _Link:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is None:
            self._connections.keep(self._connection)
        else:
            self._connection.close()


def _build(name: str, settings: VarnishSettings, tools: Mapping[str, Any]) -> VarnishCache:
    del name, tools
    return VarnishCache(settings)


PLUGIN = Plugin(type_name="varnish", contract_version=CONTRACT_VERSION, settings=VarnishSettings, build=_build)
