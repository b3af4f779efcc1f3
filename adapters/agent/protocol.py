"""What the worker and the agent say to each other over a unix socket.

A frame is one byte of kind, four bytes of length, and that many bytes: ``J`` holds JSON, ``B`` part of a body. A
request is ``{"v", "id", "adapter", "name", "method", "args"}``; the answer has the same ``id`` and either ``ok`` or
``error``. After `open` was answered the connection serves that one body: each ``read`` is answered by one ``B`` frame
of at most 1 MiB, an empty one at the end, until ``close``.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from adapters.contract import (
    ERRORS,
    AdapterError,
    BlockReceipt,
    CacheKey,
    Capabilities,
    DenyTarget,
    FreezeReceipt,
    GateReceipt,
    GateStatus,
    Json,
    Observation,
    OriginState,
    Partial,
    Pin,
    PurgeStatus,
    PurgeTicket,
    Ref,
    RemoveReceipt,
    Retryable,
    SealProof,
    UnblockReceipt,
    Unsupported,
)

VERSION = 1
MAX_FRAME_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
JSON_FRAME, BODY_FRAME = b"J", b"B"
HEAD = struct.Struct("!cI")
MAX_SOCKET_PATH_BYTES = 107


class ProtocolError(Exception):
    """The other side does not speak this protocol; the connection is closed."""


@dataclass(frozen=True)
class Call:
    """One method of the contract: its arguments' kinds and its result's. None: it returns nothing."""

    arguments: Mapping[str, Any]
    result: Any
    is_act: bool = False
    """Counted against the agent's own limit."""


STORAGE: Mapping[str, Call] = {
    "probe": Call({}, Capabilities),
    "observe": Call({"ref": Ref}, Observation),
    "block": Call({"ref": Ref, "observation": Observation, "op_id": str}, BlockReceipt, is_act=True),
    "freeze": Call({"ref": Ref, "receipt": BlockReceipt}, FreezeReceipt),
    "open": Call({"ref": Ref, "pin": Pin, "offset": int}, None),
    "origin_state": Call({"ref": Ref, "receipt": BlockReceipt}, OriginState),
    "remove": Call({"ref": Ref, "proof": SealProof, "receipt": BlockReceipt, "op_id": str}, RemoveReceipt, is_act=True),
    "unblock": Call({"ref": Ref, "receipt": BlockReceipt}, UnblockReceipt),
    "derivatives": Call({"ref": Ref}, tuple[Ref, ...]),
    "context": Call({"customer": str, "ref": Ref, "window_seconds": int}, Json),
}
GATES: Mapping[str, Call] = {
    "probe": Call({}, Capabilities),
    "deny": Call({"targets": tuple[DenyTarget, ...], "op_id": str}, GateReceipt, is_act=True),
    "allow": Call({"receipt": GateReceipt}, None),
    "state": Call({"receipt": GateReceipt}, GateStatus),
}
CACHES: Mapping[str, Call] = {
    "probe": Call({}, Capabilities),
    "purge": Call({"keys": tuple[CacheKey, ...], "op_id": str}, PurgeTicket),
    "status": Call({"ticket": PurgeTicket}, PurgeStatus),
}
CALLS: Mapping[str, Mapping[str, Call]] = {"storage": STORAGE, "gate": GATES, "cache": CACHES}


# --- frames


def send_frame(link: socket.socket, kind: bytes, payload: bytes) -> None:
    if len(payload) > MAX_FRAME_BYTES:
        raise ProtocolError("a frame of more than 4 MiB")
    link.sendall(HEAD.pack(kind, len(payload)) + payload)


def send_json(link: socket.socket, message: Mapping[str, Any]) -> None:
    send_frame(link, JSON_FRAME, json.dumps(message, separators=(",", ":")).encode("ascii"))


def receive_frame(link: socket.socket) -> Optional[tuple[bytes, bytes]]:
    """The next frame; None where the other side ended the connection between two frames."""
    head = _exactly(link, HEAD.size, may_end=True)
    if not head:
        return None
    kind, length = HEAD.unpack(head)
    if kind not in (JSON_FRAME, BODY_FRAME) or length > MAX_FRAME_BYTES:
        raise ProtocolError("no frame of this protocol")
    return kind, _exactly(link, length, may_end=False)


def receive_json(link: socket.socket) -> Optional[dict[str, Any]]:
    frame = receive_frame(link)
    return None if frame is None else json_of(frame)


def json_of(frame: tuple[bytes, bytes]) -> dict[str, Any]:
    kind, payload = frame
    if kind != JSON_FRAME:
        raise ProtocolError("a body where a message was due")
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError) as exc:
        raise ProtocolError("not JSON") from exc
    if not isinstance(message, dict) or message.get("v") != VERSION:
        raise ProtocolError("another version of this protocol")
    return message


def _exactly(link: socket.socket, size: int, *, may_end: bool) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = link.recv(min(size - len(data), 1 << 20))
        if not piece:
            if may_end and not data:
                return b""
            raise ProtocolError("the connection ended within a frame")
        data += piece
    return bytes(data)


# --- errors


def error_to_json(error: AdapterError) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": error.kind, "message": str(error)}
    if isinstance(error, Retryable):
        shown["after_seconds"] = error.after_seconds
    if isinstance(error, Unsupported):
        shown["capability"] = error.capability
    if isinstance(error, Partial):
        shown.update(done=list(error.done), left=list(error.left))
    return shown


def error_from_json(data: Mapping[str, Any]) -> AdapterError:
    """The same error again. One of a kind we do not know is the base of the family."""
    kind = ERRORS.get(str(data.get("kind")), AdapterError)
    message = str(data.get("message", "the agent failed"))
    if kind is Retryable:
        return Retryable(message, after_seconds=float(data.get("after_seconds", 2.0)))
    if kind is Unsupported:
        return Unsupported(str(data.get("capability", message)))
    if kind is Partial:
        done, left = data.get("done", ()), data.get("left", ())
        return Partial(message, done=[str(word) for word in done], left=[str(word) for word in left])
    found = kind(message)
    assert isinstance(found, AdapterError)
    return found


# --- the socket's address


def with_address(path: str, use: Any) -> Any:
    """Call `use` with an address for the socket at `path`, however long the path is.

    The kernel takes 107 bytes; a longer path is named through its folder's descriptor.
    """
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return use(path)
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return use(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)
