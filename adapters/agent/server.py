"""The privileged process: ``python -m adapters.agent.server --settings agent.toml``."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import stat
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Optional

from adapters.agent import privileges, protocol
from adapters.agent.dispatch import ActLimit, Conversation
from adapters.agent.settings import Adapters, AgentSettings, SettingsError, build, load
from adapters.contract import AdapterError, Denied, Retryable

log = logging.getLogger("takedown.agent")

MAX_CONNECTIONS = 64
IDLE_SECONDS = 900.0
DRAIN_SECONDS = 30.0
ACCEPT_POLL_SECONDS = 0.05
PEER = struct.Struct("3i")


def serve(
    settings: AgentSettings,
    stop_event: threading.Event,
    *,
    adapters: Optional[Adapters] = None,
    on_ready: Optional[Callable[[], None]] = None,
) -> None:
    """Listen until `stop_event` is set; then let running requests end.

    Raises SettingsError with all mistakes, also when another agent answers at the socket. Drops no privileges: `main`
    does that before. Adapters that are handed in stay open, since whoever made them may serve with them again.
    """
    if adapters is not None:
        Agent(settings, adapters).run(stop_event, on_ready)
        return
    with contextlib.closing(build(settings)) as ours:
        Agent(settings, ours).run(stop_event, on_ready)


class Agent:
    def __init__(self, settings: AgentSettings, adapters: Adapters) -> None:
        self._settings, self._adapters = settings, adapters
        self._limit = ActLimit(settings.max_acts_per_minute)
        self._allowed = frozenset(settings.allow_uids) or frozenset({0, os.getuid()})
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()

    def run(self, stop_event: threading.Event, on_ready: Optional[Callable[[], None]] = None) -> None:
        listener = _listen(self._settings)
        with contextlib.closing(listener):
            try:
                log.info("the agent listens")
                if on_ready is not None:
                    on_ready()
                while not stop_event.is_set():
                    with contextlib.suppress(TimeoutError, socket.timeout):
                        self._welcome(listener.accept()[0])
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._settings.socket)
                self._drain()

    def _welcome(self, link: socket.socket) -> None:
        refusal = self._refusal(link)
        if refusal is not None:
            with contextlib.closing(link), contextlib.suppress(OSError):
                link.settimeout(1.0)
                protocol.send_json(link, {"v": protocol.VERSION, "error": protocol.error_to_json(refusal)})
            return
        link.settimeout(IDLE_SECONDS)
        thread = threading.Thread(target=self._converse, args=(link,), name="agent-connection", daemon=True)
        with self._lock:
            self._open[link] = thread
        thread.start()

    def _refusal(self, link: socket.socket) -> Optional[AdapterError]:
        _, uid, _ = PEER.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
        if uid not in self._allowed:
            log.warning("user %d may not use the agent", uid)
            return Denied("this user may not use the agent; add its number to allow_uids in the agent's settings")
        with self._lock:
            if len(self._open) >= MAX_CONNECTIONS:
                return Retryable("the agent has too many connections")
        return None

    def _converse(self, link: socket.socket) -> None:
        try:
            Conversation(link, self._adapters, self._limit).run()
        finally:
            with self._lock:
                del self._open[link]
            link.close()

    def _drain(self) -> None:
        """No new requests; those that run may finish."""
        with self._lock:
            still = dict(self._open)
        for link in still:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RD)
        for thread in still.values():
            thread.join(DRAIN_SECONDS)


def _listen(settings: AgentSettings) -> socket.socket:
    path = settings.socket
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=0o750)
        if settings.socket_group >= 0:
            os.chown(folder, -1, settings.socket_group)
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        protocol.with_address(path, listener.bind)
        os.chmod(path, 0o660)
        if settings.socket_group >= 0:
            os.chown(path, -1, settings.socket_group)
        listener.listen(MAX_CONNECTIONS)
        listener.settimeout(ACCEPT_POLL_SECONDS)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: str) -> None:
    """Only a socket that nobody answers is removed."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SettingsError("socket: something that is no socket stands at this path; move it away")
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as attempt:
        attempt.settimeout(2.0)
        try:
            protocol.with_address(path, attempt.connect)
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
    raise SettingsError("socket: another agent answers here; stop it first")


def needed_capabilities(settings: AgentSettings) -> tuple[str, ...]:
    """The five of the filesystem, and one more where nginx is to test a configuration with ports below 1024."""
    if any(table.get("test_command") for table in settings.gates.values()):
        return (*privileges.NEEDED, "CAP_NET_BIND_SERVICE")
    return privileges.NEEDED


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Exit codes: 0 after a signal, 2 for mistakes in the settings."""
    parser = argparse.ArgumentParser(prog="takedown-agent", description="Acts on this machine's files and gates.")
    parser.add_argument("--settings", required=True, help="agent.toml or agent.json")
    path = parser.parse_args(argv).settings
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stop_event = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop_event.set())
    try:
        settings = load(path)
        privileges.keep_only(needed_capabilities(settings), no_new_privileges=settings.no_new_privileges)
        serve(settings, stop_event)
    except SettingsError as exc:
        print(exc, file=sys.stderr)  # noqa: T201  # for the person who typed the command
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
