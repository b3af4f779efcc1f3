"""The memory gate and cache pass the kit they are the reference for."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from adapters.conformance.cache import CacheConformance, CacheEnvironment
from adapters.conformance.gate import GateConformance, GateEnvironment
from adapters.conformance.late import LateGateConformance
from adapters.memory import MemoryCache, MemoryGate


class MemoryGateEnvironment(GateEnvironment):
    def __init__(self) -> None:
        self.gate = MemoryGate()

    def get(self, host: str, target: bytes) -> int:
        return 404 if self.gate.refuses(host, target) else 200


class TestMemoryGate(LateGateConformance, GateConformance):
    @pytest.fixture
    def environment(self) -> MemoryGateEnvironment:
        return MemoryGateEnvironment()

    @pytest.fixture
    def adapter(self, environment: MemoryGateEnvironment) -> MemoryGate:
        return environment.gate


class MemoryCacheEnvironment(CacheEnvironment):
    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.cache = MemoryCache(lambda url: self.pages.get(urlsplit(url).path))

    def put(self, path: str, body: bytes) -> None:
        self.pages[path] = body

    def delete(self, path: str) -> None:
        self.pages.pop(path, None)

    def get(self, url: str) -> tuple[int, bytes | None]:
        body = self.cache.fetch(url)
        return (404, None) if body is None else (200, body)


class TestMemoryCache(CacheConformance):
    @pytest.fixture
    def environment(self) -> MemoryCacheEnvironment:
        return MemoryCacheEnvironment()

    @pytest.fixture
    def adapter(self, environment: MemoryCacheEnvironment) -> MemoryCache:
        return environment.cache
