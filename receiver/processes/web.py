"""The public face as a process: takes signed requests, records them, answers. No credentials, no vault."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from receiver.api.app import create_public_app
from receiver.config.errors import ConfigError
from receiver.config.load import load_config
from receiver.config.models import Config
from receiver.domain.errors import ReceiverError
from receiver.logs import configure_logs
from receiver.processes.gunicorn_app import Face, Listen, WsgiApp
from receiver.store.errors import StoreBrokenError
from receiver.wiring import build_web

NOT_STARTED = 3
"""gunicorn's parent ends when a child says so before it served anything."""
BROKEN = 70
_LOG = logging.getLogger("receiver.web")


class WebProcess:
    """Settings are read in the parent and handed to its children by the fork; a bad file leaves the old ones."""

    def __init__(self, config_path: Path) -> None:
        self._path = config_path
        self._config: Config = load_config(config_path, os.environ)

    def listen(self) -> Listen:
        server = self._config.server
        return Listen(
            bind=server.public_bind,
            processes=server.web_processes,
            threads=server.web_threads,
            tls_cert_file=server.tls_cert_file,
            tls_key_file=server.tls_key_file,
        )

    def log_level(self) -> str:
        return self._config.server.log_level

    def build(self) -> tuple[WsgiApp, Callable[[], None]]:
        try:
            services = build_web(self._config)
        except ReceiverError as error:
            # The words say what to do; a traceback would only bury them.
            _LOG.error("not_started", extra={"problem": str(error)})
            raise SystemExit(NOT_STARTED) from error
        return create_public_app(services, on_failure=end_if_broken), services.close

    def recheck(self) -> None:
        try:
            self._config = load_config(self._path, os.environ)
        except ConfigError as error:
            for problem in error.problems:
                _LOG.error("settings.not_reloaded", extra={"problem": problem.line()})


def end_if_broken(error: BaseException) -> None:
    """After a failed write nobody knows what is durable, so this process must not write again.

    The parent starts another. Senders hear nothing and send again, which does nothing twice.
    """
    if isinstance(error, StoreBrokenError):
        os._exit(BROKEN)


def run_web(config_path: Path) -> None:
    """Serve until SIGTERM. Raises ConfigError before anything is bound."""
    process = WebProcess(config_path)
    configure_logs("web", process.log_level())
    Face(process.listen(), build=process.build, recheck=process.recheck).run()
