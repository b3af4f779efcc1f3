"""What goes into the vault, and what it says of what it took."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SealResult:
    seal_id: str
    payload_ref: str
    header_ref: str
    sha256_plain: str
    md5_plain: str | None
    sha1_plain: str | None
    size_bytes: int
    sha256_sealed: str
    sealed_bytes: int
    checked_at: int


@dataclass(frozen=True, kw_only=True)
class ToSeal:
    """An object that is to be sealed; `open` begins to read it, and ending the block lets it go."""

    seal_id: str
    open: Callable[[], AbstractContextManager[Callable[[int], bytes]]]


@dataclass(frozen=True, kw_only=True)
class SealedTogether:
    seals: tuple[SealResult, ...]
    """In the order of the objects."""
    manifest: SealResult
