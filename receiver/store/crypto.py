"""Encryption of columns under the data key, and keyed hashes by which encrypted values are still found."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from receiver.store.errors import DataKeyError

KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = b"\x01"
"""First byte of every sealed value, so that another cipher or a second key can stand beside this one later."""


class Sealer:
    """Seals values to their place: one that is copied into another row or column does not open there."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise DataKeyError(f"the data key must have {KEY_BYTES} bytes; make one with `takedown-receiver init`")
        self._cipher = AESGCM(key)
        self._hash_key = HKDF(
            algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"takedown-receiver keyed hash 1"
        ).derive(key)

    def seal(self, place: str, value: bytes) -> bytes:
        """`place` is ``table:column:rowid``; the same must be given to `open`."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, value, place.encode())

    def open(self, place: str, sealed: bytes) -> bytes:
        """Raises DataKeyError when the value was sealed elsewhere, under another key, or changed since."""
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORMAT:
            raise DataKeyError("a sealed column has an unknown format; a newer version of this program wrote it")
        try:
            return self._cipher.decrypt(nonce, body, place.encode())
        except (InvalidTag, ValueError) as error:
            table_and_column = ":".join(place.split(":")[:2])
            raise DataKeyError(
                f"a value of {table_and_column} does not open: it was changed, or this is not the key it was"
                " written with; put the right file at keys.data_key_file"
            ) from error

    def hmac(self, domain: str, value: bytes) -> str:
        """Keyed hash, 64 hex digits; equal values of one domain have equal hashes, and only the key tells which."""
        return hmac.digest(self._hash_key, domain.encode() + b"\x00" + value, "sha256").hex()


def load_data_key(path: Path) -> bytes:
    """Read 32 bytes as hex or base64 from a file only its owner may read. Raises DataKeyError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DataKeyError(f"cannot read the data key ({error.strerror}); see keys.data_key_file") from error
    with open(handle, "rb") as file:
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
            raise DataKeyError(
                "the data key can be read by others; type chmod 600 and the file that keys.data_key_file names"
            )
        text = file.read(1024).strip()
    return parse_data_key(text)


def parse_data_key(text: bytes) -> bytes:
    """64 hex digits or 44 characters of base64. Raises DataKeyError."""
    try:
        is_hex = len(text) == 2 * KEY_BYTES
        key = bytes.fromhex(text.decode("ascii")) if is_hex else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise DataKeyError("the data key is neither hex nor base64; make one with `takedown-receiver init`") from error
    if len(key) != KEY_BYTES:
        raise DataKeyError(f"the data key must have {KEY_BYTES} bytes; make one with `takedown-receiver init`")
    return key
