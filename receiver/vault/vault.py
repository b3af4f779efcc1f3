"""Seal evidence so that the receiver itself cannot open it, and prove the seal before anything is removed.

Layout: ``payloads/ab/<seal>.age`` and, apart from them, ``ab/<seal>.header`` in ``headers/`` and in the second store.
``cat header payload`` is a file the stock ``age`` tool opens; destroying the headers destroys the evidence.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from receiver.domain.clock import Clock, SystemClock, to_micros
from receiver.domain.ports import SealResult
from receiver.vault import age, stream
from receiver.vault.directory import BlobStore, DirectoryStore, store_errors
from receiver.vault.errors import AgeError, SealMismatchError, VaultUnavailableError
from receiver.vault.probe import probe_vault
from receiver.vault.sweep import sweep

READ_BYTES = 1024 * 1024
DIGESTS = ("sha256", "md5", "sha1")
_SEAL_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_CHECK_PIECE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class _Written:
    plain: dict[str, str]
    size_bytes: int
    sha256_sealed: str
    sealed_bytes: int


class DirectoryVault:
    """The vault in local folders.

    Args:
        path: folder of payloads and headers; made when first needed.
        recipients: public keys of the custodians, two or more.
        second_headers_path: the other header store, best on another disk.
        identity_search: folders where `probe` looks for identities that should not be within reach.
        min_free_bytes: `probe` warns below this.
    """

    def __init__(
        self,
        path: str,
        recipients: Sequence[age.Recipient],
        *,
        second_headers_path: str | None = None,
        identity_search: Sequence[str] = (),
        min_free_bytes: int = 1024**3,
        clock: Clock | None = None,
    ) -> None:
        self._recipients = tuple(recipients)
        self._clock = clock or SystemClock()
        self._payloads: BlobStore = DirectoryStore(os.path.join(path, "payloads"))
        header_roots = [os.path.join(path, "headers"), *([second_headers_path] if second_headers_path else [])]
        self._headers: tuple[BlobStore, ...] = tuple(DirectoryStore(root) for root in header_roots)
        self._path, self._second_headers_path = path, second_headers_path
        self._identity_search, self._min_free_bytes = tuple(identity_search), min_free_bytes
        self._started = (self._clock.now(), self._clock.monotonic())

    def seal(self, seal_id: str, read: Callable[[int], bytes], *, digests: tuple[str, ...] = DIGESTS) -> SealResult:
        """Encrypt what `read` gives until it gives nothing, make it durable, read it back, decrypt, compare.

        The file key lives in memory only, so a seal that was interrupted is made again; the same `seal_id` replaces
        the orphan. Call it with the id of a seal already relied on and that one is lost.
        Raises VaultUnavailableError (try again), SealMismatchError (the store lies; nothing is left of the seal), and
        whatever `read` raises, untouched.
        """
        unknown = set(digests) - set(DIGESTS)
        if unknown or not self._recipients:
            raise ValueError(f"unknown digests: {sorted(unknown)}" if unknown else "a vault needs recipients")
        payload_ref, header_ref = refs_of(seal_id)
        file_key = bytearray(secrets.token_bytes(age.FILE_KEY_BYTES))
        try:
            written = self._write_payload(payload_ref, file_key, read, digests)
            try:
                header = age.make_header(file_key, self._recipients)
                self._write_headers(header_ref, header)
                self._read_back(payload_ref, header_ref, header, file_key, written)
            except BaseException:
                self._take_away(payload_ref, header_ref)
                raise
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
        """Seal a small document of ours (a manifest, a message) under an opaque name, like a seal id."""
        view = memoryview(data)
        position = 0

        def read(size: int) -> bytes:
            nonlocal position
            position += size
            return bytes(view[position - size : position])

        return self.seal(name, read, digests=("sha256",))

    def try_out(self, name: str, data: bytes) -> None:
        """Seal a sample as evidence is sealed, read it back, take it away. Raises as `seal` does."""
        sealed = self.seal_document(name, data)
        self._take_away(sealed.payload_ref, sealed.header_ref)

    def check_seal(self, payload_ref: str, sha256_sealed: str, progress: Callable[[int], object] | None = None) -> bool:
        """Hash the sealed bytes again. False when they are gone or changed; `progress` hears bytes read since last."""
        found = hashlib.sha256()
        try:
            source = self._payloads.open(payload_ref)
        except FileNotFoundError:
            return False
        with source:
            read = _reader(source)
            while piece := read(_CHECK_PIECE_BYTES):
                found.update(piece)
                if progress:
                    progress(len(piece))
        return hmac.compare_digest(found.hexdigest(), sha256_sealed)

    def check_header(self, header_ref: str) -> bool:
        """Whether every header store holds the same, well-formed header. Whose it is only a custodian can tell."""
        found = {self._header_in(store, header_ref) for store in self._headers}
        return len(found) == 1 and None not in found

    def read_header(self, header_ref: str) -> bytes:
        """The header for a custodian to unwrap, from the first store that has it whole."""
        for store in self._headers:
            header = self._header_in(store, header_ref)
            if header is not None:
                return header
        raise SealMismatchError("no store holds this header whole; take it from a backup of the header stores")

    def open_payload(self, payload_ref: str) -> BinaryIO:
        """The sealed bytes behind the header. Raises FileNotFoundError."""
        return self._payloads.open(payload_ref)

    def sweep_orphans(
        self, known_refs: Callable[[str], bool] | Collection[str], older_than_seconds: float
    ) -> list[str]:
        """Delete seals that no row names and pieces that a crash left, once they are old enough; return their names.

        A seal goes only when neither its payload nor its header is known. Refuses after the clock has jumped.
        """
        known = known_refs if callable(known_refs) else known_refs.__contains__
        self._refuse_jumped_clock()
        before_seconds = self._clock.now().timestamp() - older_than_seconds
        return sweep((self._payloads, *self._headers), known, before_seconds)

    def probe(self) -> tuple[str, ...]:
        """What is wrong with this vault, in words for the operator; empty when nothing is."""
        return probe_vault(
            path=self._path,
            second_headers_path=self._second_headers_path,
            recipients=self._recipients,
            identity_search=(self._path, *self._identity_search),
            min_free_bytes=self._min_free_bytes,
        )

    def _write_payload(
        self, ref: str, file_key: bytearray, read: Callable[[int], bytes], digests: tuple[str, ...]
    ) -> _Written:
        plain = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha256", *digests)}
        sealed, size_bytes, sealed_bytes = hashlib.sha256(), 0, 0
        with self._payloads.put(ref) as out:

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

    def _write_headers(self, ref: str, header: bytes) -> None:
        for store in self._headers:
            with store.put(ref) as out:
                out.write(header)

    def _read_back(
        self, payload_ref: str, header_ref: str, header: bytes, file_key: bytearray, written: _Written
    ) -> None:
        """Compare what the stores give back with what went in. Raises SealMismatchError."""
        sealed, plain = hashlib.sha256(), hashlib.sha256()
        try:
            if any(self._header_in(store, header_ref) != header for store in self._headers):
                raise SealMismatchError("a header store gave back another header than was written; look at its disk")
            age.check_header(header, file_key)
            with self._payloads.open(payload_ref) as source:
                read = _reader(source)

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

    def _take_away(self, payload_ref: str, header_ref: str) -> None:
        # Headers first: without them nobody can take the rest for a seal. What cannot be deleted now, the sweep takes.
        for store, ref in (*((store, header_ref) for store in self._headers), (self._payloads, payload_ref)):
            with contextlib.suppress(VaultUnavailableError):
                store.delete(ref)

    def _header_in(self, store: BlobStore, ref: str) -> bytes | None:
        try:
            with store.open(ref) as source:
                header = _reader(source)(age.HEADER_MAX_BYTES)
            age.parse_header(header)
        except (FileNotFoundError, AgeError):
            return None
        return header

    def _refuse_jumped_clock(self) -> None:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        jumped = (now - self._started[0]).total_seconds() - (monotonic - self._started[1])
        self._started = (now, monotonic)
        if abs(jumped) > 60:
            raise VaultUnavailableError("the clock jumped, so nothing is swept now; see that it is right, then again")


def refs_of(seal_id: str) -> tuple[str, str]:
    """The names of a seal's payload and header. Ids begin with the time, so folders are chosen by a hash."""
    if not _SEAL_ID.fullmatch(seal_id):
        raise ValueError("a seal's name is letters, digits, - and _")
    shard = hashlib.sha256(seal_id.encode()).hexdigest()[:2]
    return f"{shard}/{seal_id}.age", f"{shard}/{seal_id}.header"


def _reader(source: BinaryIO) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        with store_errors("reading"):
            return source.read(size)

    return read
