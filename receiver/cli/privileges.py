"""Web, admin and worker hold no capability, even where somebody starts them as root."""

from __future__ import annotations

from adapters.agent.privileges import keep_only

PRIVILEGED_PORTS = 1024
BIND_LOW = "CAP_NET_BIND_SERVICE"


def drop_capabilities(*, bind: str = "") -> None:
    """Keep only what binding to a low port takes. Files of other users are closed to us afterwards."""
    port = bind.rpartition(":")[2]
    is_low = port.isdigit() and 0 < int(port) < PRIVILEGED_PORTS
    keep_only([BIND_LOW] if is_low else [], no_new_privileges=True)
