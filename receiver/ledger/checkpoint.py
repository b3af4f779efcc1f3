"""Checkpoints: C2SP tlog-checkpoint in a signed note with one Ed25519 signature.

The text is four lines: origin, size, root in base64, and the time. The time is an extension line of the format: without
it an idle ledger would sign the same bytes for ever, and silence could not be told from a stopped clock.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from receiver.domain.clock import from_micros, rfc3339, to_micros
from receiver.domain.tree import HASH_BYTES
from receiver.ledger.errors import LedgerKeyError, LedgerNoteError

_ED25519 = b"\x01"
_DASH = "\N{EM DASH}"
_TIME = "time "
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The ledger's first `size` entries have this root."""

    origin: str
    size: int
    root: bytes
    at: int

    @property
    def text(self) -> str:
        root = base64.b64encode(self.root).decode("ascii")
        return f"{self.origin}\n{self.size}\n{root}\n{_TIME}{rfc3339(from_micros(self.at))}\n"


class Signer:
    """The ledger's secret key; only the process that numbers entries holds it."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.name = _checked_name(name)
        self._key = key

    @property
    def vkey(self) -> str:
        """The public key as others write it: ``name+hash+base64``. Print it where outsiders can read it."""
        public = self._key.public_key().public_bytes_raw()
        return f"{self.name}+{_key_hash(self.name, public).hex()}+{base64.b64encode(_ED25519 + public).decode('ascii')}"

    def sign(self, *, size: int, root: bytes, now: dt.datetime) -> str:
        text = Checkpoint(origin=self.name, size=size, root=root, at=to_micros(now)).text
        public = self._key.public_key().public_bytes_raw()
        signature = base64.b64encode(_key_hash(self.name, public) + self._key.sign(text.encode())).decode("ascii")
        return f"{text}\n{_DASH} {self.name} {signature}\n"


class Verifier:
    """Reads notes that one key signed. Raises LedgerKeyError when `vkey` is not a public ledger key."""

    def __init__(self, vkey: str) -> None:
        name, hashed, key = _split_vkey(vkey)
        self.name, self._hash = name, hashed
        self._key = Ed25519PublicKey.from_public_bytes(key)

    def open(self, note: str) -> Checkpoint:
        """Check the signature, then read. Raises LedgerNoteError; other keys' signatures may stand beside ours."""
        text, separator, signatures = note.rpartition("\n\n")
        if not separator or not signatures.endswith("\n"):
            raise LedgerNoteError("the checkpoint is not a signed note")
        text += "\n"
        if not any(self._signed(text, line) for line in signatures[:-1].split("\n")):
            raise LedgerNoteError("the checkpoint is not signed by this ledger's key, or was changed since")
        return self._read(text)

    def _signed(self, text: str, line: str) -> bool:
        prefix = f"{_DASH} {self.name} "
        if not line.startswith(prefix):
            return False
        blob = _unb64(line[len(prefix) :])
        if blob is None or blob[:4] != self._hash:
            return False
        try:
            self._key.verify(blob[4:], text.encode())
        except InvalidSignature:
            return False
        return True

    def _read(self, text: str) -> Checkpoint:
        lines = text.split("\n")
        if len(lines) != 5 or lines[0] != self.name or not _SIZE.fullmatch(lines[1]) or not lines[3].startswith(_TIME):
            raise LedgerNoteError("the checkpoint is not in this ledger's form")
        root = _unb64(lines[2])
        try:
            moment = dt.datetime.fromisoformat(lines[3][len(_TIME) :])
        except ValueError as error:
            raise LedgerNoteError("the checkpoint's time cannot be read") from error
        if root is None or len(root) != HASH_BYTES or moment.tzinfo is None:
            raise LedgerNoteError("the checkpoint's root or time cannot be read")
        return Checkpoint(origin=self.name, size=int(lines[1]), root=root, at=to_micros(moment))


def load_ledger_key(path: str, name: str) -> Signer:
    """Read the Ed25519 key (PEM, PKCS 8, no passphrase). `name` is the ledger's origin, ``host.example/ledger``."""
    try:
        with open(path, "rb") as file:
            key = load_pem_private_key(file.read(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise LedgerKeyError("the ledger key cannot be read; name an unencrypted PEM file of an Ed25519 key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise LedgerKeyError("the ledger key is of another kind; make an Ed25519 key")
    return Signer(name, key)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise LedgerKeyError("a ledger's name has no spaces and no +; use your host name and a path")
    return name


def _key_hash(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _split_vkey(vkey: str) -> tuple[str, bytes, bytes]:
    name, _, rest = vkey.partition("+")
    hashed, _, text = rest.partition("+")
    blob = _unb64(text)
    if not _NAME.fullmatch(name) or blob is None or len(blob) != 33 or blob[:1] != _ED25519:
        raise LedgerKeyError("this is not a public ledger key (name+hash+base64)")
    if _key_hash(name, blob[1:]).hex() != hashed:
        raise LedgerKeyError("the public ledger key's check does not fit; was it copied whole?")
    return name, _key_hash(name, blob[1:]), blob[1:]


def _unb64(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    # One spelling only: else a flipped bit in the padding would go unseen.
    return data if base64.b64encode(data).decode("ascii") == text else None
