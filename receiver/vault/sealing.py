"""What is sealed together: each file is durable and read back at once, the names of all of them at the end.

A crash in between leaves whole files that no row names, in any choice of them; the sweep takes those.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from receiver.domain.clock import Clock, to_micros
from receiver.domain.seals import SealResult
from receiver.vault import age, stream
from receiver.vault.directory import BlobStore, store_errors
from receiver.vault.errors import AgeError, SealMismatchError, VaultUnavailableError

READ_BYTES = 1024 * 1024
DIGESTS = ("sha256", "md5", "sha1")
_SEAL_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, kw_only=True)
class _Written:
    plain: dict[str, str]
    size_bytes: int
    sha256_sealed: str
    sealed_bytes: int


class Sealing:
    """Seals made together, in one folder of each store.

    Args:
        folder_of: the seal whose name chooses the folder.
        recipients: public keys of the custodians, at least one.
    """

    def __init__(
        self,
        folder_of: str,
        *,
        payloads: BlobStore,
        headers: Sequence[BlobStore],
        recipients: Sequence[age.Recipient],
        clock: Clock,
    ) -> None:
        self._folder_of = folder_of
        self._payloads, self._headers = payloads, tuple(headers)
        self._recipients, self._clock = recipients, clock
        self._begun: list[tuple[str, str]] = []

    def seal(self, seal_id: str, read: Callable[[int], bytes], digests: tuple[str, ...]) -> SealResult:
        """Encrypt what `read` gives, read it back from the store, decrypt, compare. It counts after `settle` only."""
        payload_ref, header_ref = refs_of(seal_id, self._folder_of)
        self._begun.append((payload_ref, header_ref))
        file_key = bytearray(secrets.token_bytes(age.FILE_KEY_BYTES))
        try:
            written = self._write_payload(payload_ref, file_key, read, digests)
            header = age.make_header(file_key, self._recipients)
            for store in self._headers:
                with store.put(header_ref, settled=False) as out:
                    out.write(header)
            self._read_back(payload_ref, header_ref, header, file_key, written)
        finally:
            file_key[:] = bytes(len(file_key))
        return SealResult(
            seal_id=seal_id,
            payload_ref=payload_ref,
            header_ref=header_ref,
            sha256_plain=written.plain["sha256"],
            md5_plain=written.plain.get("md5"),
            sha1_plain=written.plain.get("sha1"),
            size_bytes=written.size_bytes,
            sha256_sealed=written.sha256_sealed,
            sealed_bytes=written.sealed_bytes,
            checked_at=to_micros(self._clock.now()),
        )

    def seal_document(self, name: str, data: bytes) -> SealResult:
        """A small document of ours, under a name like a seal id."""
        view = memoryview(data)
        position = 0

        def read(size: int) -> bytes:
            nonlocal position
            position += size
            return bytes(view[position - size : position])

        return self.seal(name, read, ("sha256",))

    def settle(self) -> None:
        """Make every name durable. Nothing may rest on these seals before."""
        self._payloads.settle([payload for payload, _ in self._begun])
        for store in self._headers:
            store.settle([header for _, header in self._begun])

    def take_away(self) -> None:
        """Headers first: without them nobody can take the rest for a seal. What cannot be deleted, the sweep takes."""
        for payload_ref, header_ref in self._begun:
            take_away(self._payloads, self._headers, payload_ref, header_ref)

    def _write_payload(
        self, ref: str, file_key: bytearray, read: Callable[[int], bytes], digests: tuple[str, ...]
    ) -> _Written:
        plain = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha256", *digests)}
        sealed, size_bytes, sealed_bytes = hashlib.sha256(), 0, 0
        with self._payloads.put(ref, settled=False) as out:

            def emit(data: memoryview) -> None:
                nonlocal sealed_bytes
                sealed.update(data)
                out.write(data)
                sealed_bytes += len(data)

            payload = stream.PayloadWriter(file_key, emit)
            while piece := read(READ_BYTES):
                for digest in plain.values():
                    digest.update(piece)
                payload.update(piece)
                size_bytes += len(piece)
            payload.finish()
        return _Written(
            plain={name: digest.hexdigest() for name, digest in plain.items()},
            size_bytes=size_bytes,
            sha256_sealed=sealed.hexdigest(),
            sealed_bytes=sealed_bytes,
        )

    def _read_back(
        self, payload_ref: str, header_ref: str, header: bytes, file_key: bytearray, written: _Written
    ) -> None:
        """Compare what the stores give back with what went in. Raises SealMismatchError."""
        sealed, plain = hashlib.sha256(), hashlib.sha256()
        try:
            if any(header_bytes(store, header_ref) != header for store in self._headers):
                raise SealMismatchError("a header store gave back another header than was written; look at its disk")
            age.check_header(header, file_key)
            with self._payloads.open(payload_ref) as source:
                read = reader(source)

                def read_hashed(size: int) -> bytes:
                    data = read(size)
                    sealed.update(data)
                    return data

                size_bytes = stream.open_payload(file_key, read_hashed, plain.update)
        except (AgeError, FileNotFoundError) as error:
            raise SealMismatchError("the sealed bytes read back do not open; look at the vault's disk") from error
        same = (size_bytes, plain.hexdigest(), sealed.hexdigest()) == (
            written.size_bytes,
            written.plain["sha256"],
            written.sha256_sealed,
        )
        if not same:
            raise SealMismatchError("the sealed bytes read back are not what was sealed; look at the vault's disk")


def take_away(payloads: BlobStore, headers: Iterable[BlobStore], payload_ref: str, header_ref: str) -> None:
    """Delete one seal as far as the stores let us."""
    for store, ref in (*((store, header_ref) for store in headers), (payloads, payload_ref)):
        with contextlib.suppress(VaultUnavailableError):
            store.delete(ref)


def header_bytes(store: BlobStore, ref: str) -> bytes:
    """As they lie there. Raises FileNotFoundError."""
    with store.open(ref) as source:
        return reader(source)(age.HEADER_MAX_BYTES)


def reader(source: BinaryIO) -> Callable[[int], bytes]:
    """Its `read`, failing in the vault's words."""

    def read(size: int) -> bytes:
        with store_errors("reading"):
            return source.read(size)

    return read


def refs_of(seal_id: str, folder_of: str | None = None) -> tuple[str, str]:
    """The names of a seal's payload and header, in the folder of that seal (else its own).

    Ids begin with the time, so folders are chosen by a hash.
    """
    folder_of = folder_of or seal_id
    if not _SEAL_ID.fullmatch(seal_id) or not _SEAL_ID.fullmatch(folder_of):
        raise ValueError("a seal's name is letters, digits, - and _")
    shard = hashlib.sha256(folder_of.encode()).hexdigest()[:2]
    return f"{shard}/{seal_id}.age", f"{shard}/{seal_id}.header"
