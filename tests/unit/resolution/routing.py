"""What tests of routes begin with."""

from __future__ import annotations

from typing import Any

from adapters.contract import DirectoryHit
from receiver.resolution.routes import Route, RouteTable


def table(*routes: Route) -> RouteTable:
    return RouteTable(routes)


def to(customer: str, host: str = "img.example", path: str = "/", key: str = "acme/public{path}", **more: Any) -> Route:
    return Route(host=host, path=path, customer=customer, storage="www", key=key, **more)


def who(hit: DirectoryHit | None) -> str | None:
    return None if hit is None else hit.customer
