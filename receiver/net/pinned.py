"""`requests` over one fixed address: the connection goes to the address, names and certificates stay the host's."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from receiver.domain.web import DEFAULT_PORTS
from receiver.net.guard import Address
from receiver.net.sockets import BudgetSocket, connect

__all__ = ["PinnedAdapter", "PinnedRequest"]

POOLS = 512
CONNECTIONS_PER_PEER = 8


def _dial(conn: HTTPConnection) -> BudgetSocket:
    """`conn.host` is an address here, so nothing is resolved a second time."""
    assert conn.port is not None
    assert isinstance(conn.timeout, int | float)
    try:
        return connect(Address(ip=conn.host.strip("[]"), port=conn.port), seconds=float(conn.timeout))
    except TimeoutError as exc:
        raise ConnectTimeoutError(conn, "connecting took too long") from exc
    except OSError as exc:
        raise NewConnectionError(conn, f"cannot connect: {type(exc).__name__}") from exc


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> BudgetSocket:
        return _dial(self)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> BudgetSocket:
        return _dial(self)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class PinnedRequest(requests.PreparedRequest):
    """A prepared request that knows which address it goes to."""

    address: Address

    @property
    def parts(self) -> SplitResult:
        return urlsplit(str(self.url or ""))

    @property
    def host(self) -> str:
        return self.parts.hostname or ""

    @property
    def port(self) -> int:
        return self.parts.port or DEFAULT_PORTS.get(self.parts.scheme, 0)

    @property
    def authority(self) -> str:
        """What the `Host` header says, whatever address is connected to."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS.get(self.parts.scheme) else f"{host}:{self.port}"


class PinnedAdapter(HTTPAdapter):
    """Keeps connections alive, one pool per address, and per host name where TLS proves the name."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(max_retries=Retry(0, read=False, redirect=False))

    def init_poolmanager(self, *_args: Any, **_kwargs: Any) -> None:
        self.poolmanager = PoolManager(num_pools=POOLS, maxsize=CONNECTIONS_PER_PEER)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *_args: Any, **_kwargs: Any
    ) -> HTTPConnectionPool:
        assert isinstance(request, PinnedRequest)
        https = request.parts.scheme == "https"
        pool: HTTPConnectionPool = self.poolmanager.connection_from_host(
            request.address.ip,
            port=request.address.port,
            scheme="https" if https else "http",
            pool_kwargs={"ssl_context": self._context, "server_hostname": request.host} if https else {},
        )
        return pool

    def cert_verify(self, *_args: Any, **_kwargs: Any) -> None:
        """The context verifies already; loading the authorities again for each connection would only cost time."""
