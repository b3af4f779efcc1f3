"""The staff side as a process: pages, API and figures, on an address that the public cannot reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from receiver.admin.app import create_admin_app
from receiver.processes.gunicorn_app import Listen, WsgiApp
from receiver.processes.served import FaceProcess, end_if_broken
from receiver.wiring import build_admin


class AdminProcess(FaceProcess):
    role = "admin"

    def listen(self) -> Listen:
        server = self._config.server
        return Listen(bind=server.admin_bind, processes=1, threads=server.admin_threads)

    def application(self) -> tuple[WsgiApp, Callable[[], None]]:
        services = build_admin(self._config)
        return create_admin_app(services, on_failure=end_if_broken), services.close


def run_admin(config_path: Path) -> None:
    """Serve until SIGTERM. Raises ConfigError before anything is bound."""
    AdminProcess(config_path).run()
