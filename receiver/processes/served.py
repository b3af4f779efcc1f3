"""What the two faces have in common as processes: their settings, how they start, and how they read them again."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from receiver.config.at_start import in_force
from receiver.config.errors import ConfigError
from receiver.config.load import load_config
from receiver.config.models import Config
from receiver.domain.errors import ReceiverError
from receiver.logs import configure_logs
from receiver.processes.gunicorn_app import Face, Listen, WsgiApp
from receiver.processes.reloading import say_waiting
from receiver.store.errors import StoreBrokenError

NOT_STARTED = 3
"""gunicorn's parent ends when a child says so before it served anything."""
BROKEN = 70


class FaceProcess(ABC):
    """Settings are read in the parent and handed to its children by the fork; a bad file leaves the old ones."""

    role: str

    def __init__(self, config_path: Path) -> None:
        self._path = config_path
        self._config: Config = load_config(config_path, os.environ)

    @abstractmethod
    def listen(self) -> Listen: ...

    @abstractmethod
    def application(self) -> tuple[WsgiApp, Callable[[], None]]:
        """The application and what ends it. Raises ReceiverError where it cannot serve."""

    def build(self) -> tuple[WsgiApp, Callable[[], None]]:
        try:
            return self.application()
        except ReceiverError as error:
            log = logging.getLogger(f"receiver.{self.role}")
            log.error("not_started", extra={"problem": str(error)})  # noqa: TRY400 - the words say what to do
            raise SystemExit(NOT_STARTED) from error

    def recheck(self) -> None:
        try:
            self._config, waiting = in_force(self.role, self._config, load_config(self._path, os.environ))
            say_waiting(waiting)
        except ConfigError as error:
            log = logging.getLogger(f"receiver.{self.role}")
            for problem in error.problems:
                log.error("reload.refused", extra={"problem": problem.line()})  # noqa: TRY400 - a list of mistakes

    def run(self) -> None:
        configure_logs(self.role, self._config.server.log_level)
        Face(self.listen(), build=self.build, recheck=self.recheck).run()


def end_if_broken(error: BaseException) -> None:
    """After a failed write nobody knows what is durable, so this process must not write again.

    The parent starts another. Senders hear nothing and send again, which does nothing twice.
    """
    if isinstance(error, StoreBrokenError):
        os._exit(BROKEN)
