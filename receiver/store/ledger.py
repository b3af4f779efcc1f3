"""Tables of the ledger: entries get their numbers here, tiles and checkpoints are kept."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Integer, bindparam, func, select, update

from receiver.domain.errors import ConflictError, LedgerConflictError
from receiver.domain.ports import StoredCheckpoint, StoredEntry
from receiver.store import tables, upserts
from receiver.store.codec import Codec
from receiver.store.database import Database, Part
from receiver.store.entries import ENTRY_COLUMNS, checkable_entry
from receiver.store.errors import MissingRowError
from receiver.store.prepared import Asked


class LedgerTables(Part):
    def __init__(self, db: Database, codec: Codec) -> None:
        super().__init__(db, codec)
        self._tile, self._numbered = Asked(db.backend, _TILE), Asked(db.backend, _NUMBERED)
        self._last_checkpoint = Asked(db.backend, _LAST_CHECKPOINT)

    def pending_entries(self, limit: int) -> list[tuple[str, bytes]]:
        """Id and leaf hash of entries without a number, in the order they will be numbered."""
        with self._db.read() as conn:
            return [(name, leaf) for name, leaf in conn.execute(_PENDING, {"at_most": limit}).all()]

    def count_unsequenced(self) -> int:
        with self._db.read() as conn:
            return int(conn.execute(select(func.count()).where(tables.entry.c.seq.is_(None))).scalar_one())

    def ledger_size(self) -> int:
        with self._db.read() as conn:
            return _size(conn)

    def tile(self, level: int, n: int) -> bytes | None:
        return self.tiles_named([(level, n)]).get((level, n))

    def tiles_named(self, names: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """By level and number, as one state has them; those that are not there are left out."""
        with self._db.read() as conn:
            # Each by its key: SQLite answers a list of pairs by reading the whole table.
            rows = [self._tile.first(conn, {"a_level": level, "a_n": n}) for level, n in names]
        return {name: row[0] for name, row in zip(names, rows, strict=True) if row is not None}

    def append_to_ledger(
        self, first_seq: int, entries: Sequence[tuple[str, int]], tiles: Sequence[tuple[int, int, bytes]]
    ) -> None:
        """Number entries and store the tiles they fill, in one transaction. Raises LedgerConflictError."""
        lost = "another sequencer numbered entries first; read the size again"
        try:
            with self._db.write() as conn:
                if _size(conn) != first_seq:
                    raise LedgerConflictError(lost)
                if entries:
                    numbered = conn.execute(_NUMBER, [{"e_id": name, "e_seq": seq} for name, seq in entries]).rowcount
                    if numbered != len(entries):
                        raise LedgerConflictError(lost)
                self._put_tiles(conn, tiles)
        except ConflictError as error:
            raise LedgerConflictError(lost) from error

    def save_checkpoint(self, size: int, note: str) -> None:
        """Keep the newest note for this size; copies of an older one do not count for it."""
        put = upserts.replace(self._db.backend, tables.checkpoint, "note", "copies", "created_at")
        with self._db.write() as conn:
            row = {"size": size, "note": note, "copies": (), "created_at": self._db.now_in(conn)}
            conn.execute(put, self._codec.to_row("checkpoint", row))

    def last_checkpoint(self) -> StoredCheckpoint | None:
        with self._db.read() as conn:
            row = self._last_checkpoint.first(conn, {})
        if row is None:
            return None
        size, note, copies, created_at = row
        copied_to = self._codec.from_row("checkpoint", "copies", copies, str(size))
        return StoredCheckpoint(size=size, note=note, copies=tuple(copied_to), created_at=created_at)

    def record_copy(self, size: int, copy_name: str) -> None:
        """Raises MissingRowError when there is no checkpoint of this size."""
        checkpoint = tables.checkpoint
        query = select(checkpoint.c.copies).where(checkpoint.c.size == size)
        with self._db.write() as conn:
            found = conn.execute(self._db.backend.for_update(query)).scalar_one_or_none()
            if found is None:
                raise MissingRowError("there is no checkpoint of this size")
            copies = self._codec.from_row("checkpoint", "copies", found, str(size))
            row = self._codec.to_row("checkpoint", {"copies": sorted({*copies, copy_name})})
            conn.execute(update(checkpoint).where(checkpoint.c.size == size).values(row))

    def iter_entries(self, first_seq: int, limit: int) -> list[StoredEntry]:
        """For checking: a detail may be the text that was committed to instead of what it says."""
        given = {"first": first_seq, "at_most": limit}
        with self._db.read() as conn:
            return [checkable_entry(self._codec, row) for row in self._numbered.all(conn, given)]

    def _put_tiles(self, conn: Connection, tiles: Sequence[tuple[int, int, bytes]]) -> None:
        if not tiles:
            return
        now = self._db.now_in(conn)
        put = upserts.replace(self._db.backend, tables.tile, "hashes")
        conn.execute(put, [{"level": level, "n": n, "hashes": hashes, "created_at": now} for level, n, hashes in tiles])


# Built once, since building a statement costs more than running it.
_PENDING = (
    select(tables.entry.c.id, tables.entry.c.leaf_hash)
    .where(tables.entry.c.seq.is_(None))
    .order_by(tables.entry.c.id)
    .limit(bindparam("at_most", type_=Integer))
)
_NUMBERED = (
    select(*ENTRY_COLUMNS)
    .outerjoin(tables.entry_detail, tables.entry_detail.c.entry == tables.entry.c.id)
    .where(tables.entry.c.seq >= bindparam("first"))
    .order_by(tables.entry.c.seq)
    .limit(bindparam("at_most", type_=Integer))
)
_TILE = select(tables.tile.c.hashes).where(
    tables.tile.c.level == bindparam("a_level"), tables.tile.c.n == bindparam("a_n")
)
_LAST_CHECKPOINT = (
    select(*(tables.checkpoint.c[name] for name in ("size", "note", "copies", "created_at")))
    .order_by(tables.checkpoint.c.size.desc())
    .limit(1)
)
_LAST_NUMBER = select(func.max(tables.entry.c.seq)).where(tables.entry.c.seq.is_not(None))
_NUMBER = (
    update(tables.entry)
    .where(tables.entry.c.id == bindparam("e_id"), tables.entry.c.seq.is_(None))
    .values(seq=bindparam("e_seq"))
)


def _size(conn: Connection) -> int:
    last = conn.execute(_LAST_NUMBER).scalar_one_or_none()
    return 0 if last is None else int(last) + 1
