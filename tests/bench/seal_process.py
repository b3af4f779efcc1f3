"""One measurement of P4, in a process of its own: prints JSON."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from receiver.vault import age, stream
from receiver.vault.sealing import READ_BYTES, Sealing
from receiver.vault.vault import DirectoryVault
from tests.bench.processes import peak_kib
from tests.bench.seal_speed import MIB, PARTS

NOISE_PIECES = 8
WARM_BYTES = 4 * MIB


class TimedSealing(Sealing):
    """Tells the read-back from the rest."""

    read_back_seconds = 0.0

    def _read_back(self, *args: Any, **kwargs: Any) -> None:
        begun = time.perf_counter()
        super()._read_back(*args, **kwargs)
        self.read_back_seconds = time.perf_counter() - begun


class TimedVault(DirectoryVault):
    last: TimedSealing

    def _begin(self, folder_of: str) -> Sealing:
        self.last = TimedSealing(
            folder_of,
            payloads=self._payloads,
            headers=self._headers,
            recipients=self._recipients,
            clock=self._clock,
        )
        return self.last


class Noise:
    """A stream of noise that costs nothing to make: the same few pieces over and over."""

    def __init__(self) -> None:
        self._pieces = [os.urandom(READ_BYTES) for _ in range(NOISE_PIECES)]

    def reader(self, size_bytes: int) -> Callable[[int], bytes]:
        left = size_bytes

        def read(size: int) -> bytes:
            nonlocal left
            size = min(size, left, READ_BYTES)
            left -= size
            piece = self._pieces[(left // READ_BYTES) % NOISE_PIECES]
            return piece if size == READ_BYTES else piece[:size]

        return read

    def pieces(self, size_bytes: int) -> Iterator[bytes]:
        read = self.reader(size_bytes)
        while piece := read(READ_BYTES):
            yield piece


def seal_seconds(vault: TimedVault, noise: Noise, size_bytes: int, digests: tuple[str, ...]) -> tuple[float, float]:
    """The whole seal, and how much of it the read-back took."""
    begun = time.perf_counter()
    made = vault.seal(f"bench-{secrets.token_hex(4)}", noise.reader(size_bytes), digests=digests)
    took = time.perf_counter() - begun
    vault._payloads.delete(made.payload_ref)
    return took, vault.last.read_back_seconds


def parts(noise: Noise, size_bytes: int, folder: Path) -> dict[str, float]:
    seconds = (
        _timed(lambda: _hash(noise, size_bytes)),
        _timed(lambda: _encrypt(noise, size_bytes)),
        _timed(lambda: _hash(noise, size_bytes)),
        _timed(lambda: _write(noise, size_bytes, folder)),
    )
    return dict(zip(PARTS, seconds, strict=True))


def _timed(act: Callable[[], None]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _hash(noise: Noise, size_bytes: int) -> None:
    found = hashlib.sha256()
    for piece in noise.pieces(size_bytes):
        found.update(piece)


def _encrypt(noise: Noise, size_bytes: int) -> None:
    """By age's chunks, into one buffer, as the fastest caller would."""
    cipher, counter = ChaCha20Poly1305(os.urandom(32)), 0
    target = bytearray(stream.SEALED_CHUNK_BYTES)
    for piece in noise.pieces(size_bytes):
        view = memoryview(piece)
        for start in range(0, len(view), stream.CHUNK_BYTES):
            chunk = view[start : start + stream.CHUNK_BYTES]
            cipher.encrypt_into(counter.to_bytes(12, "big"), chunk, None, memoryview(target)[: len(chunk) + 16])
            counter += 1


def _write(noise: Noise, size_bytes: int, folder: Path) -> None:
    path = folder / "part.bin"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for piece in noise.pieces(size_bytes):
            os.write(descriptor, piece)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        path.unlink()


def main(folder: Path, size_bytes: int) -> None:
    noise = Noise()
    recipients = [age.parse_recipient(age.new_identity()[1]) for _ in range(2)]
    vault = TimedVault(str(folder / "vault"), recipients, second_headers_path=str(folder / "second"))
    idle = peak_kib()
    seal_seconds(vault, noise, WARM_BYTES, ("sha256",))
    bare, bare_back = seal_seconds(vault, noise, size_bytes, ("sha256",))
    whole, whole_back = seal_seconds(vault, noise, size_bytes, ("sha256", "md5", "sha1"))
    growth = peak_kib() - idle
    report = {
        "seal_seconds": bare - bare_back,
        "read_back_seconds": bare_back,
        "whole_seconds": whole,
        "extra_seconds": (whole - whole_back) - (bare - bare_back),
        "idle_kib": idle,
        "growth_kib": growth,
        "parts": parts(noise, size_bytes, folder),
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
