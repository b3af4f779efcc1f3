"""`NginxGate`: refuses exact URLs by a file that nginx includes. See README.md for what the operator adds to nginx."""
from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from typing import Optional

from adapters.contract import (
    AdapterError,
    Capabilities,
    Denied,
    DenyTarget,
    GateAdapter,
    GateReceipt,
    GateStatus,
    Retryable,
    Unsupported,
)
from adapters.nginx.book import Book
from adapters.nginx.files import read_or_empty, write_durably
from adapters.nginx.reload import Reloader
from adapters.nginx.rules import MAX_TOKEN_BYTES, Rule, body_of, is_too_long, render, rules_for, spelled_regex, stamped

STATUSES = (404, 410, 451)


class NginxGate(GateAdapter):
    """Keeps `map_file`, and beside it `<map_file>.json` with what each operation denies.

    Args:
        name: for messages.
        map_file: absolute path of the file that nginx includes inside ``http { }``; only the agent writes it.
        reload_command: makes nginx read its configuration again; empty to send SIGHUP by `pid_file`.
        test_command: is run before each reload, or None.
        status: what the operator's ``return`` answers: 404, 410 or 451.
        pid_file: nginx's own; lets `deny` return only once old workers take no more connections.
        generation_url: the same for an nginx in another container.
    """

    def __init__(
        self,
        name: str,
        map_file: str,
        reload_command: Sequence[str],
        test_command: Optional[Sequence[str]] = None,
        status: int = 404,
        *,
        pid_file: str = "",
        generation_url: str = "",
    ) -> None:
        if not os.path.isabs(map_file) or not os.path.isdir(os.path.dirname(map_file)):
            raise ValueError("map_file must be an absolute path in an existing folder")
        if status not in STATUSES:
            raise ValueError("status must be 404, 410 or 451")
        self.name, self.status = name, status
        self._map_file = map_file
        self._book = Book(map_file + ".json")
        self._reloader = Reloader(reload_command, test_command, pid_file, generation_url)
        self._applying = threading.Lock()
        # nginx does not start while an included file is missing; one that was lost must not let anything up.
        if not os.path.exists(map_file):
            state = self._book.load()
            write_durably(map_file, render(state.rules(), str(state.generation)))

    def __repr__(self) -> str:
        return f"NginxGate(name={self.name!r})"

    def _probe(self) -> Capabilities:
        lost = []
        try:
            self._reloader.check_configuration()
        except AdapterError as exc:
            lost.append(str(exc))
        if not self._reloader.sees_effect:
            lost.append("without pid_file or generation_url nobody sees when a reload takes effect")
        return Capabilities(name=self.name, can=("deny", "allow", "state"), lost=tuple(lost))

    # --- deny and allow

    def _deny(self, targets: Sequence[DenyTarget], op_id: str) -> GateReceipt:
        rules = [rule for target in targets for rule in rules_for(target)]
        fitting = [rule for rule in rules if not is_too_long(rule)]
        if rules and not fitting:
            raise Unsupported(f"refusing URLs of more than {MAX_TOKEN_BYTES} bytes in nginx")
        with self._book.changing() as state:
            if op_id in state.spent:
                raise Denied("this operation was taken back; whoever sends it now comes too late")
            state.ops.setdefault(op_id, fitting)
        self._apply(op_id, present=True)
        return GateReceipt(op_id=op_id, undo={"op_id": op_id}, residual=self._residual(rules))

    def _allow(self, receipt: GateReceipt) -> None:
        with self._book.changing() as state:
            state.spend(receipt.op_id)
            taken_back = state.ops.pop(receipt.op_id, None)
            if taken_back is not None:
                state.leaving[receipt.op_id] = taken_back
        self._apply(receipt.op_id, present=False)

    def _state(self, receipt: GateReceipt) -> GateStatus:
        state = self._book.load()
        listed, applied = receipt.op_id in state.ops, receipt.op_id in state.applied
        if not listed and not applied:
            return GateStatus.OPEN
        if listed and applied and state.is_live(read_or_empty(self._map_file)):
            return GateStatus.DENYING
        return GateStatus.UNKNOWN

    def _residual(self, rules: Sequence[Rule]) -> tuple[str, ...]:
        residual = []
        if any(is_too_long(rule) for rule in rules):
            residual.append(f"URLs of more than {MAX_TOKEN_BYTES} bytes are not refused at this gate")
        if any(rule.query and len(spelled_regex(rule)) > MAX_TOKEN_BYTES for rule in rules):
            residual.append("a very long query is refused as written and decoded, not in every spelling")
        if not self._reloader.sees_effect:
            residual.append("nginx was told to reload; nobody saw when it did")
        return tuple(residual)

    def _apply(self, op_id: str, *, present: bool) -> None:
        """Bring nginx to what the book says. Callers that wait here meanwhile find their own change already live."""
        with self._applying:
            before = read_or_empty(self._map_file)
            with self._book.changing() as state:
                if present != (op_id in state.ops):
                    raise Retryable("nginx refused a rule that was changed together with this one; try again")
                if (op_id in state.applied) == present and state.is_live(before):
                    return
                body = body_of(state.rules())
                unchanged = state.is_live(before) and stamped(body, str(state.generation)) == before
                state.generation += not unchanged
            text = stamped(body, str(state.generation))
            if not unchanged:
                self._switch(before, text, str(state.generation))
            with self._book.changing() as after:
                after.applied = sorted(state.ops)
                after.sha256 = hashlib.sha256(text).hexdigest()
                after.leaving = {op: rules for op, rules in after.leaving.items() if op not in state.leaving}

    def _switch(self, before: bytes, text: bytes, generation: str) -> None:
        write_durably(self._map_file, text)
        try:
            self._reloader.check_configuration()
        except AdapterError:
            write_durably(self._map_file, before or render([], "0"))
            with self._book.changing() as state:
                state.ops = {op: rules for op, rules in state.ops.items() if op in state.applied}
                state.ops.update(state.leaving)
                state.spent = [op for op in state.spent if op not in state.leaving]
                state.leaving = {}
            raise
        self._reloader.reload(generation)
