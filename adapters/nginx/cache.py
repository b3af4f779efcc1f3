"""`NginxCache`: drops pages from an nginx ``proxy_cache`` (or ``fastcgi_cache``) by deleting their files."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from typing import Optional
from urllib.parse import urlsplit

from adapters.contract import (
    CacheAdapter,
    CacheHints,
    CacheKey,
    Capabilities,
    PurgeStatus,
    PurgeTicket,
)
from adapters.nginx.keys import SCHEMES, KeyTemplate, file_of, parse_levels, spellings, stored_key, wanted_of
from adapters.nginx.reload import Reloader

HEAD_BYTES = 16 * 1024
SCAN_FILES = 500_000
SCAN_SECONDS = 20.0
MAX_VARIANTS = 2000


class NginxCache(CacheAdapter):
    """Deletes what belongs to a URL's path: any query, any scheme, every ``Vary`` variant.

    Args:
        name: for messages.
        cache_dir: the directory of ``proxy_cache_path``.
        levels: as there.
        key_template: as ``proxy_cache_key``.
        proxy_hosts: the values ``$proxy_host`` can have; known ones are found without a search.
        reload_command: run after each purge, since ``open_file_cache`` goes on serving deleted files.
        pid_file: nginx's own, to send the signal where no command is given, and to see the reload take effect.
    """

    def __init__(
        self,
        name: str,
        cache_dir: str,
        levels: str = "1:2",
        key_template: str = "$scheme$proxy_host$request_uri",
        *,
        proxy_hosts: Sequence[str] = (),
        reload_command: Optional[Sequence[str]] = None,
        pid_file: str = "",
        scan_files: int = SCAN_FILES,
        scan_seconds: float = SCAN_SECONDS,
    ) -> None:
        if not os.path.isabs(cache_dir):
            raise ValueError("cache_dir must be an absolute path, as in proxy_cache_path")
        self.name = name
        self._dir = os.fsencode(cache_dir)
        self._levels = parse_levels(levels)
        self._template = KeyTemplate(key_template, proxy_hosts)
        self._reloader = Reloader(reload_command or (), None, pid_file) if reload_command or pid_file else None
        self._scan_files, self._scan_seconds = scan_files, scan_seconds

    def __repr__(self) -> str:
        return f"NginxCache(name={self.name!r})"

    def _probe(self) -> Capabilities:
        lost = []
        if not os.access(self._dir, os.R_OK | os.W_OK | os.X_OK):
            lost.append("the cache directory cannot be read and written: nothing is purged until it can")
        if self._reloader is None:
            lost.append("without reload_command or pid_file an open_file_cache goes on serving purged pages")
        return Capabilities(name=self.name, can=("purge",), lost=tuple(lost))

    def _variants(self, url: str, hints: CacheHints) -> tuple[CacheKey, ...]:
        return url_variants(url, hints)

    def _purge(self, keys: Sequence[CacheKey], op_id: str) -> PurgeTicket:
        if not keys:
            return PurgeTicket(op_id=op_id, status=PurgeStatus.DONE, reference={"dropped": 0})
        dropped = sum(
            self._drop(os.path.join(self._dir, os.fsencode(file_of(key, self._levels))))
            for url in keys
            for key in self._template.keys_for(url.value)
        )
        wanted = frozenset(wanted_of(url.value) for url in keys)
        residual: tuple[str, ...] = ()
        for path, key in self._stored():
            if key is None:
                residual = ("the cache was too large to search whole; stored queries nobody named may be left",)
            elif self._template.names(key, wanted):
                dropped += self._drop(path)
        if self._reloader is not None:
            self._reloader.reload()
        return PurgeTicket(op_id=op_id, status=PurgeStatus.DONE, reference={"dropped": dropped}, residual=residual)

    def _drop(self, path: bytes) -> int:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return 0
        return 1

    def _stored(self) -> Iterator[tuple[bytes, Optional[bytes]]]:
        """Path and key of every cached page; a pair without key says that the search was stopped at its limit."""
        until, left = time.monotonic() + self._scan_seconds, self._scan_files
        for folder, _, names in os.walk(self._dir):
            for name in names:
                if left <= 0 or time.monotonic() > until:
                    yield b"", None
                    return
                left -= 1
                path = os.path.join(folder, name)
                key = stored_key(_head(path))
                if key is not None:
                    yield path, key


def url_variants(url: str, hints: CacheHints) -> tuple[CacheKey, ...]:
    """Scheme, host, spelling and query put together in every way. Needs nothing but the URL."""
    parts = urlsplit(url)
    hosts = dict.fromkeys([parts.netloc.rpartition("@")[2], *hints.aliases])
    paths = list(spellings(parts.path))
    queries = dict.fromkeys([parts.query, "", *hints.queries])
    for raw in hints.raw_urls:
        seen = urlsplit(raw)
        paths += spellings(seen.path)
        queries[seen.query] = None
    found = dict.fromkeys(
        f"{scheme}://{host}{path}" + (f"?{query}" if query else "")
        for path, query, host, scheme in itertools.product(dict.fromkeys(paths), queries, hosts, SCHEMES)
    )
    # What is cut off here is still found by its path when the cache is searched.
    return tuple(CacheKey(value) for value in itertools.islice(found, MAX_VARIANTS))


def _head(path: bytes) -> bytes:
    """Up to the end of the key and no further: the page behind it is not ours to read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""  # nginx removed it meanwhile, or it is no file of nginx's
    try:
        head = b""
        while len(head) < HEAD_BYTES and (piece := os.read(fd, 1024)):
            head += piece
            if stored_key(head) is not None:
                break
        return head
    finally:
        os.close(fd)
