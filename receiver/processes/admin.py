"""The staff side as a process: pages, API and figures, on an address that the public cannot reach."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from receiver.admin.app import create_admin_app
from receiver.config.errors import ConfigError
from receiver.config.load import load_config
from receiver.config.models import Config
from receiver.domain.errors import ReceiverError
from receiver.logs import configure_logs
from receiver.processes.gunicorn_app import Face, Listen, WsgiApp
from receiver.processes.web import NOT_STARTED, end_if_broken
from receiver.wiring import build_admin

_LOG = logging.getLogger("receiver.admin")


class AdminProcess:
    """Settings are read in the parent and handed to its child by the fork; a bad file leaves the old ones."""

    def __init__(self, config_path: Path) -> None:
        self._path = config_path
        self._config: Config = load_config(config_path, os.environ)

    def listen(self) -> Listen:
        server = self._config.server
        return Listen(bind=server.admin_bind, processes=1, threads=server.admin_threads)

    def log_level(self) -> str:
        return self._config.server.log_level

    def build(self) -> tuple[WsgiApp, Callable[[], None]]:
        try:
            services = build_admin(self._config)
        except ReceiverError as error:
            # The words say what to do; a traceback would only bury them.
            _LOG.error("not_started", extra={"problem": str(error)})
            raise SystemExit(NOT_STARTED) from error
        return create_admin_app(services, on_failure=end_if_broken), services.close

    def recheck(self) -> None:
        try:
            self._config = load_config(self._path, os.environ)
        except ConfigError as error:
            for problem in error.problems:
                _LOG.error("settings.not_reloaded", extra={"problem": problem.line()})


def run_admin(config_path: Path) -> None:
    """Serve until SIGTERM. Raises ConfigError before anything is bound."""
    process = AdminProcess(config_path)
    configure_logs("admin", process.log_level())
    Face(process.listen(), build=process.build, recheck=process.recheck).run()
