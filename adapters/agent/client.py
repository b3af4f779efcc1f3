"""The worker's end: adapters that ask the agent. Safe to use from many threads."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Sequence
from typing import Any

from adapters.agent import protocol
from adapters.contract import (
    AdapterError,
    BlockReceipt,
    CacheAdapter,
    CacheHints,
    CacheKey,
    Capabilities,
    DenyTarget,
    FreezeReceipt,
    GateAdapter,
    GateReceipt,
    GateStatus,
    Json,
    Observation,
    OriginState,
    Pin,
    PurgeStatus,
    PurgeTicket,
    Reader,
    Ref,
    RemoveReceipt,
    Retryable,
    SealProof,
    StorageAdapter,
    UnblockReceipt,
    from_json,
    to_json,
)
from adapters.nginx.cache import url_variants

MAX_IDLE = 8
CALL_SECONDS = 180.0
CONNECT_SECONDS = 5.0
AWAY = "the agent does not answer; is `takedown-receiver agent` running?"


class Link:
    """Connections to one agent; idle ones are kept for the next call."""

    def __init__(self, kind: str, name: str, socket_path: str) -> None:
        self._kind, self._name, self._path = kind, name, socket_path
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._closed = False

    def call(self, method: str, **args: Any) -> Any:
        """Ask once and rebuild the answer. Every method may be called again, so a connection gone stale is replaced."""
        connection, answer = self.ask(method, **args)
        self.give_back(connection)
        expected = protocol.CALLS[self._kind][method].result
        if expected is None:
            return None
        try:
            return from_json(expected, answer)
        except (ValueError, TypeError, KeyError) as exc:
            raise AdapterError("the agent answered something else; is it of the same version?") from exc

    def ask(self, method: str, **args: Any) -> tuple[socket.socket, Any]:
        """The answer, and the connection it came by."""
        request = {
            "v": protocol.VERSION,
            "id": next(self._ids),
            "adapter": self._kind,
            "name": self._name,
            "method": method,
            "args": {key: to_json(value) for key, value in args.items()},
        }
        while True:
            connection, fresh = self._take()
            try:
                # An agent that refuses the connection as such says so and hangs up, maybe before it heard us.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    protocol.send_json(connection, request)
                answer = protocol.receive_json(connection)
            except (OSError, protocol.ProtocolError) as exc:
                connection.close()
                if not fresh and not isinstance(exc, TimeoutError):
                    continue
                raise Retryable(AWAY) from exc
            if answer is None:
                connection.close()
                if not fresh:
                    continue
                raise Retryable(AWAY)
            return connection, self._checked(connection, answer, request["id"])

    def _checked(self, connection: socket.socket, answer: dict[str, Any], number: object) -> Any:
        if "error" in answer:
            # Without a number the agent refused the connection as such, and has closed it.
            if answer.get("id") == number:
                self.give_back(connection)
            else:
                connection.close()
            raise protocol.error_from_json(answer["error"])
        if answer.get("id") != number:
            connection.close()
            raise AdapterError("the agent answered another question; is it of the same version?")
        return answer.get("ok")

    def _take(self) -> tuple[socket.socket, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), False
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_SECONDS)
            protocol.with_address(self._path, connection.connect)
            connection.settimeout(CALL_SECONDS)
        except OSError as exc:
            connection.close()
            raise Retryable(AWAY) from exc
        return connection, True

    def give_back(self, connection: socket.socket) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


class AgentReader(Reader):
    """A body that the agent reads; it owns its connection until it is closed."""

    def __init__(self, link: Link, connection: socket.socket) -> None:
        self._link, self._connection = link, connection
        self._open = True

    def _read(self, size: int) -> bytes:
        if not self._open:
            raise ValueError("the reader is closed")
        try:
            protocol.send_json(self._connection, {"v": protocol.VERSION, "method": "read", "size": size})
            frame = protocol.receive_frame(self._connection)
        except (OSError, protocol.ProtocolError) as exc:
            self._give_up()
            raise Retryable(AWAY) from exc
        if frame is None:
            self._give_up()
            raise Retryable(AWAY)
        if frame[0] == protocol.BODY_FRAME:
            return frame[1]
        answer = protocol.json_of(frame)
        self._give_up()
        raise protocol.error_from_json(answer.get("error", {}))

    def _close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            protocol.send_json(self._connection, {"v": protocol.VERSION, "method": "close"})
            ended = protocol.receive_json(self._connection)
        except (OSError, protocol.ProtocolError):
            ended = None
        if ended is None:
            self._connection.close()
        else:
            self._link.give_back(self._connection)

    def _give_up(self) -> None:
        self._open = False
        self._connection.close()

    def __del__(self) -> None:
        # Never read to its end nor closed: ending the connection tells the agent to close the file.
        if self._open:
            self._connection.close()


class AgentStorage(StorageAdapter):
    """A filesystem store on the agent's machine, by the name it has in the agent's own settings."""

    def __init__(self, name: str, socket_path: str) -> None:
        self.name = name
        self._link = Link("storage", name, socket_path)

    def __repr__(self) -> str:
        return f"AgentStorage(name={self.name!r})"

    def close(self) -> None:
        self._link.close()

    def _probe(self) -> Capabilities:
        found: Capabilities = self._link.call("probe")
        return found

    def _observe(self, ref: Ref) -> Observation:
        found: Observation = self._link.call("observe", ref=ref)
        return found

    def _block(self, ref: Ref, observation: Observation, op_id: str) -> BlockReceipt:
        found: BlockReceipt = self._link.call("block", ref=ref, observation=observation, op_id=op_id)
        return found

    def _freeze(self, ref: Ref, receipt: BlockReceipt) -> FreezeReceipt:
        found: FreezeReceipt = self._link.call("freeze", ref=ref, receipt=receipt)
        return found

    def _open(self, ref: Ref, pin: Pin, offset: int) -> Reader:
        connection, _ = self._link.ask("open", ref=ref, pin=pin, offset=offset)
        return AgentReader(self._link, connection)

    def _origin_state(self, ref: Ref, receipt: BlockReceipt) -> OriginState:
        found: OriginState = self._link.call("origin_state", ref=ref, receipt=receipt)
        return found

    def _remove(self, ref: Ref, proof: SealProof, receipt: BlockReceipt, op_id: str) -> RemoveReceipt:
        found: RemoveReceipt = self._link.call("remove", ref=ref, proof=proof, receipt=receipt, op_id=op_id)
        return found

    def _unblock(self, ref: Ref, receipt: BlockReceipt) -> UnblockReceipt:
        found: UnblockReceipt = self._link.call("unblock", ref=ref, receipt=receipt)
        return found

    def _derivatives(self, ref: Ref) -> tuple[Ref, ...]:
        found: tuple[Ref, ...] = self._link.call("derivatives", ref=ref)
        return found

    def _context(self, customer: str, ref: Ref, window_seconds: int) -> Json:
        found: Json = self._link.call("context", customer=customer, ref=ref, window_seconds=window_seconds)
        return found


class AgentGate(GateAdapter):
    """A gate on the agent's machine, by the name it has in the agent's own settings."""

    def __init__(self, name: str, socket_path: str) -> None:
        self.name = name
        self._link = Link("gate", name, socket_path)

    def __repr__(self) -> str:
        return f"AgentGate(name={self.name!r})"

    def close(self) -> None:
        self._link.close()

    def _probe(self) -> Capabilities:
        found: Capabilities = self._link.call("probe")
        return found

    def _deny(self, targets: Sequence[DenyTarget], op_id: str) -> GateReceipt:
        found: GateReceipt = self._link.call("deny", targets=tuple(targets), op_id=op_id)
        return found

    def _allow(self, receipt: GateReceipt) -> None:
        self._link.call("allow", receipt=receipt)

    def _state(self, receipt: GateReceipt) -> GateStatus:
        found: GateStatus = self._link.call("state", receipt=receipt)
        return found


class AgentCache(CacheAdapter):
    """A cache on the agent's machine, by the name it has in the agent's own settings."""

    def __init__(self, name: str, socket_path: str) -> None:
        self.name = name
        self._link = Link("cache", name, socket_path)

    def __repr__(self) -> str:
        return f"AgentCache(name={self.name!r})"

    def close(self) -> None:
        self._link.close()

    def _probe(self) -> Capabilities:
        found: Capabilities = self._link.call("probe")
        return found

    def _variants(self, url: str, hints: CacheHints) -> tuple[CacheKey, ...]:
        return url_variants(url, hints)

    def _purge(self, keys: Sequence[CacheKey], op_id: str) -> PurgeTicket:
        found: PurgeTicket = self._link.call("purge", keys=tuple(keys), op_id=op_id)
        return found

    def _status(self, ticket: PurgeTicket) -> PurgeStatus:
        found: PurgeStatus = self._link.call("status", ticket=ticket)
        return found
