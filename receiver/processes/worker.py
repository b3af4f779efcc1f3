"""The worker process: builds its parts, answers signals, ends in order."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType

import structlog

from adapters.contract import AdapterError
from adapters.registry import RegistryError
from receiver.config import Config, load_config
from receiver.config.at_start import in_force
from receiver.domain.errors import ReceiverError
from receiver.processes.reloading import say_waiting
from receiver.wiring import BuiltWorker, build_worker

log = structlog.get_logger(__name__)


def run_worker(config_path: Path, *, slot: str = "worker-0") -> int:
    """Run until SIGTERM or SIGINT. SIGHUP reads the settings again; mistakes keep the old ones."""
    config = load_config(config_path, os.environ)
    built = build_worker(config, slot=slot)
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
    watcher = threading.Thread(target=_reloads, args=(built, config, reload, stopping), daemon=True)
    watcher.start()
    log.info("worker.started", slot=slot, pid=os.getpid())
    built.run()
    log.info("worker.ended")
    return 0


def _reloads(built: BuiltWorker, config: Config, reload: threading.Event, stopping: threading.Event) -> None:
    while True:
        reload.wait()
        reload.clear()
        if stopping.is_set():
            return
        try:
            wanted, waiting = in_force("worker", config, load_config(config.source, os.environ))
            built.reload(wanted)
        except (ReceiverError, AdapterError, RegistryError, OSError) as exc:
            # This thread must live on, or no later signal would be heard.
            log.error("reload.refused", error=_words(exc))  # noqa: TRY400 - the words say what is wrong with the file
            continue
        config = wanted
        say_waiting(waiting)
        log.info("reload.done")


def _words(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) else str(error)
