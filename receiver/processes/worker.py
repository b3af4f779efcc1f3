"""The worker process: builds its parts, answers signals, ends in order."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType

import structlog

from receiver.config import ConfigError, load_config
from receiver.domain.errors import ReceiverError
from receiver.wiring import BuiltWorker, build_worker

log = structlog.get_logger(__name__)


def run_worker(config_path: Path, *, slot: str = "worker-0") -> int:
    """Run until SIGTERM or SIGINT. SIGHUP reads the settings again; mistakes keep the old ones."""
    built = build_worker(load_config(config_path, os.environ), slot=slot)
    reload = threading.Event()
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()
        reload.set()
        built.stop()

    def hup(_number: int, _frame: FrameType | None) -> None:
        reload.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, hup)
    watcher = threading.Thread(target=_reloads, args=(built, config_path, reload, stopping), daemon=True)
    watcher.start()
    log.info("worker.started", slot=slot, pid=os.getpid())
    built.run()
    log.info("worker.ended")
    return 0


def _reloads(built: BuiltWorker, config_path: Path, reload: threading.Event, stopping: threading.Event) -> None:
    while True:
        reload.wait()
        reload.clear()
        if stopping.is_set():
            return
        try:
            built.reload(load_config(config_path, os.environ))
        except (ConfigError, ReceiverError) as exc:
            log.error("reload.refused", error=str(exc))  # noqa: TRY400 - the words say what is wrong with the file
            continue
        log.info("reload.done")
