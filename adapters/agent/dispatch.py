"""One connection of the agent's: read a request, act, answer; and the limit on acts."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from adapters.agent import protocol
from adapters.agent.settings import Adapters
from adapters.contract import AdapterError, NotFound, Reader, Retryable, from_json, to_json

log = logging.getLogger("takedown.agent")
WINDOW_SECONDS = 60.0


class ActLimit:
    """At most so many acts in any minute: a stolen worker must not take a whole machine down at once."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._acts: deque[float] = deque()
        self._lock = threading.Lock()

    def count(self) -> None:
        """Raises Retryable when the minute's acts are spent."""
        with self._lock:
            now = self._clock()
            while self._acts and self._acts[0] <= now - WINDOW_SECONDS:
                self._acts.popleft()
            if len(self._acts) >= self._per_minute:
                oldest = self._acts[0] if self._acts else now
                raise Retryable(
                    "the agent's limit of acts per minute is reached; raise max_acts_per_minute if this is meant",
                    after_seconds=max(0.1, oldest + WINDOW_SECONDS - now),
                )
            self._acts.append(now)


class Conversation:
    """Serves one connection until it ends. A request that is not understood ends it."""

    def __init__(self, link: socket.socket, adapters: Adapters, limit: ActLimit) -> None:
        self._link, self._adapters, self._limit = link, adapters, limit

    def run(self) -> None:
        try:
            while True:
                request = protocol.receive_json(self._link)
                if request is None:
                    return
                self._serve(request)
        except (protocol.ProtocolError, ValueError, TypeError, KeyError) as exc:
            # What was sent is not logged: it may name live material.
            log.warning("a connection sent what is no request (%s) and was closed", type(exc).__name__)
        except OSError:
            log.debug("a connection ended in the middle of a request")

    def _serve(self, request: dict[str, Any]) -> None:
        kind, method = request["adapter"], request["method"]
        call = protocol.CALLS[kind][method]
        given = request["args"]
        if set(given) != set(call.arguments):
            raise ValueError("other arguments than the contract's")
        args = {key: from_json(expected, given[key]) for key, expected in call.arguments.items()}
        answer: dict[str, Any] = {"v": protocol.VERSION, "id": request["id"]}
        try:
            adapter = self._named(kind, request["name"])
            if call.is_act:
                self._limit.count()
            found = getattr(adapter, method)(**args)
        except AdapterError as exc:
            log.info("%s: %s", method, exc.kind)
            protocol.send_json(self._link, {**answer, "error": protocol.error_to_json(exc)})
            return
        if isinstance(found, Reader):
            with found:
                protocol.send_json(self._link, {**answer, "ok": None})
                self._stream(found)
            return
        self._answer(answer, found)

    def _answer(self, answer: dict[str, Any], found: Any) -> None:
        try:
            protocol.send_json(self._link, {**answer, "ok": to_json(found)})
        except protocol.ProtocolError as exc:
            error = protocol.error_to_json(AdapterError(f"the answer does not fit: {exc}"))
            protocol.send_json(self._link, {**answer, "error": error})

    def _named(self, kind: str, name: str) -> Any:
        adapter = getattr(self._adapters, kind).get(name)
        if adapter is None:
            raise NotFound(f"the agent's settings name no such {kind}; add it there")
        return adapter

    def _stream(self, reader: Reader) -> None:
        """Hand out the body piece by piece until the worker has enough."""
        while True:
            request = protocol.receive_json(self._link)
            if request is None:
                return
            if request["method"] == "close":
                protocol.send_json(self._link, {"v": protocol.VERSION, "ok": None})
                return
            if request["method"] != "read":
                raise ValueError("only read and close while a body is open")
            size = from_json(int, request["size"])
            try:
                piece = reader.read(min(size, protocol.CHUNK_BYTES))
            except AdapterError as exc:
                protocol.send_json(self._link, {"v": protocol.VERSION, "error": protocol.error_to_json(exc)})
                return
            protocol.send_frame(self._link, protocol.BODY_FRAME, piece)
