"""Parts that several processes share: the store, the adapters, the vault, the ledger, the keys."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.contract import CacheAdapter, GateAdapter, StorageAdapter
from adapters.registry import Registry
from receiver.config import Config
from receiver.config.durable import make_folder
from receiver.domain.clock import SystemClock
from receiver.domain.errors import ReceiverError
from receiver.domain.ids import new_id
from receiver.engine.heartbeat import Identity
from receiver.ledger.checkpoint import load_ledger_key
from receiver.ledger.copies import CopySet, DirectoryCopy
from receiver.ledger.sequencer import Sequencer
from receiver.store import SqlStore, load_data_key, open_store
from receiver.vault.probe import load_recipients
from receiver.vault.vault import DirectoryVault
from receiver.verification.signing import SigningKey, check_private_key


class WiringError(ReceiverError):
    """Something the settings name cannot be used; the words say which setting."""


def build_store(config: Config, *, create: bool = False, make_folders: bool = True) -> SqlStore:
    """Open the database. Raises the store's errors, which say what to do."""
    data_dir = config.server.data_dir
    if make_folders:
        make_folder(data_dir, mode=0o750)
    if make_folders and config.database.sqlite_path is not None:
        make_folder(config.database.sqlite_path.parent, mode=0o750)
    key = load_data_key(config.keys.data_key_file)
    return open_store(config.database.full_url(), data_key=key, data_dir=data_dir, create=create)


@dataclass(frozen=True, kw_only=True)
class Adapters:
    stores: Mapping[str, StorageAdapter]
    gates: Mapping[str, GateAdapter]
    caches: Mapping[str, CacheAdapter]


def build_adapters(config: Config) -> Adapters:
    """Every configured adapter, gate and cache, by name. None of them is asked anything yet."""
    registry = Registry.load()
    tools = {"data_dir": str(config.server.data_dir), "base_dir": str(config.source.parent)}
    return Adapters(
        stores={n: registry.build("storage", n, t, tools) for n, t in config.adapters.items()},
        gates={n: registry.build("gate", n, t, tools) for n, t in config.gates.items()},
        caches={n: registry.build("cache", n, t, tools) for n, t in config.caches.items()},
    )


def build_vault(config: Config, *, sealing: bool = True) -> DirectoryVault:
    """Without `sealing` it can only check what lies there, and needs no custodian's line for that."""
    second = config.vault.second_headers_path
    return DirectoryVault(
        str(config.vault.path),
        load_recipients(str(config.vault.recipients_file)) if sealing else (),
        second_headers_path=str(second) if second else None,
        identity_search=(str(config.source.parent), str(config.server.data_dir)),
    )


def ledger_name(config: Config) -> str:
    """The origin line of our checkpoints: our host name, since it must stay the same for ever."""
    return config.server.public_origins[0].split("://", 1)[1] + "/takedown-ledger"


def build_copies(config: Config) -> CopySet:
    return CopySet([DirectoryCopy(str(folder)) for folder in config.ledger.copy_to])


def build_ledger(config: Config, store: SqlStore) -> Sequencer:
    signer = load_ledger_key(str(config.keys.ledger_key_file), ledger_name(config))
    return Sequencer(store, signer, build_copies(config), SystemClock())


def signing_key(path: Path) -> SigningKey:
    """Raises WiringError when the file is not there or not a key of ours."""
    try:
        loaded: Any = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as exc:
        raise WiringError(f"{path.name} cannot be read as a private key; `takedown-receiver init` makes one") from exc
    return SigningKey.named_by_thumbprint(check_private_key(loaded))


def identity(slot: str, config: Config) -> Identity:
    """Who this process is among all; two machines must not have the same node name."""
    node = config.worker.node or socket.gethostname()
    return Identity(node=node, slot=slot, boot=new_id(), pid=os.getpid(), config_sha256=config.sha256())
