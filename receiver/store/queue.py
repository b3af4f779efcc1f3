"""Claims, leases and heartbeats, all on the database's clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, delete, or_, select, tuple_, update
from sqlalchemy.sql.dml import ReturningUpdate

from receiver.domain.errors import LostLeaseError
from receiver.domain.rows import WorkRow
from receiver.domain.status import Track
from receiver.store import tables, upserts
from receiver.store.database import Part
from receiver.store.prepared import Asked
from receiver.store.rowmaker import shape_of

ALIVE_MICROS = 10_000_000
"""A worker not seen for this long has lost its leases."""
FORGOTTEN_MICROS = 86_400_000_000
"""A process not seen for a day is no longer listed."""
_NONCE_BATCH = 5_000


@dataclass(frozen=True, kw_only=True)
class WorkerRow:
    id: str
    node: str
    slot: str
    boot: str
    pid: int
    seen_at: int
    config_sha256: str
    created_at: int


_WORK = shape_of(WorkRow)
_LEASES = select(tables.work.c.track, tables.work.c.subject, tables.work.c.epoch).where(
    tables.work.c.owner == bindparam("worker")
)


class WorkQueue(Part):
    def now(self) -> int:
        with self._db.read() as conn:
            return self._db.now_in(conn)

    def register_worker(self, node: str, slot: str, boot: str, pid: int, config_sha256: str) -> str:
        """Returns the worker id; an earlier boot of the same node and slot loses its leases at once."""
        worker = f"{node}:{slot}:{boot}"
        table = tables.worker
        row = {"id": worker, "node": node, "slot": slot, "boot": boot, "pid": pid, "config_sha256": config_sha256}
        with self._db.write() as conn:
            now = self._db.now_in(conn)
            older = and_(table.c.node == node, table.c.slot == slot, table.c.id != worker)
            forgotten = table.c.seen_at < now - FORGOTTEN_MICROS
            conn.execute(delete(table).where(or_(older, forgotten)))
            put = upserts.replace(self._db.backend, table, "pid", "seen_at", "config_sha256")
            conn.execute(put, row | {"seen_at": now, "created_at": now})
        return worker

    def beat(self, worker: str) -> None:
        """Raises LostLeaseError when another process took this node and slot: end this one."""
        table = tables.worker
        with self._db.write(durable=False) as conn:
            now = self._db.now_in(conn)
            if conn.execute(update(table).where(table.c.id == worker).values(seen_at=now)).rowcount != 1:
                raise LostLeaseError("another process has this node and slot now; end this one, it may act no more")

    def reconfigured(self, worker: str, config_sha256: str) -> None:
        """Write which settings this process runs with, after it read them again."""
        table = tables.worker
        with self._db.write() as conn:
            conn.execute(update(table).where(table.c.id == worker).values(config_sha256=config_sha256))

    def retire_worker(self, worker: str) -> None:
        """Give back all leases, so that nobody has to wait for them to run out."""
        with self._db.write() as conn:
            leased = tables.work.c.owner == worker
            # The public side holds no lease, and may not even say so.
            if conn.execute(select(tables.work.c.subject).where(leased).limit(1)).first() is not None:
                conn.execute(update(tables.work).where(leased).values(owner=None))
            conn.execute(delete(tables.worker).where(tables.worker.c.id == worker))
        self._db.backend.call_wakers()

    def list_workers(self) -> tuple[WorkerRow, ...]:
        table = tables.worker
        with self._db.read() as conn:
            rows = conn.execute(select(table).order_by(table.c.node, table.c.slot)).mappings()
            return tuple(WorkerRow(**row) for row in rows)

    def claim(self, worker: str, track: Track, priority: int, limit: int) -> list[WorkRow]:
        """Lease the oldest due rows of one class; each lease has a new epoch, which every later write names."""
        given = {"worker": worker, "a_track": track.value, "a_priority": priority, "at_most": limit}
        with self._db.write(durable=False) as conn:
            claim = self._db.about_now("claim", lambda now: Asked(self._db.backend, self._claim(now)))
            rows = [_WORK.make(self._codec, row) for row in claim.all(conn, given)]
        return sorted(rows, key=lambda row: (row.due_at or 0, row.subject))

    def due_by_class(self, classes: Sequence[tuple[Track, int]]) -> tuple[int, Mapping[tuple[Track, int], int]]:
        """The database's time, and when in each class the next row that nobody holds falls due; not where none will.

        A claim writes, even where it finds nothing; this one question without a lock says which claims are worth it.
        """
        asked = tuple(classes)
        with self._db.read() as conn:
            look = self._db.about_now(asked, lambda now: Asked(self._db.backend, self._look(now, asked)))
            ((now, *dues),) = look.all(conn, {})
        return now, {one: due for one, due in zip(asked, dues, strict=True) if due is not None}

    def leases_of(self, worker: str) -> frozenset[tuple[Track, str, int]]:
        """Track, subject and epoch of every row this worker holds."""
        with self._db.read() as conn:
            rows = conn.execute(_LEASES, {"worker": worker})
            return frozenset((Track(track), subject, epoch) for track, subject, epoch in rows)

    def give_back(self, worker: str, leases: Collection[tuple[Track, str, int]]) -> int:
        """Free rows that were leased to us and that nobody here works on; returns how many."""
        work, freed = tables.work, 0
        with self._db.write() as conn:
            for track, subject, epoch in leases:
                mine = (work.c.track == track.value, work.c.subject == subject, work.c.epoch == epoch)
                freed += conn.execute(update(work).where(work.c.owner == worker, *mine).values(owner=None)).rowcount
        return freed

    def sweep_done(self, name: str) -> None:
        with self._db.write() as conn:
            now = self._db.now_in(conn)
            put = upserts.replace(self._db.backend, tables.sweep, "last_success_at")
            conn.execute(put, {"name": name, "last_success_at": now, "created_at": now})

    def sweep_ages(self) -> Mapping[str, int]:
        """Whole seconds since each sweep last succeeded; one that never did is not listed."""
        sweep = tables.sweep.c
        with self._db.read() as conn:
            now = self._db.now_in(conn)
            rows = conn.execute(select(sweep.name, sweep.last_success_at))
            return {name: max(0, now - at) // 1_000_000 for name, at in rows}

    def purge_nonces(self, before_at: int) -> int:
        """Forget nonces that expired before then, a few thousand at a time so that nobody waits long for the lock."""
        nonce, total = tables.nonce, 0
        key = tuple_(nonce.c.issuer, nonce.c.nonce)
        old = select(nonce.c.issuer, nonce.c.nonce).where(nonce.c.expires_at < before_at).limit(_NONCE_BATCH)
        while True:
            with self._db.write() as conn:
                gone = conn.execute(delete(nonce).where(key.in_(old))).rowcount
            total += gone
            if gone < _NONCE_BATCH:
                return total

    def _claim(self, now: ColumnElement[int]) -> ReturningUpdate[Any]:
        work = tables.work
        # Asked once: a clock that moves while PostgreSQL reads would keep it from stopping at the last row that is due.
        asked_once = select(now).scalar_subquery()
        due = (
            select(work.c.track, work.c.subject)
            .where(
                work.c.track == bindparam("a_track"),
                work.c.priority == bindparam("a_priority"),
                work.c.due_at.is_not(None),
                work.c.due_at <= asked_once,
                _free(now),
            )
            .order_by(work.c.due_at)
            .limit(bindparam("at_most", type_=Integer))
        )
        mine = self._db.backend.skip_locked(due).cte("mine")
        return (
            update(work)
            .where(tuple_(work.c.track, work.c.subject).in_(select(mine.c.track, mine.c.subject)))
            .values(owner=bindparam("worker"), epoch=work.c.epoch + 1)
            .returning(*_WORK.columns)
        )

    def _look(self, now: ColumnElement[int], classes: Sequence[tuple[Track, int]]) -> Select[Any]:
        work = tables.work.c
        dues = [
            select(work.due_at)
            .where(work.track == track.value, work.priority == priority, work.due_at.is_not(None), _free(now))
            .order_by(work.due_at)
            .limit(1)
            .scalar_subquery()
            for track, priority in classes
        ]
        return select(now, *dues)


def _free(now: ColumnElement[int]) -> ColumnElement[bool]:
    worker = tables.worker.c
    alive = select(worker.id).where(worker.seen_at > now - ALIVE_MICROS)
    return or_(tables.work.c.owner.is_(None), tables.work.c.owner.not_in(alive))
