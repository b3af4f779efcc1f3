"""Our own keys: there, ours, closed to others, of one set, and not too old."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from receiver.cli.findings import Finding, Level, fail, ok, warn
from receiver.config import Config, ConfigProblem, file_problems
from receiver.config.files import closed_folder
from receiver.domain.errors import ReceiverError
from receiver.keyfiles import published_mismatch
from receiver.ledger.checkpoint import load_ledger_key
from receiver.store.crypto import parse_data_key
from receiver.wiring.parts import ledger_name, signing_key

MAX_AGE_DAYS = 730
_DAY_SECONDS = 86_400


def of_problem(problem: ConfigProblem) -> Finding:
    """A mistake of the settings, as a finding."""
    return Finding(
        id=problem.id,
        about=problem.setting or "settings",
        level=Level.FAIL,
        words=problem.message,
        advice=problem.hint,
        setting=problem.about or problem.setting,
    )


def ask_files(config: Config) -> Iterator[Finding]:
    """Keys and what else the settings name."""
    problems = file_problems(config)
    yield from (of_problem(problem) for problem in problems)
    if not problems:
        yield ok("C30", "files", "every file that the settings name is there, with a fitting mode")


def ask_keys(config: Config) -> Iterator[Finding]:
    """Whether each can be used for what it is for. Files that are not there were told of already."""
    yield from _ask_each(config)
    yield from _ask_published(config)
    yield from _ask_age(config)
    yield from _ask_folders(config)


def typed_by_another(config: Config) -> Finding | None:
    """Root makes files that the processes' own user cannot use, so as root nothing is tried out there.

    Whoever cannot even reach the keys would only see one part after the other fail.
    """
    file = config.keys.data_key_file
    closed = closed_folder(file)
    try:
        owner = (closed or file).stat().st_uid
    except OSError:
        return None
    if closed is None and (os.geteuid() != 0 or owner == 0):
        return None
    who = "root" if os.geteuid() == 0 else f"uid {os.geteuid()}"
    words = f"typed by {who}, and the keys belong to uid {owner}: nothing was tried out"
    return fail("K05", "check", words, uid=owner)


def _ask_each(config: Config) -> Iterator[Finding]:
    keys = config.keys
    tried = (
        ("callback_key_file", keys.callback_key_file, signing_key),
        ("response_key_file", keys.response_key_file, signing_key),
        ("data_key_file", keys.data_key_file, lambda path: parse_data_key(path.read_bytes().strip())),
        ("ledger_key_file", keys.ledger_key_file, lambda path: load_ledger_key(str(path), ledger_name(config))),
    )
    good = 0
    for name, path, load in tried:
        if not os.access(path, os.R_OK, effective_ids=True):
            continue
        try:
            load(path)
            good += 1
        except (ReceiverError, OSError, ValueError) as error:
            words = str(error) if isinstance(error, ReceiverError) else "it cannot be read as a key of ours"
            yield replace(fail("K01", f"keys.{name}", words), setting=f"keys.{name}")
    if good == len(tried):
        yield ok("K01", "keys", "each key file holds a key of its kind", keys=good)


def _ask_published(config: Config) -> Iterator[Finding]:
    keys = config.keys
    files = (keys.public_jwks_file, keys.callback_key_file, keys.response_key_file)
    if not all(os.access(path, os.R_OK, effective_ids=True) for path in files):
        return
    try:
        mismatch = published_mismatch(keys)
    except (ReceiverError, OSError, ValueError, TypeError):
        mismatch = f"{keys.public_jwks_file} or one of the keys in it cannot be read"
    yield fail("K02", "keys", mismatch) if mismatch else ok("K02", "keys", "issuers can check what we sign")


def _ask_age(config: Config) -> Iterator[Finding]:
    keys = config.keys
    ages = {
        name: int((time.time() - path.stat().st_mtime) / _DAY_SECONDS)
        for name, path in (("callback", keys.callback_key_file), ("response", keys.response_key_file))
        if os.path.isfile(path)
    }
    for name, days in ages.items():
        if days > MAX_AGE_DAYS:
            yield warn("K03", f"keys.{name}_key_file", f"the {name} key is old", age_days=days)
    if ages and max(ages.values()) <= MAX_AGE_DAYS:
        yield ok("K03", "keys", "no signing key is old", age_days=max(ages.values()))


def _ask_folders(config: Config) -> Iterator[Finding]:
    keys = config.keys
    files = (keys.callback_key_file, keys.response_key_file, keys.data_key_file, keys.ledger_key_file)
    for folder in dict.fromkeys(path.parent for path in files):
        if os.path.isdir(folder) and _others_may_write(folder):
            yield fail("K04", "keys", f"others than its owner may write in {folder}")


def _others_may_write(folder: Path) -> bool:
    info = folder.stat()
    return bool(stat.S_IMODE(info.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)) and not info.st_mode & stat.S_ISVTX
