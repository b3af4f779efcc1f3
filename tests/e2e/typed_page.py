"""Types a page of the documents from top to bottom into one shell, in folders and on ports of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from receiver.demo.commands import environment
from tests.doubles.documents import Block

MARK = "\036"
"""A sign that no command prints; it stands between what two blocks printed."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the page happens. `instead` maps what the page says to what is typed here, longest first."""

    folder: Path
    instead: Mapping[str, str]
    variables: Mapping[str, str]

    def here(self, text: str) -> str:
        pattern = "|".join(re.escape(words) for words in sorted(self.instead, key=len, reverse=True))
        return re.sub(pattern, lambda found: self.instead[found[0]], text)

    def program(self, name: str, *argv: str) -> None:
        """A program of that name, first on the path, which is the real one with these words before the reader's."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        words = " ".join(f'"{word}"' for word in argv)
        (folder / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)

    def environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"
        return {**environment(), "PATH": path, **self.variables}


@dataclass(frozen=True, kw_only=True)
class Printed:
    """What each block printed, in order; the last one is cut where a command ended with an error."""

    by_block: Sequence[str]
    code: int


def type_blocks(place: Place, typed: Sequence[Block], *, seconds: float) -> Printed:
    """One shell, which ends at the first command that fails. Nothing that it started is left behind."""
    script = "set -e\n" + "".join(f"{place.here(block.text)}printf '{MARK}\\n'\n" for block in typed)
    (place.folder / "page.sh").write_text(script, encoding="utf-8")
    out = place.folder / "printed"
    with out.open("wb") as file:
        shell = subprocess.Popen(
            ["bash", str(place.folder / "page.sh")],
            cwd=place.folder,
            env=place.environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(seconds)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            _end_session(shell)
    return Printed(by_block=out.read_text(encoding="utf-8", errors="replace").split(f"{MARK}\n"), code=code)


def _end_session(shell: subprocess.Popen[bytes]) -> None:
    """The shell's own group: whatever runs in the background began there, and ends with its parent."""
    try:
        os.killpg(shell.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        shell.wait()


def missing_lines(told: str, printed: str) -> list[str]:
    """Lines that should appear, in this order, and do not. `…` stands for anything, one blank for several."""
    rest, missing = printed, []
    for line in filter(None, map(str.strip, told.splitlines())):
        if line == "…":
            continue
        words = [".*" if word == "…" else ".*".join(map(re.escape, word.split("…"))) for word in line.split()]
        found = re.search(rf"^[ ]*{'[ ]+'.join(words)}[ ]*$".replace("[ ]+.*", ".*"), rest, re.MULTILINE)
        if found is None:
            missing.append(line)
        else:
            rest = rest[found.end() :]
    return missing


def receiver_words() -> tuple[str, ...]:
    """What stands for the installed command."""
    return (sys.executable, "-m", "receiver")
