"""The agent as a process of ours: signals, settings read again, and the words for a person when it cannot start."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType

import structlog

from adapters.agent import privileges
from adapters.agent.server import needed_capabilities, serve
from adapters.agent.settings import Adapters, AgentSettings, SettingsError, build, load

SETTINGS_REFUSED = 3
log = structlog.get_logger(__name__)


def run_agent(settings_file: Path) -> int:
    """Serve until SIGTERM or SIGINT. SIGHUP reads the settings again; mistakes keep the old ones.

    Capabilities are given up once, at the start: a changed file can name other folders, but win no rights back.
    """
    try:
        settings = load(str(settings_file))
        privileges.keep_only(needed_capabilities(settings), no_new_privileges=settings.no_new_privileges)
        return _Agent(settings_file, settings, build(settings)).run()
    except SettingsError as error:
        _say("settings.refused", error)
        return SETTINGS_REFUSED


class _Agent:
    def __init__(self, settings_file: Path, settings: AgentSettings, adapters: Adapters) -> None:
        self._file, self._settings, self._adapters = settings_file, settings, adapters
        self._pause = threading.Event()
        """Ends one round of serving; the next begins with what `_settings` is then."""
        self._stopping = self._reload = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            while not self._stopping:
                serve(self._settings, self._pause, adapters=self._adapters, on_ready=lambda: log.info("agent.started"))
                self._pause.clear()
                if self._reload:
                    self._read_again()
        finally:
            self._adapters.close()
        log.info("agent.ended")
        return 0

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reload = True
        else:
            self._stopping = True
        self._pause.set()

    def _read_again(self) -> None:
        self._reload = False
        try:
            settings = load(str(self._file))
            adapters = build(settings)
        except SettingsError as error:
            _say("reload.refused", error)
            return
        before, self._settings, self._adapters = self._adapters, settings, adapters
        # Whatever was running has ended: a round of serving drains before it returns.
        before.close()
        log.info("reload.done")


def _say(event: str, error: SettingsError) -> None:
    for line in str(error).splitlines():
        log.error(event, problem=line)
