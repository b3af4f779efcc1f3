"""What `check` and the health page ask of a vault, answered in words."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Sequence

from receiver.vault import age
from receiver.vault.directory import DirectoryStore, store_errors
from receiver.vault.errors import AgeKeyError, VaultUnavailableError

_IDENTITY_MARK = b"AGE-SECRET-KEY-"
_SEARCH_FILES = 10_000
_SEARCH_BYTES = 64 * 1024


def load_recipients(path: str) -> tuple[age.Recipient, ...]:
    """Read a file of recipients, one a line, ``#`` before remarks. Raises AgeKeyError naming the line, or OSError."""
    found = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if text and not text.startswith("#"):
                try:
                    found.append(age.parse_recipient(text))
                except AgeKeyError as error:
                    raise AgeKeyError(f"line {number} of the recipients file: {error}") from error
    return tuple(found)


def probe_vault(
    *,
    path: str,
    second_headers_path: str | None,
    recipients: Sequence[age.Recipient],
    identity_search: Sequence[str],
    min_free_bytes: int,
) -> tuple[str, ...]:
    problems = []
    if len({recipient.public for recipient in recipients}) < 2:
        problems.append("fewer than two different recipients: one lost identity would lose all evidence; add another")
    for what, root in (("vault", path), ("second header store", second_headers_path)):
        if root is not None:
            problems += _probe_folder(what, root, min_free_bytes)
    problems += _probe_second(path, second_headers_path)
    problems += _probe_identities(identity_search)
    return tuple(problems)


def _probe_folder(what: str, root: str, min_free_bytes: int) -> list[str]:
    problems = []
    name = f"00/probe-{secrets.token_hex(8)}.age"
    store = DirectoryStore(root if what != "vault" else os.path.join(root, "payloads"))
    try:
        with store.put(name) as out:
            out.write(b"probe")
        store.delete(name)
        with store_errors("asking for free space"):
            space, mode = os.statvfs(root), os.stat(root).st_mode
    except VaultUnavailableError as error:
        return [f"the {what} cannot be written: {error}"]
    free_bytes = space.f_bavail * space.f_frsize
    if free_bytes < min_free_bytes:
        problems.append(f"the {what} has only {free_bytes // 1024**2} MiB left; free space before it is full")
    if stat.S_IMODE(mode) & 0o077:
        problems.append(f"the {what} is open to other users of this machine; chmod 700 it")
    return problems


def _probe_second(path: str, second: str | None) -> list[str]:
    if second is None:
        return ["headers live in one store only: losing it loses all evidence; set second_headers_path"]
    first_real, second_real = os.path.realpath(path), os.path.realpath(second)
    if os.path.commonpath([first_real, second_real]) in (first_real, second_real):
        return ["the second header store lies in the same folder as the vault; put it elsewhere"]
    try:
        same_disk = os.stat(first_real).st_dev == os.stat(second_real).st_dev
    except OSError:
        return []  # said already: it cannot be written
    return ["the second header store is on the vault's disk and will fail with it; mount another"] if same_disk else []


def _probe_identities(folders: Sequence[str]) -> list[str]:
    seen = 0
    for path in _small_files(folders):
        seen += 1
        if seen > _SEARCH_FILES:
            return ["not every file was searched for custodian identities; keep other files out of the data folder"]
        try:
            with open(path, "rb") as file:
                found = _IDENTITY_MARK in file.read(_SEARCH_BYTES).upper()
        except OSError:
            # A file this process may not read is not within its reach.
            continue
        if found:
            return [
                f"a custodian identity is within reach, in {os.path.basename(path)}: move it offline, make a new one"
            ]
    return []


def _small_files(folders: Sequence[str]) -> Iterator[str]:
    for folder in dict.fromkeys(os.path.realpath(folder) for folder in folders):
        for parent, inner, names in os.walk(folder):
            # Sealed payloads and headers are ours and many; they hold no identity.
            inner[:] = [name for name in inner if name not in ("payloads", "headers")]
            for name in names:
                path = os.path.join(parent, name)
                try:
                    info = os.lstat(path)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(info.st_mode) and info.st_size <= _SEARCH_BYTES:
                    yield path
