"""Vault and ledger: can evidence be sealed and opened again, and can nobody here rewrite the history?"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace

from receiver.cli.findings import Finding, fail, ok, warn
from receiver.config import Config
from receiver.domain.errors import ReceiverError
from receiver.domain.ids import new_id
from receiver.domain.ports import StoredCheckpoint
from receiver.ledger.copies import FILE_NAME, DirectoryCopy
from receiver.ledger.sequencer import CHECKPOINT_SECONDS
from receiver.vault.vault import DirectoryVault
from receiver.wiring import build_store, build_vault
from receiver.wiring.parts import build_copies

SAMPLE_BYTES = 1024 * 1024
_WORDS = (
    ("fewer than two", "V01"),
    ("headers live in one store only", "V05"),
    ("the second header store lies", "V05"),
    ("the second header store is on", "V05"),
    ("a custodian identity", "V06"),
    ("not every file was searched", "V06"),
)
"""How the vault's own words begin, and which question they answer."""
_ENDS = (("cannot be written", "V02"), ("MiB left", "V03"), ("open to other users", "V04"))
_RISKS = frozenset({"V05"})
"""A host with one disk can run; what it risks is said each time."""


def ask_vault(config: Config) -> Iterator[Finding]:
    try:
        vault = build_vault(config)
        problems = vault.probe()
    except (ReceiverError, OSError) as error:
        words = str(error) if isinstance(error, ReceiverError) else f"{error.strerror}"
        yield fail("V01", "vault", f"the recipients cannot be read: {words}")
        return
    for words in problems:
        question = question_of(words)
        found = (warn if question in _RISKS and "same folder" not in words else fail)(question, "vault", words)
        yield replace(found, setting="vault.second_headers_path") if "second header" in words else found
    told = {question_of(words) for words in problems}
    if told & {"V01", "V02"}:
        return
    yield from _ask_sample(vault)
    if "V03" not in told:
        yield ok("V03", "vault", "it has space", free_bytes=shutil.disk_usage(config.vault.path).free)


def question_of(words: str) -> str:
    """Which question the vault's own words answer."""
    starts = next((question for start, question in _WORDS if words.startswith(start)), None)
    return starts or next((question for end, question in _ENDS if end in words), "V02")


def _ask_sample(vault: DirectoryVault) -> Iterator[Finding]:
    """Seals noise, has it read back, decrypted and compared as real evidence is, and takes it away."""
    began = time.monotonic()
    try:
        vault.try_out(f"check-{new_id()}", os.urandom(SAMPLE_BYTES))
        seal_ms = (time.monotonic() - began) * 1000
    except (ReceiverError, OSError) as error:
        yield fail("V07", "vault", str(error) if isinstance(error, ReceiverError) else f"{error.strerror}")
        return
    yield ok("V07", "vault", "can seal, and read back", sample_bytes=SAMPLE_BYTES, seal_ms=seal_ms)


def ask_ledger(config: Config) -> Iterator[Finding]:
    """Without a copy that this host cannot rewrite, its history proves little."""
    copies = list(build_copies(config))
    if not copies:
        words = "no outside copy: whoever is root here could rewrite the history, and nothing would show it"
        yield warn("L01", "ledger.copy_to", words)
    last, size, waiting = _standing(config)
    for copy in copies:
        yield from _ask_copy(config, copy, last)
    if last is not None:
        yield from _ask_age(last, waiting)
    elif size or waiting:
        yield warn("L05", "ledger", "no checkpoint was signed yet", entries=size, unnumbered=waiting)


def _standing(config: Config) -> tuple[StoredCheckpoint | None, int, int]:
    """The last checkpoint, the size, and how many entries have no number; nothing where the database was told of."""
    path = config.database.sqlite_path
    if path is not None and not path.exists():
        return None, 0, 0
    try:
        store = build_store(config, make_folders=False)
    except (ReceiverError, OSError):
        return None, 0, 0
    try:
        return store.last_checkpoint(), store.ledger_size(), store.count_unsequenced()
    except ReceiverError:
        return None, 0, 0
    finally:
        store.close()


def _ask_copy(config: Config, copy: DirectoryCopy, last: StoredCheckpoint | None) -> Iterator[Finding]:
    try:
        content = copy.read_end()
    except ReceiverError as error:
        yield fail("L02", "ledger.copy_to", str(error))
        return
    file = os.path.join(copy.name, FILE_NAME)
    if not os.access(file if os.path.exists(file) else copy.name, os.W_OK, effective_ids=True):
        yield fail("L02", "ledger.copy_to", f"{copy.name} cannot be written by this user")
    else:
        yield ok("L02", "ledger.copy_to", f"{copy.name} can be read and written", notes=len(content.notes))
    if os.stat(copy.name).st_dev == os.stat(config.folder).st_dev:
        yield warn("L03", "ledger.copy_to", f"{copy.name} is on the disk of the settings")
    if last is not None and copy.name in last.copies and last.note not in content.notes:
        yield fail("L04", "ledger.copy_to", f"{copy.name} has lost the last checkpoint that it took")
    elif last is not None and copy.name not in last.copies:
        yield warn("L04", "ledger.copy_to", f"{copy.name} did not take the last checkpoint")
    elif last is not None:
        yield ok("L04", "ledger.copy_to", f"{copy.name} holds the last checkpoint", entries=last.size)


def _ask_age(last: StoredCheckpoint, waiting: int) -> Iterator[Finding]:
    age_seconds = max(0, int(time.time() - last.created_at / 1e6))
    told = {"age_seconds": age_seconds, "entries": last.size, "unnumbered": waiting}
    if age_seconds > 2 * CHECKPOINT_SECONDS:
        yield warn("L05", "ledger", "the last checkpoint is old", **told)
    else:
        yield ok("L05", "ledger", "a checkpoint was signed not long ago", **told)
