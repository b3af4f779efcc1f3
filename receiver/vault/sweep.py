"""Take away what crashes left in the stores. Deciding is pure; only the deleting touches them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from receiver.vault.directory import Blob, BlobStore


def sweep(stores: Sequence[BlobStore], known: Callable[[str], bool], before_seconds: float) -> list[str]:
    """Delete orphans last written before then (seconds since 1970), and return their names."""
    gone = []
    for store in stores:
        for name in orphans(store.list(), known, before_seconds):
            store.delete(name)
            gone.append(name)
    return sorted(set(gone))


def orphans(blobs: Iterable[Blob], known: Callable[[str], bool], before_seconds: float) -> list[str]:
    """A row may name only the payload of a document: its header must not go for that."""
    return [
        blob.name
        for blob in blobs
        if blob.modified_seconds < before_seconds
        and (blob.ref is None or not any(known(ref) for ref in _pair(blob.ref)))
    ]


def _pair(ref: str) -> tuple[str, str]:
    stem = ref.rpartition(".")[0]
    return f"{stem}.age", f"{stem}.header"
