"""The payload of an age v1 file: a 16-byte nonce, then ChaCha20-Poly1305 chunks of 64 KiB (STREAM).

Memory is two fixed buffers whatever the size. The last chunk is marked, so a cut or longer payload never opens whole.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from receiver.vault.errors import AgePayloadError

CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
NONCE_BYTES = 16
_BATCH_CHUNKS = 16
BATCH_BYTES = _BATCH_CHUNKS * SEALED_CHUNK_BYTES

Emit = Callable[[memoryview], object]
"""Takes bytes out of a buffer that is used again at once: write or hash them, keep nothing."""


class PayloadWriter:
    """Seals what `update` is given, of any length, and hands sealed bytes to `emit` about 1 MiB at a time."""

    def __init__(self, file_key: bytes | bytearray, emit: Emit) -> None:
        nonce = secrets.token_bytes(NONCE_BYTES)
        self._cipher = _cipher(file_key, nonce)
        self._emit = emit
        self._counter = 0
        self._held = bytearray(CHUNK_BYTES)
        self._held_bytes = 0
        self._batch = bytearray(nonce)
        self._batch_bytes = NONCE_BYTES

    def update(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        # A full chunk waits until something follows it: only then is it known not to be the last.
        if self._held_bytes:
            taken = min(CHUNK_BYTES - self._held_bytes, len(view))
            self._hold(view[:taken])
            view = view[taken:]
            if not view:
                return
            self._seal(memoryview(self._held), last=False)
            self._held_bytes = 0
        whole = max(0, len(view) - 1) // CHUNK_BYTES * CHUNK_BYTES
        for start in range(0, whole, CHUNK_BYTES):
            self._seal(view[start : start + CHUNK_BYTES], last=False)
        self._hold(view[whole:])

    def finish(self) -> None:
        self._seal(memoryview(self._held)[: self._held_bytes], last=True)
        self._flush()

    def _hold(self, data: memoryview) -> None:
        self._held[self._held_bytes : self._held_bytes + len(data)] = data
        self._held_bytes += len(data)

    def _seal(self, chunk: memoryview, *, last: bool) -> None:
        if self._batch_bytes + SEALED_CHUNK_BYTES > BATCH_BYTES:
            self._flush()
        end = self._batch_bytes + len(chunk) + TAG_BYTES
        if end > len(self._batch):
            # Clearing a whole batch costs more than sealing a small file does.
            self._batch += bytes((end if last else BATCH_BYTES) - len(self._batch))
        target = memoryview(self._batch)[self._batch_bytes : end]
        self._cipher.encrypt_into(_chunk_nonce(self._counter, last=last), chunk, None, target)
        self._counter += 1
        self._batch_bytes = end

    def _flush(self) -> None:
        self._emit(memoryview(self._batch)[: self._batch_bytes])
        self._batch_bytes = 0


def open_payload(file_key: bytes | bytearray, read: Callable[[int], bytes], emit: Emit) -> int:
    """Decrypt chunk by chunk to `emit` and count the plain bytes. Raises AgePayloadError at the first damage."""
    nonce = _read_whole(read, NONCE_BYTES)
    if len(nonce) != NONCE_BYTES:
        raise AgePayloadError("the payload is cut before its first chunk")
    cipher = _cipher(file_key, nonce)
    plain = bytearray(CHUNK_BYTES)
    counter = size_bytes = 0
    batch, following = _read_whole(read, BATCH_BYTES), b""
    while True:
        if len(batch) == BATCH_BYTES:
            following = _read_whole(read, BATCH_BYTES)
        for start in range(0, max(len(batch), 1), SEALED_CHUNK_BYTES):
            chunk = memoryview(batch)[start : start + SEALED_CHUNK_BYTES]
            last = not following and start + SEALED_CHUNK_BYTES >= len(batch)
            target = memoryview(plain)[: max(0, len(chunk) - TAG_BYTES)]
            if counter and last and not target:
                raise AgePayloadError("the payload ends in an empty chunk, which no writer makes")
            marked_last = _open_chunk(cipher, counter, chunk, target, last=last)
            emit(target)
            if marked_last != last:
                raise AgePayloadError(
                    "something follows the payload's end" if marked_last else "the payload is cut short"
                )
            counter += 1
            size_bytes += len(target)
        if not following:
            return size_bytes
        batch, following = following, b""


def _open_chunk(cipher: ChaCha20Poly1305, counter: int, chunk: memoryview, target: memoryview, *, last: bool) -> bool:
    """Tell whether the chunk is marked as the last; a sound chunk in the wrong place is told apart from damage."""
    if len(chunk) < TAG_BYTES:
        raise AgePayloadError(f"the payload is cut inside chunk {counter}")
    marks = (last, not last) if len(chunk) == SEALED_CHUNK_BYTES else (last,)
    for marked in marks:
        try:
            cipher.decrypt_into(_chunk_nonce(counter, last=marked), chunk, None, target)
        except InvalidTag:
            continue
        return marked
    raise AgePayloadError(f"the payload is damaged in chunk {counter}")


def _cipher(file_key: bytes | bytearray, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(hashes.SHA256(), 32, nonce, b"payload").derive(file_key))


def _chunk_nonce(counter: int, *, last: bool) -> bytes:
    return counter.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _read_whole(read: Callable[[int], bytes], size: int) -> bytes:
    """Read until `size` bytes are there or the end is: stores may give less than asked."""
    data = read(size)
    if len(data) == size or not data:
        return data
    parts, missing = [data], size - len(data)
    while missing and (data := read(missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)
