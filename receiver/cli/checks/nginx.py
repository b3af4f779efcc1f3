"""Whether nginx reads what a gate writes: what is denied in a file that nobody includes stays up."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from adapters.agent.settings import SettingsError, load
from adapters.nginx.workers import title_of
from receiver.cli.findings import Finding, fail, ok, warn
from receiver.config import Config

USUAL_FILES = ("/etc/nginx/nginx.conf", "/usr/local/nginx/conf/nginx.conf")
MAX_FILES = 10_000
ASKED = "$takedown_deny"
_COMMENT = re.compile(r"(?m)(?:^|(?<=[\s;{}]))#.*$")
_INCLUDE = re.compile(r"(?:^|(?<=[\s;{}]))include\s+(?:\"([^\"]+)\"|'([^']+)'|([^\s;]+))\s*;")
_ANSWER = re.compile(r"\bif\s*\(\s*\$takedown_deny\s*\)\s*\{[^{}]*?\breturn\s+(\d{3})\b")
_CHOSEN = re.compile(r"\s-c\s*(/\S+)")
_MOVED = re.compile(r"\s-(?:c|p)\b")


def ask_gates(config: Config) -> Iterator[Finding]:
    """Of the gates whose agent is set up on this machine. That its settings can be read was asked before."""
    try:
        gates = load(str(config.agent.settings_file)).gates
    except SettingsError:
        return
    for name, table in gates.items():
        map_file, pid_file = table.get("map_file"), table.get("pid_file")
        if name in config.gates and isinstance(map_file, str) and pid_file and isinstance(pid_file, str):
            yield from _ask_gate(f"gates.{name}", map_file, pid_file, config.policy.public_status)


def _ask_gate(about: str, map_file: str, pid_file: str, wanted: int) -> Iterator[Finding]:
    title = _master_title(pid_file)
    if not title:
        yield warn("G04", about, f"{pid_file} names no nginx: it does not run, or runs where we cannot see it")
        return
    main = _main_file(title)
    if main is None:
        yield ok("G04", about, "nobody can tell from here which file nginx was started with")
        return
    try:
        texts = _texts(main, map_file)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        yield ok("G04", about, f"nginx's configuration could not be looked through from here ({why})")
        return
    yield _ask_texts(about, main, map_file, texts)
    answers = {int(status) for text in texts.values() for status in _ANSWER.findall(text)}
    if answers - {wanted}:
        said = ", ".join(map(str, sorted(answers)))
        yield warn("G05", about, f"what is denied answers {said}, and the settings say {wanted}")


def _ask_texts(about: str, main: str, map_file: str, texts: Mapping[str, str]) -> Finding:
    if map_file not in texts:
        found = fail("G04", about, f"nothing in {main} includes {map_file}: what is denied there stays up")
        advice = f"Write `include {map_file};` into the http block, then type: nginx -t && nginx -s reload"
        return replace(found, advice=advice)
    if not any(ASKED in text for text in texts.values()):
        found = fail("G04", about, f"nginx includes {map_file}, and no server asks it: what is denied there stays up")
        advice = f"Put `if ({ASKED}) {{ return 404; }}` first in each server block, as adapters/nginx/README.md shows"
        return replace(found, advice=advice)
    return ok("G04", about, f"{main} includes what it writes")


def _master_title(pid_file: str) -> str:
    """Empty where no nginx runs under that number."""
    try:
        title = title_of(int(Path(pid_file).read_text(encoding="ascii").strip()))
    except (OSError, ValueError):
        return ""
    return os.fsdecode(title).replace("\0", " ") if title.startswith(b"nginx: master") else ""


def _main_file(title: str) -> str | None:
    """`-c FILE` stands in the master's title as it was typed."""
    chosen = _CHOSEN.search(title)
    if chosen is not None:
        return chosen[1]
    return None if _MOVED.search(title) else next(filter(os.path.exists, USUAL_FILES), None)


def _texts(main: str, map_file: str) -> Mapping[str, str]:
    """Every file of the configuration by name, without comments; the gate's own is there, and empty.

    Raises OSError where one cannot be read.
    """
    found: dict[str, str] = {}
    left = [main]
    while left:
        name = left.pop()
        if os.path.realpath(name) == os.path.realpath(map_file):
            found[map_file] = ""
        elif name not in found:
            if len(found) >= MAX_FILES:
                raise ValueError("too many files")
            found[name] = _COMMENT.sub("", Path(name).read_text(encoding="utf-8", errors="replace"))
            left += _included(found[name], os.path.dirname(main))
    return found


def _included(text: str, folder: str) -> Iterator[str]:
    for words in _INCLUDE.findall(text):
        pattern = os.path.join(folder, next(filter(None, words)))
        yield from glob.glob(pattern) if glob.has_magic(pattern) else [pattern]
