"""Receives callbacks as an issuer should: verified, each once, in order. A tool for tests, demos and certification."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from receiver.domain.clock import Clock, SystemClock
from receiver.domain.notice import UnverifiedRequest
from receiver.domain.strict_json import StrictJsonError, load_strict_json
from receiver.verification.answers import verify_callback
from receiver.verification.errors import VerificationError
from receiver.verification.jwk import load_jwks
from receiver.verification.keys import KeyRegister, KeyRing

PATH = "/callbacks"
MAX_BODY_BYTES = 4 * 1024 * 1024
READ_SECONDS = 15.0
ACCEPTED, MALFORMED, NOT_SIGNED, REPEATED, TOO_LARGE = 204, 400, 401, 409, 413


@dataclass(frozen=True, kw_only=True)
class Callback:
    """One CloudEvent that was signed by a known key."""

    id: str
    type: str
    subject: str
    time: str
    data: Mapping[str, Any] = field(repr=False)

    @property
    def notice_id(self) -> str:
        return str(self.data["notice_id"])

    @property
    def item_id(self) -> str:
        return str(self.data["item_id"])

    @property
    def status(self) -> str:
        return str(self.data["status"])

    @property
    def sequence(self) -> int:
        return int(self.data["sequence"])

    def line(self) -> str:
        """For people: no URL is in it, since callbacks carry none."""
        return f"{self.time} {self.notice_id} item {self.item_id}: {self.status} (no. {self.sequence})"


class Listener:
    """Listens on a port of its own from `start` to `close`; `with Listener(…) as listener:` does both.

    `register` holds the receiver's callback keys. `origin` is what the receiver was given as this issuer's address, if
    not the address listened on.
    """

    def __init__(
        self,
        *,
        register: KeyRegister,
        host: str = "127.0.0.1",
        port: int = 0,
        origin: str | None = None,
        on_callback: Callable[[Callback], None] = lambda _: None,
        clock: Clock | None = None,
    ) -> None:
        self._register = register
        self._on_callback = on_callback
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._callbacks: list[Callback] = []
        self._faults: list[str] = []
        self._nonces: set[str] = set()
        self._refusals: list[int] = []
        self._server = _Server((host, port), _Handler)
        self._server.listener = self
        self._origin = origin or f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="listener", daemon=True)

    @property
    def url(self) -> str:
        """What to register as `callback_url`."""
        return self._origin + PATH

    @property
    def callbacks(self) -> tuple[Callback, ...]:
        """Accepted so far, each once, in the order of arrival."""
        with self._changed:
            return tuple(self._callbacks)

    @property
    def faults(self) -> tuple[str, ...]:
        """Why callbacks were refused, in a word each."""
        with self._changed:
            return tuple(self._faults)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def refuse_next(self, *statuses: int) -> None:
        """Answer the next callbacks with these statuses, unread: to see a receiver try again."""
        with self._changed:
            self._refusals.extend(statuses)

    def wait_for(self, holds: Callable[[tuple[Callback, ...]], bool], timeout_seconds: float) -> bool:
        """Until it holds for what was accepted; False when the time is over first."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while not holds(tuple(self._callbacks)):
                if not self._changed.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    return holds(tuple(self._callbacks))
            return True

    def take(self, request: UnverifiedRequest) -> int:
        """Judge one request; the status to answer with."""
        with self._changed:
            if self._refusals:
                return self._refusals.pop(0)
        try:
            verified = verify_callback(request, origins=(self._origin,), register=self._register, now=self._clock.now())
            letter = _read(request.body)
        except VerificationError as error:
            return self._refuse(error.reason, NOT_SIGNED)
        except (StrictJsonError, _NotACallbackError) as error:
            return self._refuse(str(error), MALFORMED)
        with self._changed:
            if verified.nonce in self._nonces:
                return self._refuse("nonce-repeated", REPEATED)
            fresh = self._fresh(letter)
            if fresh is None:
                return self._refuse("out-of-order", REPEATED)
            self._nonces.add(verified.nonce)
            self._callbacks.extend(fresh)
            self._changed.notify_all()
        for callback in fresh:
            self._on_callback(callback)
        return ACCEPTED

    def _fresh(self, letter: list[Callback]) -> list[Callback] | None:
        """Those not heard before; None where one comes after a later one of its notice."""
        heard = {callback.id for callback in self._callbacks}
        last = {callback.notice_id: callback.sequence for callback in self._callbacks}
        fresh = []
        for callback in letter:
            if callback.id in heard:
                continue
            if callback.sequence <= last.get(callback.notice_id, 0):
                return None
            last[callback.notice_id] = callback.sequence
            fresh.append(callback)
        return fresh

    def _refuse(self, fault: str, status: int) -> int:
        with self._changed:
            self._faults.append(fault)
            self._changed.notify_all()
        return status


def listen_with_keys(jwks: bytes, **how: Any) -> Listener:
    """A listener for a receiver whose published key set this is. Raises KeyRefusedError."""
    return Listener(register=KeyRing(load_jwks("receiver", jwks)), **how)


class _NotACallbackError(Exception):
    """Signed JSON, but not what the protocol promises."""


def _read(body: bytes) -> list[Callback]:
    value = load_strict_json(body)
    events = value if isinstance(value, list) else [value]
    if not events:
        raise _NotACallbackError("empty-batch")
    return [_read_event(event) for event in events]


def _read_event(event: Any) -> Callback:
    names = ("id", "type", "subject", "time", "source")
    if not isinstance(event, dict) or event.get("specversion") != "1.0":
        raise _NotACallbackError("no-cloud-event")
    data = event.get("data")
    if not all(isinstance(event.get(name), str) for name in names) or not isinstance(data, dict):
        raise _NotACallbackError("member-missing")
    if not all(isinstance(data.get(name), str) for name in ("notice_id", "item_id", "status")):
        raise _NotACallbackError("data-missing")
    if type(data.get("sequence")) is not int:
        raise _NotACallbackError("sequence-missing")
    return Callback(id=event["id"], type=event["type"], subject=event["subject"], time=event["time"], data=data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    listener: Listener


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = READ_SECONDS

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self._answer(TOO_LARGE)
            return
        request = UnverifiedRequest(
            method="POST",
            target=self.path,
            headers=tuple(self.headers.items()),
            body=self.rfile.read(int(length)),
        )
        self._answer(self.server.listener.take(request))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing: the standard line would hold the address of every sender."""
