"""Plays scenarios in forked processes: everything is imported once, so that a play costs no start of Python."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import structlog

from tests.faults import scenario_plants
from tests.faults.scenario import check, play, prepare
from tests.faults.scenario_host import Places
from tests.faults.scenario_parts import Keys


def _child(keys: Keys, order: dict[str, Any]) -> int:
    places = Places(root=Path(order["folder"]))
    log = os.open(places.root / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    scenario_plants.steady_files(order.get("inodes", {}))
    if order.get("plant"):
        scenario_plants.PLANTS[order["plant"]]()
    if order["op"] == "check":
        result = check(places, keys, order["script"], done=order.get("done", False))
        (places.root / "result").write_text(json.dumps(result))
        return 0
    if order.get("held"):
        os.kill(os.getpid(), signal.SIGSTOP)
    return play(places, keys, order["script"], patient=order.get("patient", False))


def _fork(keys: Keys, order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        code = _child(keys, order)
    except BaseException:  # noqa: BLE001 - a forked child must never go on as the server
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def warm_up(keys: Keys) -> None:
    """One play here, so that whatever is imported or compiled late is there in every child."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer(key_order=["event"])],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    scenario_plants.share_statements()
    with tempfile.TemporaryDirectory() as folder:
        places = Places(root=Path(folder))
        prepare(places, keys, "withdraw")
        play(places, keys, "withdraw", patient=False)


def serve() -> None:
    """Orders are lines of JSON on standard input; each has one line of answer."""
    keys = Keys()
    warm_up(keys)
    for line in sys.stdin:
        order = json.loads(line)
        answer: Any = None
        if order["op"] == "prepare":
            prepare(Places(root=Path(order["folder"])), keys, order["script"])
        elif order["op"] == "wait":
            answer = os.waitpid(order["pid"], 0)[1]
        else:
            answer = _fork(keys, order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
