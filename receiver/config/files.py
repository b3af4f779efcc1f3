"""The files that settings name: there, readable, and no wider open than their content allows."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from receiver.config.errors import ConfigProblem
from receiver.config.models import Config

Role = Literal["web", "admin", "worker"]
_ANYONE_ELSE = stat.S_IRWXG | stat.S_IRWXO


def file_problems(config: Config, role: Role | None = None) -> list[ConfigProblem]:
    """Of one process, or of all (`check`)."""
    problems: list[ConfigProblem] = []
    for setting, path in _secrets(config, role):
        problems += _secret(setting, path)
    for setting, path in _plain(config, role):
        problems += _readable(setting, path)
    return problems


def _secrets(config: Config, role: Role | None) -> Iterator[tuple[str, Path]]:
    keys = config.keys
    yield "keys.data_key_file", keys.data_key_file
    if role in (None, "web"):
        yield "keys.response_key_file", keys.response_key_file
        if config.server.tls_key_file:
            yield "server.tls_key_file", config.server.tls_key_file
    if role in (None, "worker"):
        yield "keys.callback_key_file", keys.callback_key_file
        yield "keys.ledger_key_file", keys.ledger_key_file
    if config.database.password_file:
        yield "database.password_file", config.database.password_file


def _plain(config: Config, role: Role | None) -> Iterator[tuple[str, Path]]:
    if role in (None, "web", "worker"):
        for issuer in config.issuers:
            if issuer.keys_file:
                yield f"issuers.{issuer.id}.keys_file", issuer.keys_file
    if role in (None, "web"):
        yield "keys.public_jwks_file", config.keys.public_jwks_file
        if config.server.tls_cert_file:
            yield "server.tls_cert_file", config.server.tls_cert_file
    if role in (None, "worker"):
        yield "vault.recipients_file", config.vault.recipients_file
        for issuer in config.issuers:
            if issuer.callback_ca_file:
                yield f"issuers.{issuer.id}.callback_ca_file", issuer.callback_ca_file


def _secret(setting: str, path: Path) -> Iterator[ConfigProblem]:
    found = list(_readable(setting, path))
    yield from found
    if not found and stat.S_IMODE(path.stat().st_mode) & _ANYONE_ELSE:
        message = "others than its owner can reach into the file"
        hint = f"Type: chmod 600 {path}"
        yield ConfigProblem(id="C31", setting=setting, message=message, hint=hint, about=_documented(setting))


def _readable(setting: str, path: Path) -> Iterator[ConfigProblem]:
    closed = closed_folder(path)
    if closed is not None:
        message = f"{path} is out of reach of uid {os.geteuid()}: the folder {closed} is closed to it"
        hint = "Type it as the user that the processes run as, or open that folder to the one that runs this"
        yield ConfigProblem(id="C32", setting=setting, message=message, hint=hint, about=_documented(setting))
    elif not path.is_file():
        hint = _HINTS.get(setting, "Put the file there, or change the setting")
        message = f"{path} is not there"
        yield ConfigProblem(id="C30", setting=setting, message=message, hint=hint, about=_documented(setting))
    elif not os.access(path, os.R_OK, effective_ids=True):
        owner = path.stat()
        message = f"{path} cannot be read by uid {os.geteuid()} (owner {owner.st_uid}, mode {owner.st_mode & 0o777:o})"
        hint = "Give it to the user that runs this"
        yield ConfigProblem(id="C32", setting=setting, message=message, hint=hint, about=_documented(setting))


def closed_folder(path: Path) -> Path | None:
    """The folder above `path` that this user may not pass through; what lies behind it cannot be told."""
    return next((above for above in reversed(path.parents) if _is_closed(above)), None)


def _is_closed(folder: Path) -> bool:
    return os.path.isdir(folder) and not os.access(folder, os.X_OK, effective_ids=True)


def _documented(setting: str) -> str:
    """`issuers.keys_file` for `issuers.iwf.keys_file`."""
    words = setting.split(".")
    return f"{words[0]}.{words[-1]}"


_COPY = "Bring it back from your copy of keys/"
_NEW = f"{_COPY}. Without one, type: takedown-receiver init NEWDIR, and take from NEWDIR/keys"
_SIGNING = f"{_NEW} callback.pem, response.pem and public.jwks.json and nothing else; tell issuers the new fingerprints"
_HINTS = {
    "keys.callback_key_file": _SIGNING,
    "keys.response_key_file": _SIGNING,
    "keys.public_jwks_file": _SIGNING,
    "keys.data_key_file": f"{_COPY}: no other file can take its place, for the database cannot be read without it",
    "keys.ledger_key_file": f"{_NEW} ledger.pem and nothing else, but only while no checkpoint was signed:"
    " after the first, another key is taken for a forger's, and nothing more is signed",
    "vault.recipients_file": "Each custodian types on a machine of their own: takedown-receiver custodian new",
}
