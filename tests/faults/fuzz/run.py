"""Runs harnesses under atheris: `python -m tests.faults.fuzz.run FOLDER SECONDS SEED JOBS NAME…`.

Only our own code is instrumented, as it is imported, which takes seconds; so that is done once, and each harness runs
in a fork. What each said lies in FOLDER/NAME.log, what broke it in FOLDER/NAME-crash-…, its inputs in FOLDER/NAME.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import atheris
import can_ada
import cryptography.hazmat.primitives.asymmetric.rsa
import http_message_signatures
import http_sf
import pydantic
import rfc8785
import sqlalchemy

from tests.faults.fuzz.harness import Harness

LIBRARIES = (can_ada, cryptography, http_message_signatures, http_sf, pydantic, rfc8785, sqlalchemy)
"""Imported before the instrumenting begins, to be left out of it."""


def main() -> None:
    folder, seconds, runs, seed, jobs, *names = sys.argv[1:]
    with atheris.instrument_imports(include=["receiver", "adapters", "tests.faults.fuzz.planted"]):
        from tests.faults.fuzz.register import ALL  # noqa: PLC0415 - instrumented as it is imported
    codes: dict[str, int] = {}
    running: dict[int, str] = {}
    for name in [*names, *[""] * int(jobs)]:
        if running and (len(running) == int(jobs) or not name):
            child, status = os.wait()
            codes[running.pop(child)] = os.waitstatus_to_exitcode(status)
        if name:
            child = os.fork()
            if child == 0:
                fuzz(ALL[name], Path(folder), seconds, runs, seed)
            running[child] = name
    sys.stdout.write(json.dumps(codes))


def fuzz(check: Harness, folder: Path, seconds: str, runs: str, seed: str) -> None:
    """Never returns: libFuzzer ends the process, after so many seconds or runs, whichever comes first."""
    name = check.name
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, given in enumerate(check.seeds):
        (corpus / f"seed-{number}").write_bytes(given)
    log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    options = [f"-max_total_time={seconds}", f"-runs={runs}", f"-seed={seed}", "-timeout=60", "-rss_limit_mb=1024"]
    options += ["-max_len=4096"]
    options += [f"-artifact_prefix={folder}/{name}-", "-print_final_stats=1", "-close_fd_mask=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: check(bytes(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
