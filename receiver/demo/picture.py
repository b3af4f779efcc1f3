"""Generated colour fields: the only pictures a demonstration ever shows."""

from __future__ import annotations

import random
import struct
import zlib

WIDTH, HEIGHT, FIELD = 320, 200, 40
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def colour_field(seed: int) -> bytes:
    """A PNG of grainy squares in random colours; another seed is another file, byte for byte."""
    dice = random.Random(seed)  # noqa: S311 - colours are no secret
    colours = {
        (x, y): tuple(dice.randrange(24, 232) for _ in range(3))
        for y in range(HEIGHT // FIELD)
        for x in range(WIDTH // FIELD)
    }
    rows = bytearray()
    for y in range(HEIGHT):
        rows.append(0)  # the row is not filtered
        for x in range(WIDTH):
            grain = dice.getrandbits(3)
            rows += bytes(part + grain for part in colours[x // FIELD, y // FIELD])
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(rows))) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
