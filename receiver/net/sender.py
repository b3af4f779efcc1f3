"""Posts callbacks and fetches key sets: one fixed address, no redirects, bounded in time and size."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from requests import exceptions as failures
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import Timeout
from urllib3 import exceptions as http_failures

from receiver.domain.ports import SentResponse
from receiver.domain.web import DEFAULT_PORTS
from receiver.net.errors import SendError, SendFailure
from receiver.net.guard import DNS_SECONDS, Address, Resolver, resolve_public, system_resolver
from receiver.net.pinned import PinnedAdapter, PinnedRequest
from receiver.net.sockets import tls_context

__all__ = ["Auth", "GuardedSender", "SentResponse"]

Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]
"""Signs the request as it will be sent, such as http-message-signatures' own class for `requests`."""

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
MAX_RESPONSE_BYTES = 65_536
_CHUNK_BYTES = 8192


class GuardedSender:
    """Sends to addresses that come from settings, never to private ones unless told so.

    Safe to use from many threads. The name is resolved once for each request, and the connection goes to exactly the
    addresses that passed the guard. Proxies, netrc and cookies of the environment are not looked at.
    """

    def __init__(
        self,
        *,
        ca_file: str | None = None,
        resolver: Resolver = system_resolver,
        user_agent: str = "takedown-receiver",
    ) -> None:
        self._adapter = PinnedAdapter(tls_context(ca_file, DEFAULT_CA_BUNDLE_PATH))
        self._resolver = resolver
        self._user_agent = user_agent

    def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        auth: Auth | None = None,
        allow_private: bool = False,
        connect_seconds: float = CONNECT_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> SentResponse:
        """POST once. Redirects come back as they are; a longer answer is cut, since its status says enough.

        Raises SendError. Once the request is on its way nothing is tried twice.
        """
        request = self._prepare("POST", url, headers, body, auth)
        limits = _Limits(connect_seconds, total_seconds, max_response_bytes, cut=True)
        return self._send(request, limits, allow_private=allow_private)

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        allow_private: bool = False,
        connect_seconds: float = CONNECT_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> SentResponse:
        """GET once; a longer answer is SendError `too_large`, since half a document is none."""
        request = self._prepare("GET", url, headers or {}, None, auth)
        limits = _Limits(connect_seconds, total_seconds, max_response_bytes, cut=False)
        return self._send(request, limits, allow_private=allow_private)

    def close(self) -> None:
        """Give back the connections kept alive."""
        self._adapter.close()

    def _prepare(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, auth: Auth | None
    ) -> PinnedRequest:
        request = PinnedRequest()
        own = {"User-Agent": self._user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        with _family():
            request.prepare_method(method)
            request.prepare_url(url, None)
            _check(request)
            own["Host"] = request.authority
            request.prepare_headers({**own, **headers})
            request.prepare_body(body, None)
            request.hooks = {"response": []}
            request.prepare_auth(auth or _unsigned, request.url or "")
        return request

    def _send(self, request: PinnedRequest, limits: _Limits, *, allow_private: bool) -> SentResponse:
        addresses = resolve_public(
            request.host,
            request.port,
            allow_private=allow_private,
            seconds=min(DNS_SECONDS, limits.total_left()),
            resolver=self._resolver,
        )
        return self._exchange(request, addresses, limits)

    def _exchange(self, request: PinnedRequest, addresses: list[Address], limits: _Limits) -> SentResponse:
        """The next address is tried only while nothing was sent; connecting to all of them shares its seconds."""
        for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
            request.address = address
            try:
                with _family():
                    response = self._adapter.send(request, stream=True, timeout=limits.timeout())
                    return _read(response, address, limits)
            except SendError as exc:
                if exc.kind is not SendFailure.CONNECT or not left or limits.connect_left() <= 0:
                    raise
        raise SendError(SendFailure.CONNECT, "no address of the host took the connection")


class _Limits:
    """One exchange's deadlines on the monotonic clock."""

    def __init__(self, connect_seconds: float, total_seconds: float, max_bytes: int, *, cut: bool) -> None:
        now = time.monotonic()
        self._total_until = now + total_seconds
        self._connect_seconds = connect_seconds
        self._connect_until: float | None = None
        self.max_bytes = max_bytes
        self.cut = cut

    def total_left(self) -> float:
        left = self._total_until - time.monotonic()
        if left <= 0:
            raise SendError(SendFailure.TIMEOUT, "the other side did not answer in time")
        return left

    def connect_left(self) -> float:
        """Counted from the first try to connect."""
        now = time.monotonic()
        if self._connect_until is None:
            self._connect_until = now + self._connect_seconds
        return self._connect_until - now

    def timeout(self) -> Any:
        total = self.total_left()
        return Timeout(total=total, connect=min(max(self.connect_left(), 0.001), total))


def _read(response: requests.Response, address: Address, limits: _Limits) -> SentResponse:
    """The sockets keep the time; the size is counted here. A connection read to its end is kept alive."""
    body = b""
    try:
        while chunk := response.raw.read(_CHUNK_BYTES, decode_content=False):
            body += chunk
            limits.total_left()
            if len(body) > limits.max_bytes and not limits.cut:
                raise SendError(SendFailure.TOO_LARGE, f"the answer is longer than {limits.max_bytes} bytes")
            if len(body) > limits.max_bytes:
                break
        else:
            response.raw.release_conn()
    finally:
        response.close()
    return SentResponse(
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        body=body[: limits.max_bytes],
        address=str(address),
    )


@contextmanager
def _family() -> Iterator[None]:
    """Foreign exceptions quote the URL, so they are not kept as causes."""
    try:
        yield
    except (failures.SSLError, http_failures.SSLError, ssl.SSLError):
        raise SendError(SendFailure.TLS, "the other side's TLS or certificate is not in order") from None
    except (failures.ReadTimeout, http_failures.ReadTimeoutError):
        raise SendError(SendFailure.TIMEOUT, "the other side did not answer in time") from None
    except failures.ConnectionError as exc:
        raise _connection_error(exc) from None
    except (failures.RequestException, http_failures.HTTPError, UnicodeError):
        raise SendError(SendFailure.PROTOCOL, "the address or the answer is not proper HTTP") from None
    except TimeoutError:
        raise SendError(SendFailure.TIMEOUT, "the other side did not answer in time") from None


def _connection_error(exc: failures.ConnectionError) -> SendError:
    reason = exc.args[0] if exc.args else None
    if isinstance(reason, http_failures.MaxRetryError):
        reason = reason.reason
    if isinstance(reason, http_failures.NewConnectionError):
        return SendError(SendFailure.CONNECT, "the other side does not take connections")
    if isinstance(exc, failures.ConnectTimeout) or isinstance(reason, http_failures.ConnectTimeoutError):
        return SendError(SendFailure.CONNECT, "connecting to the other side took too long")
    return SendError(SendFailure.PROTOCOL, "the other side broke off or did not speak HTTP")


def _check(request: PinnedRequest) -> None:
    if request.parts.scheme not in DEFAULT_PORTS or not request.host:
        raise SendError(SendFailure.PROTOCOL, "the address to send to must be an https or http address with a host")
    if "@" in request.parts.netloc:
        raise SendError(SendFailure.PROTOCOL, "the address to send to must hold no user name; remove it")


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """In place of `requests` own habit of making a password out of `user@` in the address."""
    return request
