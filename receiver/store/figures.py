"""Figures for metrics: what stands now, and what happened since somebody last asked. No question reads old rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, and_, exists, func, select

from receiver.domain.figures import Sealed, Told
from receiver.domain.ids import CROCKFORD
from receiver.domain.status import Track
from receiver.store import tables
from receiver.store.database import Part
from receiver.store.queue import ALIVE_MICROS

SOON_MICROS = 600_000_000
"""The longest pause between two tries: whatever is tried again is due within it."""
_AT_ONCE = 20_000
_TEST = "test"
One = TypeVar("One")


def first_id(micros: int) -> str:
    """The smallest id that can be made at this time."""
    value = (micros // 1000) << 80
    return "".join(CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


class Figured(Part):
    def told_since(self, since_at: int) -> Iterator[Told]:
        """Events whose ids were made since then, in order; test notices are not counted."""
        return _all(self._told_after, lambda one: one.event, first_id(since_at))

    def sealed_since(self, since_at: int) -> Iterator[Sealed]:
        """By the ledger's entries, whose ids are made when the seal is recorded; a seal's own is made hours before."""
        return _all(self._sealed_after, lambda one: one.entry, first_id(since_at))

    def _told_after(self, key: str) -> tuple[Told, ...]:
        row, notice = tables.event.c, tables.notice.c
        before = tables.event.alias()
        told_before = exists().where(
            before.c.item == row.item, before.c.status == row.status, before.c.sequence < row.sequence
        )
        query = (
            select(
                row.id,
                notice.issuer,
                notice.category,
                _adapter_of(row.item),
                row.status,
                ~told_before,
                (row.created_at - notice.created_at),
            )
            .join(tables.notice, notice.id == row.notice)
            .where(row.id > key, notice.kind != _TEST)
            .order_by(row.id)
            .limit(_AT_ONCE)
        )
        with self._db.read() as conn:
            return tuple(
                Told(
                    event=event,
                    issuer=issuer,
                    category=category,
                    adapter=adapter or "none",
                    status=status,
                    first=bool(first),
                    after_seconds=max(0, micros) / 1e6,
                )
                for event, issuer, category, adapter, status, first, micros in conn.execute(query)
            )

    def _sealed_after(self, key: str) -> tuple[Sealed, ...]:
        note, seal, case = tables.entry.c, tables.seal.c, tables.case.c
        query = (
            select(note.id, case.adapter, func.coalesce(func.sum(seal.size_bytes), 0))
            .join(tables.case, case.id == note.subject)
            .outerjoin(tables.seal, and_(seal.case == note.subject, seal.created_at == note.at))
            .where(note.id > key, note.kind == "evidence.sealed")
            .group_by(note.id, case.adapter)
            .order_by(note.id)
            .limit(_AT_ONCE)
        )
        with self._db.read() as conn:
            return tuple(
                Sealed(entry=entry, adapter=adapter, size_bytes=int(size))
                for entry, adapter, size in conn.execute(query)
            )

    def standing(self) -> Mapping[str, float]:
        """`retrying{TRACK}`, `attempts{TRACK}`, `pages_open{KIND}`, `processes_alive{PART}`; pauses and ledger."""
        found: dict[str, float] = {}
        with self._db.read() as conn:
            now = self._db.now_in(conn)
            for track in Track:
                rows, most = conn.execute(_retrying(track, now)).one()
                found[f"retrying{{{track.value}}}"] = float(rows)
                found[f"attempts{{{track.value}}}"] = float(most or 0)
            for kind, count in conn.execute(_OPEN_PAGES):
                found[f"pages_open{{{kind}}}"] = float(count)
            worker = tables.worker.c
            alive = {"web": 0, "admin": 0, "worker": 0}
            for slot in conn.execute(select(worker.slot).where(worker.seen_at > now - ALIVE_MICROS)).scalars():
                alive[next((part for part in alive if slot.startswith(part)), "worker")] += 1
            found |= {f"processes_alive{{{part}}}": float(count) for part, count in alive.items()}
            found["pauses"] = float(conn.execute(select(func.count()).select_from(tables.pause)).scalar_one())
            last = conn.execute(select(func.max(tables.entry.c.seq))).scalar_one()
            found["ledger_entries"] = 0.0 if last is None else float(last + 1)
            newest = select(tables.checkpoint.c.created_at).order_by(tables.checkpoint.c.size.desc()).limit(1)
            signed = conn.execute(newest).scalar_one_or_none()
            if signed is not None:
                found["ledger_checkpoint_age_seconds"] = max(0, now - signed) / 1e6
        return found


def _all(read: Callable[[str], Sequence[One]], key_of: Callable[[One], str], key: str) -> Iterator[One]:
    """Page after page, however much happened since somebody last asked."""
    while True:
        page = read(key)
        yield from page
        if len(page) < _AT_ONCE:
            return
        key = key_of(page[-1])


def _adapter_of(item: Any) -> Any:
    claim, case = tables.claim.c, tables.case.c
    return (
        select(func.min(case.adapter))
        .select_from(tables.claim.join(tables.case, case.id == claim.case))
        .where(claim.item == item)
        .scalar_subquery()
    )


def _retrying(track: Track, now: int) -> Select[int, Any]:
    work = tables.work.c
    soon = and_(work.track == track.value, work.due_at.is_not(None), work.due_at <= now + SOON_MICROS)
    return select(func.count(), func.max(work.attempts)).where(soon, work.attempts > 0)


_OPEN_PAGES = (
    select(tables.page.c.kind, func.count()).where(tables.page.c.acknowledged_at.is_(None)).group_by(tables.page.c.kind)
)
