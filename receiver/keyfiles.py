"""Makes the keys and settings of a new receiver. Nothing that exists is ever written over."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from receiver.config.durable import make_folder, sync_folder
from receiver.config.sections import Keys
from receiver.domain.errors import ReceiverError
from receiver.verification.jwk import load_jwks, thumbprint
from receiver.verification.signing import SigningKey, check_private_key

SECRET_MODE = 0o600
PUBLIC_MODE = 0o644
FOLDER_MODE = 0o700
DATA_KEY_BYTES = 32
SIGNING_KEYS = ("callback", "response", "ledger")
PUBLISHED_KEYS = ("callback", "response")
FOLDERS = ("keys", "issuers", "conf.d", "data")
TEMPLATES = ("config.toml", "agent.toml")


class KeyFileError(ReceiverError):
    """The folder cannot be filled; nothing in it was changed."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What `init_folder` wrote, by path inside the folder, and what people compare: fingerprints by key."""

    folder: Path
    written: tuple[str, ...]
    fingerprints: Mapping[str, str]


def init_folder(folder: Path, *, origin: str) -> Made:
    """Write settings and keys into a folder that holds none yet.

    Makes no custodian identity: whoever can open evidence must not share a machine with this program.
    Raises KeyFileError, which names every file that is in the way.
    """
    keys = {name: Ed25519PrivateKey.generate() for name in SIGNING_KEYS}
    files = _contents(keys, origin)
    in_the_way = [name for name in files if (folder / name).exists()]
    if in_the_way:
        raise KeyFileError(
            f"{folder} holds these already, and nothing is written over: {', '.join(in_the_way)}. "
            "Choose another folder, or move them away if you are sure that no evidence depends on them"
        )
    try:
        for name in FOLDERS:
            make_folder(folder / name, mode=FOLDER_MODE)
        for name, (content, mode) in files.items():
            write_new(folder / name, content, mode=mode)
    except OSError as error:
        raise KeyFileError(f"{folder} cannot be written ({error.strerror}); check its owner and mode") from error
    prints = {name: thumbprint(key.public_key()) for name, key in keys.items()}
    return Made(folder=folder, written=tuple(files), fingerprints=prints)


def _contents(keys: Mapping[str, Ed25519PrivateKey], origin: str) -> dict[str, tuple[bytes, int]]:
    files = {f"keys/{name}.pem": (_pem(key), SECRET_MODE) for name, key in keys.items()}
    files["keys/data.key"] = (base64.b64encode(secrets.token_bytes(DATA_KEY_BYTES)) + b"\n", SECRET_MODE)
    published = {"keys": [SigningKey.named_by_thumbprint(keys[name]).public_jwk() for name in PUBLISHED_KEYS]}
    files["keys/public.jwks.json"] = (_json(published), PUBLIC_MODE)
    for name in TEMPLATES:
        text = resources.files("receiver.config.templates").joinpath(name).read_text(encoding="utf-8")
        files[name] = (text.replace("https://notices.host.example", origin).encode(), SECRET_MODE)
    return files


def write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Create and fill a file; fails where one exists. The mode holds from the first moment, whatever the umask."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode & SECRET_MODE)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    # What is sealed with a key must not outlive its name.
    sync_folder(path.parent)


def published_mismatch(keys: Keys) -> str | None:
    """Words where the published set does not hold the public halves of our signing keys, else None."""
    published = {record.thumbprint for record in load_jwks("own", keys.public_jwks_file.read_bytes())}
    for setting, path in (("callback", keys.callback_key_file), ("response", keys.response_key_file)):
        key = load_pem_private_key(path.read_bytes(), password=None)
        if thumbprint(check_private_key(key).public_key()) not in published:
            return f"the {setting} key is not in {keys.public_jwks_file}: issuers could not check what we sign with it"
    return None


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"
