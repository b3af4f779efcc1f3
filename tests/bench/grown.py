"""A database with very many cases: the rows of one real, finished case, cloned by SQL under new ids.

What is encrypted is copied as it is, so it has its size but does not open: nothing that P5 measures reads an old case.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from receiver.domain.tree import append

TABLES = (
    *("message", "notice", "item", "case_", "claim", "case_url", "work"),
    *("act", "seal", "event", "entry", "entry_detail"),
)
IDS = {
    *(("message", "id"), ("notice", "id"), ("item", "id"), ("case_", "id")),
    *(("act", "op_id"), ("seal", "id"), ("event", "id"), ("entry", "id")),
}
"""Columns with ids of our own making; whatever holds one of these values is cloned with it."""
YEAR_MICROS = 365 * 86_400 * 1_000_000
DAY_MICROS = 86_400 * 1_000_000
LEAVES_AT_ONCE = 256 * 256
SPECIAL = {
    ("notice", "notice_id"): "printf('CLONE-%07d', k)",
    ("case_", "code"): "printf('%08d', k)",
    ("item", "url_hmac"): "lower(hex(randomblob(32)))",
    ("case_", "locator_hmac"): "lower(hex(randomblob(32)))",
    ("case_url", "url_hmac"): "lower(hex(randomblob(32)))",
    ("seal", "payload_ref"): "printf('%02x/%07d.age', k % 256, k)",
    ("seal", "header_ref"): "printf('%02x/%07d.header', k % 256, k)",
    ("seal", "manifest_ref"): "printf('%02x/m%07d.age', k % 256, k)",
    ("entry", "leaf_hash"): "randomblob(32)",
    # Nothing of an old case falls due while somebody measures.
    ("work", "due_at"): f"due_at + {10 * YEAR_MICROS}",
    ("work", "owner"): "NULL",
}


def grow(template: Path, target: Path, cases: int) -> None:
    """Write `target` with so many more cases than `template` has. Whole or not at all."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    shutil.copyfile(template, part)
    with closing(sqlite3.connect(part, isolation_level=None)) as link:
        cache = f"cache_size=-{_cache_kib()}"
        for pragma in ("journal_mode=MEMORY", "synchronous=OFF", cache, "foreign_keys=OFF"):
            link.execute(f"PRAGMA {pragma}")
        ids = {value for table, column in IDS for (value,) in link.execute(f"SELECT {column} FROM {table}")}
        before = int(link.execute("SELECT count(*) FROM entry WHERE seq IS NOT NULL").fetchone()[0])
        # The page of its own would be paged about; checkpoints were signed for the template alone.
        link.execute("DELETE FROM checkpoint")
        for table in TABLES:
            _clone(link, table, ids, cases, before)
        _build_tiles(link, before)
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.rename(target)


def _cache_kib() -> int:
    """Up to 6 GiB, and a third of what is free: indexes over random words are written all over the file."""
    free_kib = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    return min(6 * 1024 * 1024, free_kib // 3)


def _clone(link: sqlite3.Connection, table: str, ids: set[str], cases: int, entries: int) -> None:
    columns = [row[1] for row in link.execute(f'PRAGMA table_info("{table}")')]
    link.execute(f'CREATE TEMP TABLE template AS SELECT * FROM "{table}" ORDER BY rowid')
    rows = int(link.execute("SELECT count(*) FROM template").fetchone()[0])
    made = []
    for column in columns:
        held = {value for (value,) in link.execute(f'SELECT "{column}" FROM template')} - {None}
        if (table, column) == ("entry", "seq"):
            made.append(f"{entries} + (k - 1) * {rows} + template.rowid - 1")
        elif (table, column) in SPECIAL:
            made.append(SPECIAL[table, column])
        elif held and held <= ids:
            made.append(f"""printf('00%05X', k) || substr(template."{column}", 8)""")
        elif column == "created_at":
            # Not within the hour that limits look back at.
            made.append(f"template.created_at - (1 + k % 300) * {DAY_MICROS}")
        else:
            made.append(f'template."{column}"')
    names = ", ".join(f'"{column}"' for column in columns)
    series = f"WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < {cases})"
    link.execute("BEGIN")
    link.execute(f'INSERT INTO "{table}" ({names}) {series} SELECT {", ".join(made)} FROM n, template')
    link.execute("COMMIT")
    link.execute("DROP TABLE template")


def _build_tiles(link: sqlite3.Connection, size: int) -> None:
    """So that the sequencer can go on behind the clones."""
    tiles = {(level, n): bytes(hashes) for level, n, hashes in link.execute("SELECT level, n, hashes FROM tile")}
    leaves = (bytes(leaf) for (leaf,) in link.execute(f"SELECT leaf_hash FROM entry WHERE seq >= {size} ORDER BY seq"))

    def known(level: int, n: int) -> bytes | None:
        return tiles.get((level, n))

    for piece in _pieces(leaves):
        added = append(known, size, piece)
        size = added.size
        tiles.update({(level, n): hashes for level, n, hashes in added.tiles})
    link.execute("BEGIN")
    link.executemany(
        "INSERT OR REPLACE INTO tile (level, n, hashes, created_at) VALUES (?, ?, ?, 0)",
        [(level, n, hashes) for (level, n), hashes in tiles.items()],
    )
    link.execute("COMMIT")


def _pieces(leaves: Iterator[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    for leaf in leaves:
        piece.append(leaf)
        if len(piece) == LEAVES_AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece
