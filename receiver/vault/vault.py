"""Seal evidence so that the receiver itself cannot open it, and prove the seal before anything is removed.

Layout: ``payloads/ab/<seal>.age`` and, apart from them, ``ab/<seal>.header`` in ``headers/`` and in the second store.
``cat header payload`` is a file the stock ``age`` tool opens; destroying the headers destroys the evidence.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from receiver.domain.clock import Clock, SystemClock
from receiver.domain.seals import SealedTogether, SealResult, ToSeal
from receiver.vault import age
from receiver.vault.directory import BlobStore, DirectoryStore
from receiver.vault.errors import AgeError, SealMismatchError, VaultUnavailableError
from receiver.vault.probe import probe_vault
from receiver.vault.sealing import DIGESTS, Sealing, header_bytes, reader, take_away
from receiver.vault.sweep import sweep

_CHECK_PIECE_BYTES = 4 * 1024 * 1024


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

    def seal_all(
        self, objects: Sequence[ToSeal], name: str, manifest: Callable[[Sequence[SealResult]], bytes]
    ) -> SealedTogether:
        """Seal one object after the other, then the document that `manifest` makes of what came of them.

        All of it is durable, read back and compared when this returns; when it raises, nothing is left but what the
        sweep takes. Raises as `seal` does, and whatever opening, reading or `manifest` raises, untouched.
        """
        with self._together(objects[0].seal_id) as sealing:
            seals = []
            for one in objects:
                with one.open() as read:
                    seals.append(sealing.seal(one.seal_id, read, DIGESTS))
            return SealedTogether(seals=tuple(seals), manifest=sealing.seal_document(name, manifest(seals)))

    def seal(self, seal_id: str, read: Callable[[int], bytes], *, digests: tuple[str, ...] = DIGESTS) -> SealResult:
        """Encrypt what `read` gives until it gives nothing, make it durable, read it back, decrypt, compare.

        The file key lives in memory only, so a seal that was interrupted is made again; the same `seal_id` replaces
        the orphan. Call it with the id of a seal already relied on and that one is lost.
        Raises VaultUnavailableError (try again), SealMismatchError (the store lies; nothing is left of the seal), and
        whatever `read` raises, untouched.
        """
        unknown = set(digests) - set(DIGESTS)
        if unknown:
            raise ValueError(f"unknown digests: {sorted(unknown)}")
        with self._together(seal_id) as sealing:
            return sealing.seal(seal_id, read, digests)

    def seal_document(self, name: str, data: bytes) -> SealResult:
        """Seal a small document of ours (a message, a sample) alone, under an opaque name like a seal id."""
        with self._together(name) as sealing:
            return sealing.seal_document(name, data)

    def try_out(self, name: str, data: bytes) -> None:
        """Seal a sample as evidence is sealed, read it back, take it away. Raises as `seal` does."""
        sealed = self.seal_document(name, data)
        take_away(self._payloads, self._headers, sealed.payload_ref, sealed.header_ref)

    def check_seal(self, payload_ref: str, sha256_sealed: str, progress: Callable[[int], object] | None = None) -> bool:
        """Hash the sealed bytes again. False when they are gone or changed; `progress` hears bytes read since last."""
        found = hashlib.sha256()
        try:
            source = self._payloads.open(payload_ref)
        except FileNotFoundError:
            return False
        with source:
            read = reader(source)
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

    @contextmanager
    def _together(self, folder_of: str) -> Iterator[Sealing]:
        """What is sealed in the block is durable after it; when it raises, all of it is taken away."""
        if not self._recipients:
            raise ValueError("a vault needs recipients")
        sealing = self._begin(folder_of)
        try:
            yield sealing
            sealing.settle()
        except BaseException:
            sealing.take_away()
            raise

    def _begin(self, folder_of: str) -> Sealing:
        return Sealing(
            folder_of,
            payloads=self._payloads,
            headers=self._headers,
            recipients=self._recipients,
            clock=self._clock,
        )

    def _header_in(self, store: BlobStore, ref: str) -> bytes | None:
        try:
            header = header_bytes(store, ref)
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
