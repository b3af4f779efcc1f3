"""`CacheConformance`: inherit it, override `environment` and `adapter`. The cache must run, in front of an origin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import pytest

from adapters.conformance.environment import FixturesToGive
from adapters.contract import (
    CacheAdapter,
    CacheHints,
    CacheKey,
    PurgeStatus,
    PurgeTicket,
    from_json,
    to_json,
)


class CacheEnvironment(ABC):
    """A cache that keeps what it fetched, and the origin behind it."""

    host: str = "cache.example"

    @abstractmethod
    def put(self, path: str, body: bytes) -> None:
        """Let the origin answer this path, with any query and for any host, with 200 and this cacheable body."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Let the origin answer this path with 404 and `Cache-Control: no-store`."""

    @abstractmethod
    def get(self, url: str) -> tuple[int, bytes | None]:
        """Status and body of one GET through the cache, the URL sent as written; the body is None unless 200."""

    def settle(self, adapter: CacheAdapter, ticket: PurgeTicket) -> PurgeStatus:
        """Wait until the purge is through. A vendor with a queue polls `adapter.status` here, with a deadline."""
        return adapter.status(ticket)


class CacheConformance(FixturesToGive):
    """The promises of `CacheAdapter`, each a case."""

    precise: ClassVar[bool] = True
    """False where the cache can only be emptied more widely than one path."""

    def test_probe_names_the_cache(self, adapter: CacheAdapter) -> None:
        seen = adapter.probe()
        assert seen.name
        assert "purge" in seen.can

    def test_cached_page_is_purged(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        url = self._cached(environment, "/a.jpg")
        assert self._purge(adapter, environment, url) is PurgeStatus.DONE
        assert environment.get(url)[0] == 404

    def test_known_queries_are_purged(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        url = self._cached(environment, "/a.jpg", "?w=1", "?w=2&h=3")
        self._purge(adapter, environment, url, CacheHints(queries=("w=1", "w=2&h=3")))
        assert [environment.get(url + query)[0] for query in ("", "?w=1", "?w=2&h=3")] == [404, 404, 404]

    def test_plain_form_goes_with_query(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        url = self._cached(environment, "/a.jpg", "?w=1")
        self._purge(adapter, environment, url + "?w=1")
        assert [environment.get(url + query)[0] for query in ("", "?w=1")] == [404, 404]

    def test_spelling_as_notified_is_purged(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        url = self._cached(environment, "/pic%20one.jpg")
        raw = f"http://{environment.host}/p%69c%20one.jpg"
        environment.put("/p%69c%20one.jpg", b"picture")
        assert environment.get(raw) == (200, b"picture")
        environment.delete("/p%69c%20one.jpg")
        self._purge(adapter, environment, url, CacheHints(raw_urls=(raw,)))
        assert [environment.get(spelled)[0] for spelled in (url, raw)] == [404, 404]

    def test_aliases_are_purged(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        url = self._cached(environment, "/a.jpg")
        environment.put("/a.jpg", b"picture")
        other = "http://alias.example/a.jpg"
        assert environment.get(other) == (200, b"picture")
        environment.delete("/a.jpg")
        self._purge(adapter, environment, url, CacheHints(aliases=("alias.example",)))
        assert [environment.get(spelled)[0] for spelled in (url, other)] == [404, 404]

    def test_neighbours_stay_cached(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        if not self.precise:
            pytest.skip("this cache is emptied more widely")
        url, near = self._cached(environment, "/a.jpg"), self._cached(environment, "/a.jpg.bak")
        self._purge(adapter, environment, url)
        assert environment.get(near) == (200, b"picture")

    def test_purge_repeats_harmlessly(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        url = self._cached(environment, "/a.jpg")
        assert self._purge(adapter, environment, url) is PurgeStatus.DONE
        assert self._purge(adapter, environment, url) is PurgeStatus.DONE
        assert environment.get(url)[0] == 404

    def test_unknown_page_counts_as_purged(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        url = f"http://{environment.host}/never-seen.jpg"
        assert self._purge(adapter, environment, url) is PurgeStatus.DONE

    def test_nothing_to_purge_is_done(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        assert environment.settle(adapter, adapter.purge([], "op-1")) is PurgeStatus.DONE

    def test_variants_are_all_different(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        url = f"http://{environment.host}/a.jpg?w=1"
        keys = adapter.variants(url, CacheHints(raw_urls=(url,), queries=("w=1", "w=1")))
        assert len({(key.value, key.headers) for key in keys}) == len(keys) > 0
        assert adapter.variants(url, CacheHints(raw_urls=(url,), queries=("w=1", "w=1"))) == keys

    def test_keys_and_ticket_survive_json(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        url = self._cached(environment, "/a.jpg")
        keys = tuple(from_json(CacheKey, to_json(key)) for key in adapter.variants(url, CacheHints()))
        ticket = adapter.purge(keys, "op-1")
        assert from_json(PurgeTicket, to_json(ticket)) == ticket
        assert environment.settle(adapter, from_json(PurgeTicket, to_json(ticket))) is PurgeStatus.DONE
        assert environment.get(url)[0] == 404

    def test_no_url_in_words(self, adapter: CacheAdapter, environment: CacheEnvironment) -> None:
        keys = adapter.variants(f"http://{environment.host}/a.jpg", CacheHints())
        ticket = adapter.purge(keys, "op-1")
        assert not any("a.jpg" in word for word in (repr(adapter), repr(keys), *ticket.residual))

    def _cached(self, environment: CacheEnvironment, path: str, *queries: str) -> str:
        """Let the cache keep a page that its origin no longer has."""
        url = f"http://{environment.host}{path}"
        environment.put(path, b"picture")
        for query in ("", *queries):
            assert environment.get(url + query) == (200, b"picture")
        environment.delete(path)
        for query in ("", *queries):
            assert environment.get(url + query) == (200, b"picture"), "the cache of this test keeps nothing"
        return url

    def _purge(
        self, adapter: CacheAdapter, environment: CacheEnvironment, url: str, hints: CacheHints | None = None
    ) -> PurgeStatus:
        return environment.settle(adapter, adapter.purge(adapter.variants(url, hints or CacheHints()), "op-1"))
