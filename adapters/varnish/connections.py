"""Connections to one Varnish, kept open from one purge to the next."""

from __future__ import annotations

import http.client
import threading
import time
import weakref
from collections.abc import Callable

from adapters.varnish.settings import VarnishSettings

KEEP_SECONDS = 4.0
"""Varnish itself gives up a connection after 5 silent seconds (`timeout_idle`); whoever is first finds no dead one."""
MAX_IDLE = 16


class Connections:
    """Safe to share between threads: each purge has a connection to itself while it lasts."""

    def __init__(self, settings: VarnishSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._monotonic = settings, monotonic
        self._lock = threading.Lock()
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        """The latest used comes last, with when that was."""
        # An adapter that nobody closed leaves no socket behind either.
        weakref.finalize(self, _close_all, self._idle)

    def kept(self) -> http.client.HTTPConnection | None:
        """One that was used lately; the other side may have closed it all the same."""
        with self._lock:
            used, connection = self._idle.pop() if self._idle else (0.0, None)
            if connection is None or self._monotonic() - used <= KEEP_SECONDS:
                return connection
            _close_all(self._idle)  # they are older still
        connection.close()
        return None

    def fresh(self) -> http.client.HTTPConnection:
        host, port = self._settings.address
        return http.client.HTTPConnection(host, port, timeout=self._settings.timeout_seconds)

    def keep(self, connection: http.client.HTTPConnection) -> None:
        """Only one whose last answer was read to its end."""
        with self._lock:
            if connection.sock is not None and len(self._idle) < MAX_IDLE:
                self._idle.append((self._monotonic(), connection))
                return
        connection.close()

    def close(self) -> None:
        with self._lock:
            _close_all(self._idle)


def _close_all(idle: list[tuple[float, http.client.HTTPConnection]]) -> None:
    while idle:
        idle.pop()[1].close()
