"""Ask the package index whether a locked library has a known hole.

A service that cannot be asked is said loudly and does not stop the work; a hole, or a half answer, does.
"""

# ruff: noqa: INP001, T201 - a script that talks to whoever runs it
from __future__ import annotations

import json
import subprocess
import sys
import time

TRIES = 3
PAUSE_SECONDS = 5


def main(lock: str) -> int:
    report = _asked(lock)
    if report is None:
        return _not_done("the service did not answer")
    dependencies = report["dependencies"]
    skipped = [entry["name"] for entry in dependencies if "skip_reason" in entry]
    holes = [entry for entry in dependencies if entry.get("vulns")]
    for entry in holes:
        for hole in entry["vulns"]:
            fixed = ", ".join(hole.get("fix_versions", [])) or "no release yet"
            print(f"{entry['name']} {entry['version']}: {hole['id']}, mended in {fixed}")
    if holes:
        print("Known holes: raise the library in pyproject.toml and type: make lock")
        return 1
    if len(skipped) == len(dependencies):
        return _not_done("the service knows none of the libraries")
    if skipped:
        print(f"The service did not know: {', '.join(skipped)}")
        return 1
    print(f"{len(dependencies)} libraries, no known hole")
    return 0


def _asked(lock: str) -> dict[str, list[dict[str, object]]] | None:
    """The report, or None where the service stays away."""
    command = [sys.executable, "-m", "pip_audit", "-r", lock, "--require-hashes", "--disable-pip", "-s", "pypi"]
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        asking = [*command, "-f", "json", "--progress-spinner", "off"]
        done = subprocess.run(asking, check=False, capture_output=True, text=True)
        try:
            return json.loads(done.stdout)
        except ValueError:
            last = (done.stderr.strip().splitlines() or ["no words"])[-1]
            print(f"pip-audit, try {attempt + 1} of {TRIES}: {last[:300]}", file=sys.stderr)
    return None


def _not_done(why: str) -> int:
    print("*" * 72)
    print(f"AUDIT NOT DONE: {why}.")
    print("Nobody knows whether the locked libraries have holes. Run `make audit` where it can be asked.")
    print("*" * 72)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
