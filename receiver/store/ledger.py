"""Tables of the ledger: entries get their numbers here, tiles and checkpoints are kept."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select, update

from receiver.domain.errors import ConflictError, LedgerConflictError
from receiver.domain.ports import StoredCheckpoint, StoredEntry
from receiver.store import tables, upserts
from receiver.store.database import Part
from receiver.store.entries import stored_entry
from receiver.store.errors import MissingRowError


class LedgerTables(Part):
    def pending_entries(self, limit: int) -> list[tuple[str, bytes]]:
        """Id and leaf hash of entries without a number, in the order they will be numbered."""
        entry = tables.entry.c
        query = select(entry.id, entry.leaf_hash).where(entry.seq.is_(None)).order_by(entry.id).limit(limit)
        with self._db.read() as conn:
            return [(name, leaf) for name, leaf in conn.execute(query)]

    def count_unsequenced(self) -> int:
        with self._db.read() as conn:
            return int(conn.execute(select(func.count()).where(tables.entry.c.seq.is_(None))).scalar_one())

    def ledger_size(self) -> int:
        with self._db.read() as conn:
            return _size(conn)

    def tile(self, level: int, n: int) -> bytes | None:
        tile = tables.tile.c
        with self._db.read() as conn:
            return conn.execute(select(tile.hashes).where(tile.level == level, tile.n == n)).scalar_one_or_none()

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
        checkpoint = tables.checkpoint.c
        query = select(tables.checkpoint).order_by(checkpoint.size.desc()).limit(1)
        with self._db.read() as conn:
            row = conn.execute(query).mappings().first()
        if row is None:
            return None
        copies = self._codec.from_row("checkpoint", "copies", row["copies"], str(row["size"]))
        return StoredCheckpoint(size=row["size"], note=row["note"], copies=tuple(copies), created_at=row["created_at"])

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
        entry, detail = tables.entry, tables.entry_detail
        query = (
            select(entry, detail.c.data)
            .outerjoin(detail, detail.c.entry == entry.c.id)
            .where(entry.c.seq >= first_seq)
            .order_by(entry.c.seq)
            .limit(limit)
        )
        with self._db.read() as conn:
            return [stored_entry(self._codec, row) for row in conn.execute(query).mappings()]

    def _put_tiles(self, conn: Connection, tiles: Sequence[tuple[int, int, bytes]]) -> None:
        if not tiles:
            return
        now = self._db.now_in(conn)
        put = upserts.replace(self._db.backend, tables.tile, "hashes")
        conn.execute(put, [{"level": level, "n": n, "hashes": hashes, "created_at": now} for level, n, hashes in tiles])


_NUMBER = (
    update(tables.entry)
    .where(tables.entry.c.id == bindparam("e_id"), tables.entry.c.seq.is_(None))
    .values(seq=bindparam("e_seq"))
)


def _size(conn: Connection) -> int:
    seq = tables.entry.c.seq
    last = conn.execute(select(func.max(seq)).where(seq.is_not(None))).scalar_one_or_none()
    return 0 if last is None else int(last) + 1
