"""The Merkle tree of RFC 6962 over SHA-256, kept in tiles 256 hashes wide. Pure: tiles come from a function.

Tile (level, n) holds, 32 bytes each, the roots of the complete subtrees of 256**level leaves from number 256 n on.
The last tile of a level grows, so a batch writes one or two rows and a proof reads a few.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from receiver.domain.errors import ReceiverError

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
EMPTY_ROOT = hashlib.sha256(b"").digest()

ReadTile = Callable[[int, int], bytes | None]
"""`read(level, n)` gives the tile's hashes, or None where there is none."""


class TreeError(ReceiverError):
    """The tiles do not hold what the size says: some are missing, cut or belong to another ledger."""


@dataclass(frozen=True, kw_only=True)
class Appended:
    size: int
    root: bytes
    tiles: tuple[tuple[int, int, bytes], ...]
    """Rows to write: level, n, hashes; each replaces a shorter row of that name."""


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree of `size` leaves, read from tiles. Each tile is asked for once."""

    def __init__(self, read_tile: ReadTile, size: int) -> None:
        self.size = size
        self._read_tile = read_tile
        self._tiles: dict[tuple[int, int], bytes] = {}

    def root(self) -> bytes:
        return self.range_hash(0, self.size) if self.size else EMPTY_ROOT

    def root_at(self, size: int) -> bytes:
        """The root when the tree had `size` leaves."""
        if not 0 <= size <= self.size:
            raise TreeError(f"the ledger has {self.size} entries, not {size}")
        return self.range_hash(0, size) if size else EMPTY_ROOT

    def range_hash(self, start: int, end: int) -> bytes:
        """MTH of the leaves start … end-1, where start is a multiple of the largest power of two within."""
        parts = []
        while start < end:
            height = (end - start).bit_length() - 1
            parts.append(self._node(height, start >> height))
            start += 1 << height
        found = parts.pop()
        while parts:
            found = node_hash(parts.pop(), found)
        return found

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """RFC 9162, 2.1.3.1: the hashes from leaf `index` up to the root."""
        if not 0 <= index < self.size:
            raise TreeError(f"the ledger has {self.size} entries, none with number {index}")
        path, start, end = [], 0, self.size
        while end - start > 1:
            split = start + _split(end - start)
            if index < split:
                path.append(self.range_hash(split, end))
                end = split
            else:
                path.append(self.range_hash(start, split))
                start = split
        return tuple(reversed(path))

    def _node(self, height: int, index: int) -> bytes:
        level, above = divmod(height, TILE_HEIGHT)
        first = index << above
        n, offset = divmod(first, TILE_WIDTH)
        tile = self._tile(level, n)
        width = 1 << above
        hashes = tile[offset * HASH_BYTES : (offset + width) * HASH_BYTES]
        if len(hashes) != width * HASH_BYTES:
            raise TreeError(f"tile {level}/{n} is missing or cut short")
        return _fold(hashes)

    def _tile(self, level: int, n: int) -> bytes:
        if (level, n) not in self._tiles:
            self._tiles[level, n] = self._read_tile(level, n) or b""
        return self._tiles[level, n]


def append(read_tile: ReadTile, size: int, leaves: Iterable[bytes]) -> Appended:
    """Add leaf hashes behind the first `size`. Raises TreeError when the tiles do not fit the size."""
    builder = _Builder(read_tile, size)
    builder.add(list(leaves))
    rows = tuple(sorted((level, n, bytes(hashes)) for (level, n), hashes in builder.touched.items()))
    written = {(level, n): hashes for level, n, hashes in rows}

    def read(level: int, n: int) -> bytes | None:
        return written.get((level, n)) or read_tile(level, n)

    return Appended(size=builder.size, root=Tree(read, builder.size).root(), tiles=rows)


class _Builder:
    def __init__(self, read_tile: ReadTile, size: int) -> None:
        self.size = size
        self.touched: dict[tuple[int, int], bytearray] = {}
        self._read_tile = read_tile

    def add(self, leaves: Sequence[bytes]) -> None:
        if not all(length == HASH_BYTES for length in set(map(len, leaves))):
            raise TreeError("a leaf hash is 32 bytes")
        done = 0
        while done < len(leaves):
            # A tile at a time, since verifying adds every leaf there ever was.
            room = TILE_WIDTH - self.size % TILE_WIDTH
            batch = leaves[done : done + room]
            self._extend(b"".join(batch))
            self.size += len(batch)
            done += len(batch)

    def _extend(self, found: bytes) -> None:
        """Put hashes behind the last leaf; they fill its tile at the most, and a full one gives a hash above."""
        level, index = 0, self.size
        while True:
            n, offset = divmod(index, TILE_WIDTH)
            tile = self._open(level, n, offset)
            tile += found
            if len(tile) < TILE_WIDTH * HASH_BYTES:
                break
            level, index, found = level + 1, n, _fold(bytes(tile))

    def _open(self, level: int, n: int, offset: int) -> bytearray:
        if (level, n) not in self.touched:
            stored = (self._read_tile(level, n) if offset else None) or b""
            if len(stored) != offset * HASH_BYTES:
                raise TreeError(f"tile {level}/{n} does not hold {offset} hashes; run `ledger verify`")
            self.touched[level, n] = bytearray(stored)
        return self.touched[level, n]


def proof_tiles(index: int, size: int) -> tuple[tuple[int, int], ...]:
    """Names of all tiles that `Tree.inclusion_proof` may ask for, so that they can be read together.

    They lie above the leaf and along the right edge; the last of a level is not there where none has begun.
    """
    names = set()
    level, place, edge = 0, index, size
    while edge:
        place, edge = place >> TILE_HEIGHT, edge >> TILE_HEIGHT
        names |= {(level, place), (level, edge)}
        level += 1
    return tuple(sorted(names))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162, 2.1.3.2. The last check matters: a proof that ends below the root proves nothing."""
    if not 0 <= index < size:
        return False
    fn, sn, found = index, size - 1, leaf
    for step in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            found = node_hash(step, found)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node_hash(found, step)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and hmac.compare_digest(found, root)


def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1


def _fold(hashes: bytes) -> bytes:
    """The root over a power of two of hashes."""
    sha256 = hashlib.sha256
    row = hashes
    while len(row) > HASH_BYTES:
        pairs = range(0, len(row), 2 * HASH_BYTES)
        row = b"".join([sha256(b"\x01" + row[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
    return row
