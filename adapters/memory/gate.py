"""A gate in memory. `refuses` is the server's side of it: the request as it came, decoded as a server would."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from adapters.contract import Capabilities, Denied, DenyTarget, GateAdapter, GateReceipt, GateStatus


class MemoryGate(GateAdapter):
    """Keeps each operation's targets apart, so that taking back one leaves what another denies."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._denied: dict[str, tuple[DenyTarget, ...]] = {}
        self._spent: set[str] = set()

    def __repr__(self) -> str:
        return f"MemoryGate({self.name!r})"

    def refuses(self, host: str, target: bytes) -> bool:
        """Whether a request for this target (path and query, as on the wire) is turned away."""
        raw_path, mark, query = target.partition(b"?")
        path = plain_path(raw_path)
        with self._lock:
            return any(
                rule.host == host and rule.path == path and (rule.any_query or rule.query == (query if mark else None))
                for rules in self._denied.values()
                for rule in rules
            )

    def _probe(self) -> Capabilities:
        return Capabilities(name="memory", version="1", can=("deny",), lost=("It is gone when the process ends.",))

    def _deny(self, targets: Sequence[DenyTarget], op_id: str) -> GateReceipt:
        with self._lock:
            if op_id in self._spent:
                # It was on its way when somebody took it back.
                raise Denied("this operation was taken back; whoever sends it now comes too late")
            self._denied[op_id] = tuple(targets)
        return GateReceipt(op_id=op_id, undo={"urls": len(targets)})

    def _allow(self, receipt: GateReceipt) -> None:
        with self._lock:
            self._spent.add(receipt.op_id)
            self._denied.pop(receipt.op_id, None)

    def _state(self, receipt: GateReceipt) -> GateStatus:
        with self._lock:
            return GateStatus.DENYING if receipt.op_id in self._denied else GateStatus.OPEN


def plain_path(raw: bytes) -> bytes:
    """Decode once, then merge slashes and resolve dots, which is what servers do before they look for a file."""
    path = posixpath.normpath(b"/" + unquote_to_bytes(raw).lstrip(b"/"))
    return path + b"/" if raw.endswith(b"/") and path != b"/" else path
