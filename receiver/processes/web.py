"""The public face as a process: takes signed requests, records them, answers. No credentials, no vault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from receiver.api.app import create_public_app
from receiver.processes.gunicorn_app import Listen, WsgiApp
from receiver.processes.served import FaceProcess, end_if_broken
from receiver.wiring import build_web


class WebProcess(FaceProcess):
    role = "web"

    def listen(self) -> Listen:
        server = self._config.server
        return Listen(
            bind=server.public_bind,
            processes=server.web_processes,
            threads=server.web_threads,
            tls_cert_file=server.tls_cert_file,
            tls_key_file=server.tls_key_file,
        )

    def application(self) -> tuple[WsgiApp, Callable[[], None]]:
        services = build_web(self._config)
        return create_public_app(services, on_failure=end_if_broken), services.close


def run_web(config_path: Path) -> None:
    """Serve until SIGTERM. Raises ConfigError before anything is bound."""
    WebProcess(config_path).run()
