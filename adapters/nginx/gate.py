"""`NginxGate`: refuses exact URLs by a file that nginx includes. See README.md for what the operator adds to nginx."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Optional

from adapters.contract import (
    AdapterError,
    Capabilities,
    DenyTarget,
    GateAdapter,
    GateReceipt,
    GateStatus,
    Unsupported,
)
from adapters.nginx.denials import Denials
from adapters.nginx.files import read_or_empty
from adapters.nginx.map_files import MapFiles, digest
from adapters.nginx.reload import Reloader
from adapters.nginx.rules import MAX_TOKEN_BYTES, Rule, is_refused_decoded, is_too_long, rules_for, spelled_regex
from adapters.nginx.switch import Switch, first_state, names_of

STATUSES = (404, 410, 451)


class NginxGate(GateAdapter):
    """Keeps `map_file` and the folder `<map_file>.d`, and in `<map_file>.sqlite` what each operation denies.

    Args:
        name: for messages.
        map_file: absolute path of the file that nginx includes inside ``http { }``; only the agent writes it.
        reload_command: makes nginx read its configuration again; empty: SIGHUP to the master process in `pid_file`.
        test_command: is run before each reload, or None.
        status: what the operator's ``return`` answers: 404, 410 or 451.
        pid_file: nginx's own; lets `deny` return only once old workers take no more connections.
        generation_url: the same for an nginx in another container.
    """

    def __init__(
        self,
        name: str,
        map_file: str,
        reload_command: Sequence[str] = (),
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
        self._map_file, self._files = map_file, MapFiles(map_file)
        self._denials = Denials(map_file + ".sqlite", lambda: first_state(map_file))
        self._reloader = Reloader(reload_command, test_command, pid_file, generation_url)
        self._switch = Switch(map_file, self._files, self._denials, self._reloader)
        # What fails here is tried again, and told, by every act; whatever else this process serves works meanwhile.
        with contextlib.suppress(AdapterError, OSError):
            self._switch.mend()

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

    def close(self) -> None:
        self._denials.close()

    # --- deny and allow

    def _deny(self, targets: Sequence[DenyTarget], op_id: str) -> GateReceipt:
        rules = [rule for target in targets for rule in rules_for(target)]
        fitting = [rule for rule in rules if not is_too_long(rule)]
        if rules and not fitting:
            raise Unsupported(f"refusing URLs of more than {MAX_TOKEN_BYTES} bytes in nginx")
        with self._denials.changing() as change:
            change.deny(op_id, fitting)
        self._switch.bring(op_id, present=True)
        return GateReceipt(op_id=op_id, undo={"op_id": op_id}, residual=self._residual(rules))

    def _allow(self, receipt: GateReceipt) -> None:
        with self._denials.changing() as change:
            change.allow(receipt.op_id)
        self._switch.bring(receipt.op_id, present=False)

    def _state(self, receipt: GateReceipt) -> GateStatus:
        with self._denials.reading() as view:
            listed, applied = view.is_listed(receipt.op_id), view.is_applied(receipt.op_id)
            if not listed and not applied:
                return GateStatus.OPEN
            marks, names = view.marks(), names_of(view, receipt.op_id)
        # While a change is on its way to nginx, what nginx knows already is in both of its map files.
        live = digest(read_or_empty(self._map_file)) in (marks.live, self._switch.target)
        if listed and applied and live and names is not None and all(map(self._files.holds, names)):
            return GateStatus.DENYING
        return GateStatus.UNKNOWN

    def _residual(self, rules: Sequence[Rule]) -> tuple[str, ...]:
        residual = []
        if any(is_too_long(rule) for rule in rules):
            residual.append(f"URLs of more than {MAX_TOKEN_BYTES} bytes are not refused at this gate")
        unspelled = [rule for rule in rules if rule.query and len(spelled_regex(rule)) > MAX_TOKEN_BYTES]
        if any(map(is_refused_decoded, unspelled)):
            residual.append("a very long query is refused as written and decoded, not in every spelling")
        if not all(map(is_refused_decoded, unspelled)):
            residual.append("a very long query is refused only as written, not in every spelling")
        if not self._reloader.sees_effect:
            residual.append("nginx was told to reload; nobody saw when it did")
        return tuple(residual)
