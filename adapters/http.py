"""The HTTP client adapters use for vendors' APIs: guarded, and speaking the contract's errors.

No redirects, no proxies or passwords from the environment, bounded time and size. Nothing it raises or logs holds a URL
or a secret.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import TracebackType

import requests
import urllib3
from requests.adapters import HTTPAdapter

from adapters.contract import RETRY_AFTER_SECONDS, AdapterError, Denied, Retryable

MAX_RETRY_AFTER_SECONDS = 3600.0
_CHUNK_BYTES = 64 * 1024


class Secret:
    """A password or token that shows itself only when asked to."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(<hidden>)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not copied out of its process")


def read_secret(path: str, member: str) -> Secret:
    """Read the file an operator named in a `*_file` member. Raises ValueError with words for the operator."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"{member}: the file cannot be read ({type(exc).__name__})") from exc
    if not text or len(text.splitlines()) != 1:
        raise ValueError(f"{member}: the file must hold the secret alone, on one line")
    return Secret(text)


class Patience:
    """How long the other side told us to wait; kept for all threads, since such limits are an account's, not a call's.

    Without it every case that is waiting, and every wake-up of one, would ask once more.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic, self._until = monotonic, 0.0

    def check(self) -> None:
        """Raises Retryable while the time is not over."""
        left = self._until - self._monotonic()
        if left > 0:
            raise Retryable("the server told us to wait (429) and the time is not over", after_seconds=left)

    def told(self, seconds: float) -> None:
        self._until = max(self._until, self._monotonic() + seconds)


@dataclass(frozen=True, kw_only=True)
class HttpLimits:
    connect_seconds: float = 5.0
    read_seconds: float = 15.0
    """Without a byte from the server."""
    total_seconds: float = 60.0
    """For the whole body; a server that drips headers is held by `read_seconds` alone."""
    body_bytes: int = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Looked up without regard to case."""
    body: bytes = field(repr=False)


class HttpSession:
    """One connection pool for one adapter. Safe to share between threads, as adapters are."""

    def __init__(
        self,
        *,
        limits: HttpLimits | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        pool_size: int = 8,
        patience: Patience | None = None,
    ) -> None:
        self._limits = limits or HttpLimits()
        self._patience = patience or Patience()
        self._headers = dict(headers or {})
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0, pool_maxsize=pool_size, pool_block=True))
        # Its debug lines hold whole URLs, whatever level the operator chose for ours.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

    def __repr__(self) -> str:
        return "HttpSession()"

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str | Secret] | None = None, body: bytes = b""
    ) -> Answer:
        """Send one request; answers that say try again or not allowed are raised as the contract's errors.

        Raises Retryable (no connection, time over, 408, 425, 429, 5xx), Denied (401, 403, a bad certificate) and
        AdapterError (redirect, too large an answer, a URL that is none). Other statuses are returned. After a 429
        nothing is sent until the time it named is over.
        """
        self._patience.check()
        deadline = time.monotonic() + self._limits.total_seconds
        sent = {"Accept-Encoding": "identity"} | self._headers | dict(headers or {})
        # None of the causes is kept: the library's messages repeat the URL.
        try:
            with self._session.request(
                method,
                url,
                headers={name: item.reveal() if isinstance(item, Secret) else item for name, item in sent.items()},
                data=body,
                timeout=(self._limits.connect_seconds, self._limits.read_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                if response.status_code == 429:
                    self._patience.told(retry_after_seconds(response.headers))
                _judge(response.status_code, response.headers)
                return Answer(
                    status=response.status_code, headers=response.headers, body=self._read(response, deadline)
                )
        except requests.exceptions.SSLError:
            raise Denied(
                "the server's certificate was not accepted; check its name, its issuer and the clock"
            ) from None
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as exc:
            raise Retryable(f"the server cannot be reached or broke off: {type(exc).__name__}") from None
        except requests.RequestException as exc:
            raise AdapterError(f"the request could not be made: {type(exc).__name__}") from None

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise AdapterError("the answer is compressed although that was not asked for")
        body = bytearray()
        # read1 gives what has come, so that a server that drips bytes cannot hold us beyond the deadline.
        while chunk := response.raw.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._limits.body_bytes:
                raise AdapterError(f"the answer is longer than {self._limits.body_bytes} bytes")
            if time.monotonic() > deadline:
                raise Retryable("the answer took too long")
        return bytes(body)

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> HttpSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _judge(status: int, headers: Mapping[str, str]) -> None:
    if status in {401, 403}:
        raise Denied(f"the server refuses us (status {status}); check the credential and what it may do")
    if status in {408, 425, 429} or status >= 500:
        raise Retryable(f"the server says not now (status {status})", after_seconds=retry_after_seconds(headers))
    if 300 <= status < 400 and status != 304:
        raise AdapterError("the server redirects, which is never followed; name the final address in the settings")


def retry_after_seconds(headers: Mapping[str, str], *, now: dt.datetime | None = None) -> float:
    """Read Retry-After (RFC 9110 §10.2.3), seconds or a date; between 0 and an hour, 2 s where it says nothing."""
    text = next((item for name, item in headers.items() if name.lower() == "retry-after"), "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return RETRY_AFTER_SECONDS
    if moment.tzinfo is None:
        return RETRY_AFTER_SECONDS
    wait = (moment - (now or dt.datetime.now(dt.UTC))).total_seconds()
    return min(max(wait, 0.0), MAX_RETRY_AFTER_SECONDS)
