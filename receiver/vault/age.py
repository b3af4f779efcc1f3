"""age v1 (C2SP age.md): keys and headers. `receiver.vault.stream` does the payload.

Header and payload are made apart; joined with ``cat header payload`` they are a file the stock ``age`` tool opens.
The receiver only ever uses `make_header`; `unwrap`, `rewrap` and `open_file` are for custodians, on their own machines.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from receiver.vault import bech32, stream
from receiver.vault.errors import AgeHeaderError, AgeKeyError, AgeNoMatchError

FILE_KEY_BYTES = 16
HEADER_MAX_BYTES = 64 * 1024
_VERSION = b"age-encryption.org/v1\n"
_MAC_MARK = b"---"
_X25519 = "X25519"
_X25519_INFO = b"age-encryption.org/v1/X25519"
_LINE_LETTERS = 64
_RECIPIENT_PREFIX = "age"
_IDENTITY_PREFIX = "age-secret-key-"
_ZERO_NONCE = bytes(12)
_STANZA_START = re.compile(rb"->( [\x21-\x7e]+)+")


class Source(Protocol):
    """A byte stream; `read` may give less than asked, and gives nothing only at the end."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A custodian's public key: whoever has it can seal, nobody can open with it."""

    public: bytes

    @property
    def text(self) -> str:
        return bech32.encode(_RECIPIENT_PREFIX, self.public)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A custodian's secret key. It must never be on a machine that runs the receiver."""

    secret: bytes = field(repr=False)

    @property
    def recipient(self) -> Recipient:
        return Recipient(public=X25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw())


@dataclass(frozen=True, kw_only=True)
class _Stanza:
    args: tuple[str, ...]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class _Header:
    stanzas: tuple[_Stanza, ...]
    signed: bytes
    mac: bytes


# --- keys


def new_identity() -> tuple[str, str]:
    """Make a key pair: the identity text (keep it offline) and the recipient text (give it to the receiver)."""
    identity = Identity(secret=X25519PrivateKey.generate().private_bytes_raw())
    return bech32.encode(_IDENTITY_PREFIX, identity.secret).upper(), identity.recipient.text


def parse_recipient(text: str) -> Recipient:
    """Read ``age1…``. Raises AgeKeyError, also for points that would make every seal open to anybody."""
    public = _key_bytes(text, _RECIPIENT_PREFIX, "an age X25519 recipient (age1…)", right_case=text.islower())
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise AgeKeyError("this recipient is a low-order point and protects nothing; make a new identity") from error
    return Recipient(public=public)


def parse_identity(text: str) -> Identity:
    """Read ``AGE-SECRET-KEY-1…``. Raises AgeKeyError, which never repeats the text."""
    what = "an age identity (AGE-SECRET-KEY-1…)"
    return Identity(secret=_key_bytes(text, _IDENTITY_PREFIX, what, right_case=text.isupper()))


def _key_bytes(text: str, prefix: str, what: str, *, right_case: bool) -> bytes:
    try:
        found, data = bech32.decode(text)
    except ValueError as error:
        raise AgeKeyError(f"this is not {what}: {error}") from error
    if found != prefix or not right_case or len(data) != 32:
        raise AgeKeyError(f"this is not {what}")
    return data


# --- headers


def make_header(file_key: bytes | bytearray, recipients: Sequence[Recipient]) -> bytes:
    """Wrap the file key (16 bytes) for every recipient. Raises ValueError without recipients."""
    if not recipients:
        raise ValueError("a seal without recipients could never be opened")
    signed = _VERSION + b"".join(_wrap(file_key, recipient) for recipient in recipients) + _MAC_MARK
    return signed + b" " + _b64(_mac(file_key, signed)) + b"\n"


def check_header(header: bytes, file_key: bytes | bytearray) -> None:
    """Raise AgeHeaderError unless this whole header was made with this file key."""
    parsed = _parse(header)
    if not hmac.compare_digest(parsed.mac, _mac(file_key, parsed.signed)):
        raise AgeHeaderError("the header was changed after it was made: its MAC does not fit")


def parse_header(header: bytes) -> int:
    """Count the stanzas. Raises AgeHeaderError when the header's form is damaged; needs no key."""
    return len(_parse(header).stanzas)


def read_header(source: Source) -> bytes:
    """Take the header off the front of a stock age file; the source then stands at the payload."""
    found = bytearray()
    while len(found) < HEADER_MAX_BYTES:
        letter = source.read(1)
        if not letter:
            break
        found += letter
        if letter == b"\n" and found.rpartition(b"\n")[0].rpartition(b"\n")[2].startswith(_MAC_MARK):
            return bytes(found)
    raise AgeHeaderError("no end of the header was found; this is not an age file, or only its payload")


def unwrap(header: bytes, identity: Identity) -> bytes:
    """Give the file key. Raises AgeNoMatchError when the header is for others, AgeHeaderError when it is damaged."""
    for stanza in _parse(header).stanzas:
        if stanza.args[0] == _X25519:
            file_key = _unwrap(stanza, identity)
            if file_key is not None:
                check_header(header, file_key)
                return file_key
    raise AgeNoMatchError("this identity is none of the recipients; try the other custodian's")


def rewrap(header: bytes, identity: Identity, recipients: Sequence[Recipient]) -> bytes:
    """Make a header for other recipients over the same payload, which must stay as it is, byte for byte."""
    return make_header(unwrap(header, identity), recipients)


def open_file(header: bytes, payload: Source, identity: Identity, emit: Callable[[memoryview], object]) -> int:
    """Decrypt to `emit` and count the bytes.

    What was emitted before an AgePayloadError is the true beginning, but not the file: throw it away.
    """
    return stream.open_payload(unwrap(header, identity), payload.read, emit)


def _wrap(file_key: bytes | bytearray, recipient: Recipient) -> bytes:
    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient.public))
    body = ChaCha20Poly1305(_wrap_key(shared, share, recipient.public)).encrypt(_ZERO_NONCE, file_key, None)
    return b"-> X25519 " + _b64(share) + b"\n" + _b64(body) + b"\n"


def _unwrap(stanza: _Stanza, identity: Identity) -> bytes | None:
    if len(stanza.args) != 2 or len(stanza.body) != FILE_KEY_BYTES + stream.TAG_BYTES:
        raise AgeHeaderError("an X25519 stanza has the wrong shape")
    share = _unb64(stanza.args[1].encode())
    if len(share) != 32:
        raise AgeHeaderError("an X25519 stanza has a share of the wrong length")
    secret = X25519PrivateKey.from_private_bytes(identity.secret)
    try:
        shared = secret.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError as error:
        raise AgeHeaderError("an X25519 stanza has a low-order share") from error
    try:
        return ChaCha20Poly1305(_wrap_key(shared, share, identity.recipient.public)).decrypt(
            _ZERO_NONCE, stanza.body, None
        )
    except InvalidTag:
        return None


def _wrap_key(shared: bytes, share: bytes, public: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, share + public, _X25519_INFO).derive(shared)


def _mac(file_key: bytes | bytearray, signed: bytes) -> bytes:
    key = HKDF(hashes.SHA256(), 32, b"", b"header").derive(file_key)
    return hmac.digest(key, signed, hashlib.sha256)


def _parse(header: bytes) -> _Header:
    if not header.startswith(_VERSION) or not header.endswith(b"\n"):
        raise AgeHeaderError("this is not an age v1 header")
    lines = header.removesuffix(b"\n").split(b"\n")[1:]
    *body, last = lines
    if not last.startswith(_MAC_MARK + b" "):
        raise AgeHeaderError("the header's MAC line is missing or damaged")
    mac = _unb64(last[len(_MAC_MARK) + 1 :])
    if len(mac) != 32:
        raise AgeHeaderError("the header's MAC has the wrong length")
    stanzas = _stanzas(body)
    if len(stanzas) > 1 and any(stanza.args[0] == "scrypt" for stanza in stanzas):
        raise AgeHeaderError("a passphrase stanza must stand alone")
    signed = header[: len(header) - len(last) - 1] + _MAC_MARK
    return _Header(stanzas=stanzas, signed=signed, mac=mac)


def _stanzas(lines: list[bytes]) -> tuple[_Stanza, ...]:
    found = []
    rest = iter(lines)
    for line in rest:
        if not _STANZA_START.fullmatch(line):
            raise AgeHeaderError("a stanza of the header begins wrongly")
        body = b""
        for part in rest:
            if len(part) > _LINE_LETTERS:
                raise AgeHeaderError("a line of the header is too long")
            body += _unb64(part)
            if len(part) < _LINE_LETTERS:
                break
        else:
            raise AgeHeaderError("a stanza of the header ends too early")
        found.append(_Stanza(args=tuple(line[3:].decode("ascii").split(" ")), body=body))
    if not found:
        raise AgeHeaderError("the header has no stanza")
    return tuple(found)


def _b64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _unb64(text: bytes) -> bytes:
    """Unpadded base64 with one spelling only, so that no two headers mean the same."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise AgeHeaderError("the header holds damaged base64") from error
    if _b64(data) != text:
        raise AgeHeaderError("the header holds base64 in a second spelling")
    return data
